use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{SinkExt, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::appends::{Appends, Stored};
use super::outlet::Outlet;
use super::subscriptions::{Seat, Step, Subscriptions};
use crate::wire::Label;

/// The bytes of a message that is read. Browsers send 70,000 bytes as one
/// frame.
const LARGEST_MESSAGE: usize = 256 << 10;

/// Everything that goes in and out of a socket.
pub(super) struct Flow<T> {
    socket: WebSocketStream<Outlet<T>>,
    pub(super) subscriptions: Subscriptions,
    pub(super) appends: Appends,
    /// Whether the other end comes before the log the next time.
    listens_first: bool,
}

/// What happened.
pub(super) enum Happened {
    Said(Message),
    /// The other end broke the protocol, or is gone.
    Broke(Error),
    Turn(Seat, Step),
    Stored(Label, Stored),
}

impl<T: AsyncRead + AsyncWrite + Unpin> Flow<T> {
    pub(super) async fn new(io: T) -> Self {
        // Small, because most sockets say little, and tungstenite keeps what it once needed.
        let config = WebSocketConfig::default()
            .read_buffer_size(512)
            .write_buffer_size(0)
            .max_write_buffer_size(4 << 10)
            .max_message_size(Some(LARGEST_MESSAGE))
            .max_frame_size(Some(LARGEST_MESSAGE));
        let outlet = Outlet::new(io);
        Self {
            socket: WebSocketStream::from_raw_socket(outlet, Role::Server, Some(config)).await,
            subscriptions: Subscriptions::default(),
            appends: Appends::default(),
            listens_first: true,
        }
    }

    /// What is to be written.
    pub(super) fn out(&mut self) -> &mut Outlet<T> {
        self.socket.get_mut()
    }

    /// The next that happens. Writes when nothing does, or when enough waits to
    /// be written: until that is gone nothing more is taken from the log, and in
    /// the end nothing from the other end either.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        loop {
            let was_full = self.out().is_full();
            let happened = if was_full { self.poll_socket(cx) } else { self.poll_both(cx) };
            if happened.is_ready() {
                return happened;
            }
            match Pin::new(self.out()).poll_flush(cx) {
                Poll::Ready(Ok(())) if was_full => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Happened::Broke(error.into())),
                _ => return Poll::Pending,
            }
        }
    }

    /// By turns, so that neither who talks nor who listens without end gets
    /// everything.
    fn poll_both(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        self.listens_first = !self.listens_first;
        if self.listens_first {
            let happened = self.poll_socket(cx);
            if happened.is_ready() { happened } else { self.poll_log(cx) }
        } else {
            let happened = self.poll_log(cx);
            if happened.is_ready() { happened } else { self.poll_socket(cx) }
        }
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        if self.out().is_flooded() {
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_next(cx).map(|next| match next {
            Some(Ok(message)) => Happened::Said(message),
            Some(Err(error)) => Happened::Broke(error),
            None => Happened::Broke(Error::ConnectionClosed),
        })
    }

    fn poll_log(&mut self, cx: &mut Context<'_>) -> Poll<Happened> {
        if let Poll::Ready((req, stored)) = self.appends.poll(cx) {
            return Poll::Ready(Happened::Stored(req, stored));
        }
        self.subscriptions.poll(cx).map(|(seat, step)| Happened::Turn(seat, step))
    }

    /// Writes what waits and the close frame, unless the other end has sent
    /// its own; waits until it agrees, and until it has taken everything: what
    /// nobody has read by the time that a connection is dropped is lost.
    pub(super) async fn close(&mut self, frame: Option<CloseFrame>) -> Result<(), Error> {
        match frame {
            Some(frame) => self.socket.close(Some(frame)).await?,
            None => self.socket.flush().await?,
        }
        while let Some(Ok(_)) = self.socket.next().await {}
        self.out().shutdown().await?;
        let mut ignored = [0; 256];
        while self.out().read(&mut ignored).await? > 0 {}
        Ok(())
    }
}
