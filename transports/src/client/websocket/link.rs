use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use downlink::{Error, ErrorKind, Result};
use futures::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message as Raw};

use crate::wire::Message;

/// How often a feed gives a sign of life before it says how often.
const UNTOLD_HEARTBEAT: Duration = Duration::from_secs(15);

/// How long the server may take to agree to the end.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// What a message has around its events.
const FRAME_BYTES: usize = 32 << 10;

/// One socket: messages both ways. Leaves a server that is silent.
pub(super) struct Link {
    socket: WebSocketStream<Heard<TokioIo<Upgraded>>>,
    silent_since: Instant,
    heartbeat: Duration,
    has_unsent: bool,
}

impl Link {
    pub(super) async fn new(io: Upgraded, event_limit: usize) -> Self {
        let largest = Some(event_limit.saturating_add(FRAME_BYTES));
        let config = WebSocketConfig::default()
            .read_buffer_size(16 << 10)
            .write_buffer_size(0)
            .max_message_size(largest)
            .max_frame_size(largest);
        let io = Heard { io: TokioIo::new(io), heard: false };
        Self {
            socket: WebSocketStream::from_raw_socket(io, Role::Client, Some(config)).await,
            silent_since: Instant::now(),
            heartbeat: UNTOLD_HEARTBEAT,
            has_unsent: false,
        }
    }

    /// Expects a sign of life so often.
    pub(super) fn expect_every(&mut self, heartbeat: Duration) {
        self.heartbeat = heartbeat;
    }

    /// Sends a message, as far as that goes at once; [`next`](Self::next) sends
    /// the rest. Whoever calls this bounds what has no answer yet.
    pub(super) fn send(&mut self, text: String) -> Result<()> {
        self.has_unsent = true;
        self.socket.start_send_unpin(Raw::text(text)).map_err(|error| broke(&error))
    }

    /// The next message; `None` if the server has closed the socket for a
    /// reason that passes. After `None` or an error there is none.
    ///
    /// # Cancel safety
    ///
    /// No message is lost.
    pub(super) async fn next(&mut self) -> Option<Result<Message>> {
        loop {
            // Two heartbeats missed, and half of one for the way.
            let patience = self.silent_since + self.heartbeat * 5 / 2;
            let next = timeout_at(patience, poll_fn(|cx| self.poll(cx))).await;
            let has_heard = std::mem::take(&mut self.socket.get_mut().heard);
            if has_heard {
                self.silent_since = Instant::now();
            }
            match next {
                Ok(Some(Ok(Raw::Text(text)))) => {
                    if let Some(message) = Message::parse(&text).transpose() {
                        return Some(message);
                    }
                }
                Ok(Some(Ok(Raw::Close(frame)))) => return self.ended(frame.as_ref()).map(Err),
                Ok(Some(Ok(Raw::Binary(_)))) => return Some(Err(corrupt("a binary message"))),
                Ok(Some(Ok(Raw::Ping(_) | Raw::Pong(_) | Raw::Frame(_)))) => {}
                Ok(Some(Err(error))) => return Some(Err(broke(&error))),
                Ok(None) => return Some(Err(gone())),
                Err(_) if has_heard => {}
                Err(_) => {
                    let silent = "the server gave no sign of life for two heartbeats";
                    return Some(Err(Error::new(ErrorKind::Unavailable, silent)));
                }
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<tungstenite::Result<Raw>>> {
        if self.has_unsent
            && let Poll::Ready(sent) = Pin::new(&mut self.socket).poll_flush(cx)
        {
            self.has_unsent = false;
            // What the server said before it went is worth more than that it has gone.
            if let Err(error) = sent {
                tracing::debug!(%error, "a message could not be sent");
            }
        }
        Pin::new(&mut self.socket).poll_next(cx)
    }

    /// Agrees to the end. The error that it is, if repeating does not help.
    fn ended(&mut self, frame: Option<&CloseFrame>) -> Option<Error> {
        // A server that cannot read it now closes without it.
        let _ = self.socket.flush().now_or_never();
        let frame = frame?;
        let code = u16::from(frame.code);
        let is_final = matches!(code, 1002 | 1003 | 1007..=1009 | 4400..=4403);
        is_final.then(|| {
            let why = &frame.reason;
            Error::new(ErrorKind::Invalid, format!("the server refuses the socket: {why} ({code})"))
        })
    }

    /// Says goodbye, and waits until the server agrees.
    pub(super) async fn close(&mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let close = async {
            self.socket.close(Some(frame)).await?;
            while let Some(Ok(_)) = self.socket.next().await {}
            Ok::<_, tungstenite::Error>(())
        };
        if !matches!(timeout(CLOSE_DEADLINE, close).await, Ok(Ok(()))) {
            tracing::debug!("the server has not agreed to the end of a socket");
        }
    }
}

fn broke(error: &tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => gone(),
        tungstenite::Error::Protocol(error) => corrupt(&error.to_string()),
        tungstenite::Error::Utf8(_) => corrupt("a message that is not UTF-8"),
        tungstenite::Error::Capacity(error) => {
            let message = format!("{error}: raise the limit of the client");
            Error::new(ErrorKind::TooLarge, message)
        }
        error => Error::new(ErrorKind::Unavailable, format!("the connection broke: {error}")),
    }
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the server does not speak as a feed does: {what}"))
}

fn gone() -> Error {
    Error::new(ErrorKind::Unavailable, "the connection ended without a close")
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("heartbeat", &self.heartbeat).finish_non_exhaustive()
    }
}

/// A connection that remembers whether anything came: a long message that
/// arrives slowly is a sign of life, too.
struct Heard<T> {
    io: T,
    heard: bool,
}

impl<T: AsyncRead + Unpin> AsyncRead for Heard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.heard |= buf.filled().len() > before;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Heard<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
