use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{SinkExt, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::appends::{AppendResult, Appends};
use super::frame_buffer::FrameBuffer;
use super::subscriptions::{ActiveSubscription, SubscriptionUpdate, Subscriptions};
use crate::wire::Label;

/// The limit of a received message or frame, in bytes. Browsers send 70,000 bytes
/// as one frame.
const MAX_MESSAGE_SIZE: usize = 256 << 10;

/// Everything that one socket waits for: its messages, its subscriptions and its
/// appends.
pub(super) struct Multiplexer<T> {
    socket: WebSocketStream<FrameBuffer<T>>,
    pub(super) subscriptions: Subscriptions,
    pub(super) appends: Appends,
    /// Whether the next poll begins with the socket or with the log.
    socket_first: bool,
}

/// What happened on a socket.
pub(super) enum SocketEvent {
    Message(Message),
    /// The client has violated the protocol, or is gone.
    Error(Error),
    Subscription(ActiveSubscription, SubscriptionUpdate),
    Append(Label, AppendResult),
}

impl<T: AsyncRead + AsyncWrite + Unpin> Multiplexer<T> {
    pub(super) async fn new(io: T) -> Self {
        // Small, because most sockets receive little, and tungstenite never shrinks its buffers.
        let config = WebSocketConfig::default()
            .read_buffer_size(512)
            .write_buffer_size(0)
            .max_write_buffer_size(4 << 10)
            .max_message_size(Some(MAX_MESSAGE_SIZE))
            .max_frame_size(Some(MAX_MESSAGE_SIZE));
        let buffer = FrameBuffer::new(io);
        Self {
            socket: WebSocketStream::from_raw_socket(buffer, Role::Server, Some(config)).await,
            subscriptions: Subscriptions::default(),
            appends: Appends::default(),
            socket_first: true,
        }
    }

    pub(super) fn buffer(&mut self) -> &mut FrameBuffer<T> {
        self.socket.get_mut()
    }

    /// Polls for the next event, and writes the buffer if there is none. While the
    /// buffer is full no events are taken from the log, and beyond a second limit
    /// no messages are read either.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<SocketEvent> {
        loop {
            let was_full = self.buffer().is_full();
            let event = if was_full { self.poll_socket(cx) } else { self.poll_both(cx) };
            if event.is_ready() {
                return event;
            }
            match Pin::new(self.buffer()).poll_flush(cx) {
                Poll::Ready(Ok(())) if was_full => {}
                Poll::Ready(Err(error)) => return Poll::Ready(SocketEvent::Error(error.into())),
                _ => return Poll::Pending,
            }
        }
    }

    /// Alternates, so that neither a client that always sends nor a log that always
    /// has events starves the other.
    fn poll_both(&mut self, cx: &mut Context<'_>) -> Poll<SocketEvent> {
        self.socket_first = !self.socket_first;
        if self.socket_first {
            let event = self.poll_socket(cx);
            if event.is_ready() { event } else { self.poll_log(cx) }
        } else {
            let event = self.poll_log(cx);
            if event.is_ready() { event } else { self.poll_socket(cx) }
        }
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>) -> Poll<SocketEvent> {
        if self.buffer().is_full_for_replies() {
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_next(cx).map(|next| match next {
            Some(Ok(message)) => SocketEvent::Message(message),
            Some(Err(error)) => SocketEvent::Error(error),
            None => SocketEvent::Error(Error::ConnectionClosed),
        })
    }

    fn poll_log(&mut self, cx: &mut Context<'_>) -> Poll<SocketEvent> {
        if let Poll::Ready((req, result)) = self.appends.poll(cx) {
            return Poll::Ready(SocketEvent::Append(req, result));
        }
        self.subscriptions
            .poll(cx)
            .map(|(active, update)| SocketEvent::Subscription(active, update))
    }

    /// Closes the socket: writes the buffer and the close frame (`None` if the
    /// client has sent one), and waits for the client to close its end. Dropping
    /// the connection earlier would lose what the client has not read.
    pub(super) async fn close(&mut self, frame: Option<CloseFrame>) -> Result<(), Error> {
        match frame {
            Some(frame) => self.socket.close(Some(frame)).await?,
            None => self.socket.flush().await?,
        }
        while let Some(Ok(_)) = self.socket.next().await {}
        self.buffer().shutdown().await?;
        let mut ignored = [0; 256];
        while self.buffer().read(&mut ignored).await? > 0 {}
        Ok(())
    }
}
