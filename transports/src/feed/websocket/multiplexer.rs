use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use downlink::budget::{ByteBudget, Reservation};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::appends::{AppendResult, Appends};
use super::close_frame::CloseFrame;
use super::frame_buffer::FrameBuffer;
use super::message_decoder::{Message, TextMessage};
use super::message_reader::MessageReader;
use super::read_error::ReadError;
use super::subscriptions::{ActiveSubscription, SubscriptionUpdate, Subscriptions};
use crate::feed::parse_pool::ParsePool;
use crate::wire::{Command, Label, Refused};

/// Everything that one socket waits for: its messages, its subscriptions and its
/// appends.
pub(super) struct Multiplexer<T> {
    buffer: FrameBuffer<T>,
    reader: MessageReader,
    parsers: ParsePool,
    /// A command that is being parsed. No further ones are read meanwhile.
    parsing: Option<BoxFuture<'static, ReceivedCommand>>,
    pub(super) subscriptions: Subscriptions,
    pub(super) appends: Appends,
    /// Whether the next poll begins with the socket or with the log.
    socket_first: bool,
}

/// A command of the client, and what reserves the bytes of its message.
pub(super) struct ReceivedCommand {
    pub(super) command: Result<Command, Refused>,
    pub(super) held: Reservation,
}

/// What happened on a socket.
pub(super) enum SocketEvent {
    Command(ReceivedCommand),
    /// The client has sent a ping, which is answered.
    Ping,
    /// The client has answered a ping, with this payload.
    Pong(Vec<u8>),
    /// The client has sent a close frame, which is answered.
    Close,
    /// The client has violated the protocol, or is gone.
    Error(ReadError),
    Subscription(ActiveSubscription, SubscriptionUpdate),
    Append(Label, AppendResult),
}

impl<T: AsyncRead + AsyncWrite + Unpin> Multiplexer<T> {
    /// Reads commands that count in this budget.
    pub(super) fn new(io: T, budget: ByteBudget, parsers: ParsePool) -> Self {
        Self {
            buffer: FrameBuffer::new(io, budget.empty()),
            reader: MessageReader::new(budget),
            parsers,
            parsing: None,
            subscriptions: Subscriptions::default(),
            appends: Appends::default(),
            socket_first: true,
        }
    }

    pub(super) fn buffer(&mut self) -> &mut FrameBuffer<T> {
        &mut self.buffer
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
        if self.parsing.is_some() || self.buffer.is_full_for_replies() {
            self.reader.pause();
        }
        if let Some(parsing) = &mut self.parsing {
            let command = ready!(parsing.poll_unpin(cx));
            self.parsing = None;
            return Poll::Ready(SocketEvent::Command(command));
        }
        if self.buffer.is_full_for_replies() {
            return Poll::Pending;
        }
        let message = ready!(self.reader.poll_next(&mut self.buffer, cx));
        Poll::Ready(match message {
            Ok(Message::Text(message)) => return self.poll_parsed(message, cx),
            Ok(Message::Ping(payload)) => {
                self.buffer.push_pong(&payload);
                SocketEvent::Ping
            }
            Ok(Message::Pong(payload)) => SocketEvent::Pong(payload),
            Ok(Message::Close(frame)) => {
                self.buffer.push_close(frame.as_ref());
                SocketEvent::Close
            }
            Err(error) => SocketEvent::Error(error),
        })
    }

    fn poll_parsed(&mut self, message: TextMessage, cx: &mut Context<'_>) -> Poll<SocketEvent> {
        let parsers = self.parsers.clone();
        let TextMessage { text, held } = message;
        let bytes = text.len();
        let parse = move || ReceivedCommand { command: Command::parse(&text), held };
        self.parsing = Some(async move { parsers.run(bytes, parse).await }.boxed());
        self.poll_socket(cx)
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
    pub(super) async fn close(&mut self, frame: Option<CloseFrame>) -> io::Result<()> {
        if let Some(frame) = frame {
            self.buffer.push_close(Some(&frame));
            self.buffer.flush().await?;
            self.reader.skip_to_close(&mut self.buffer).await;
        }
        self.buffer.shutdown().await?;
        let mut ignored = [0; 256];
        while self.buffer.read(&mut ignored).await? > 0 {}
        Ok(())
    }
}
