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
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message as Raw};

use crate::client::connect_options::ConnectOptions;
use crate::client::failure::Failure;
use crate::client::silence_limit::SilenceLimit;
use crate::wire::Message;

/// How long the server may take to answer the closing handshake.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);

/// The bytes of a message in addition to one event.
const MESSAGE_OVERHEAD: usize = 32 << 10;

/// How much may wait for a server that does not read, in bytes: the appends that
/// may be unanswered, and as much for everything else.
const MAX_UNSENT_BYTES: usize = 8 << 20;

/// One WebSocket: sends and receives messages, and ends when the server is silent.
pub(super) struct Connection {
    socket: WebSocketStream<ReadTracker<TokioIo<Upgraded>>>,
    silent_since: Instant,
    silence_limit: SilenceLimit,
    has_unsent: bool,
}

impl Connection {
    pub(super) async fn new(io: Upgraded, options: &ConnectOptions) -> Self {
        let largest = Some(options.event_limit.saturating_add(MESSAGE_OVERHEAD));
        let config = WebSocketConfig::default()
            .read_buffer_size(16 << 10)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_UNSENT_BYTES)
            .max_message_size(largest)
            .max_frame_size(largest);
        let io = ReadTracker { io: TokioIo::new(io), has_read: false };
        Self {
            socket: WebSocketStream::from_raw_socket(io, Role::Client, Some(config)).await,
            silent_since: Instant::now(),
            silence_limit: options.silence_limit(),
            has_unsent: false,
        }
    }

    /// Sets the interval of the server's heartbeats; `None` if it sends none.
    pub(super) fn expect_every(&mut self, heartbeat: Option<Duration>) {
        self.silence_limit.expect_every(heartbeat);
    }

    /// Sends as much of a message as possible without waiting; [`next`](Self::next)
    /// sends the rest. The caller limits how many messages are unanswered.
    pub(super) fn send(&mut self, text: String) -> Result<()> {
        self.has_unsent = true;
        self.socket.start_send_unpin(Raw::text(text)).map_err(|error| broken(&error))
    }

    /// The next message; `None` if the server closed the socket for a temporary
    /// reason. Nothing follows `None` or an error.
    ///
    /// # Cancel safety
    ///
    /// No message is lost.
    pub(super) async fn next(&mut self) -> Option<Result<Message, Failure>> {
        loop {
            let limit = self.silence_limit.get();
            let silent = silent_until(limit.map(|limit| self.silent_since + limit));
            let next = tokio::select! {
                biased;
                next = poll_fn(|cx| self.poll(cx)) => Ok(next),
                () = silent => Err(limit.unwrap_or_default()),
            };
            let has_read = std::mem::take(&mut self.socket.get_mut().has_read);
            if has_read {
                self.silent_since = Instant::now();
            }
            match next {
                Ok(Some(Ok(Raw::Text(text)))) => {
                    if let Some(message) = Message::parse(&text).transpose() {
                        return Some(message.map_err(Failure::from));
                    }
                }
                Ok(Some(Ok(Raw::Close(frame)))) => return self.on_close(frame.as_ref()).map(Err),
                Ok(Some(Ok(Raw::Binary(_)))) => {
                    return Some(Err(corrupt("a binary message").into()));
                }
                Ok(Some(Ok(Raw::Ping(_) | Raw::Pong(_) | Raw::Frame(_)))) => {}
                Ok(Some(Err(error))) => return Some(Err(broken(&error).into())),
                Ok(None) => return Some(Err(no_close().into())),
                Err(_) if has_read => {}
                Err(limit) => {
                    let silent = format!("the server was silent for {limit:?}");
                    return Some(Err(Failure::unavailable(silent)));
                }
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<tungstenite::Result<Raw>>> {
        if self.has_unsent
            && let Poll::Ready(sent) = Pin::new(&mut self.socket).poll_flush(cx)
        {
            self.has_unsent = false;
            // Messages that the server sent before it closed can still be read.
            if let Err(error) = sent {
                tracing::debug!(%error, "a message could not be sent");
            }
        }
        Pin::new(&mut self.socket).poll_next(cx)
    }

    /// Answers the server's close frame. Returns a failure unless the server may
    /// just be asked again.
    fn on_close(&mut self, frame: Option<&CloseFrame>) -> Option<Failure> {
        // A server that cannot read the answer now closes without it.
        let _ = self.socket.flush().now_or_never();
        let frame = frame?;
        let code = u16::from(frame.code);
        let message = format!("the server refuses the socket: {} ({code})", frame.reason);
        match code {
            4400 | 4401 | 4403 => {
                Some(Failure::refused(message).with_unauthenticated(code == 4401))
            }
            // Every WebSocket server and gateway may use these.
            1002 | 1003 | 1007..=1009 => Some(Failure::not_a_feed(message)),
            _ => None,
        }
    }

    /// Closes the socket, and waits for the server's answer.
    pub(super) async fn close(&mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let close = async {
            self.socket.close(Some(frame)).await?;
            while let Some(Ok(_)) = self.socket.next().await {}
            Ok::<_, tungstenite::Error>(())
        };
        if !matches!(timeout(CLOSE_DEADLINE, close).await, Ok(Ok(()))) {
            tracing::debug!("the server did not answer the close of a socket");
        }
    }
}

async fn silent_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn broken(error: &tungstenite::Error) -> Error {
    match error {
        tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => no_close(),
        tungstenite::Error::Protocol(error) => corrupt(&error.to_string()),
        tungstenite::Error::Utf8(_) => corrupt("a message that is not UTF-8"),
        tungstenite::Error::Capacity(error) => {
            let message = format!("{error}: raise the client's event limit");
            Error::new(ErrorKind::TooLarge, message)
        }
        error => Error::new(ErrorKind::Unavailable, format!("the connection broke: {error}")),
    }
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the server does not follow the feed protocol: {what}"))
}

fn no_close() -> Error {
    Error::new(ErrorKind::Unavailable, "the connection ended without a close frame")
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("silence_limit", &self.silence_limit)
            .finish_non_exhaustive()
    }
}

/// Tracks whether any bytes were read: a long message that arrives slowly shows
/// that the server is alive, too.
struct ReadTracker<T> {
    io: T,
    has_read: bool,
}

impl<T: AsyncRead + Unpin> AsyncRead for ReadTracker<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.has_read |= buf.filled().len() > before;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ReadTracker<T> {
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
