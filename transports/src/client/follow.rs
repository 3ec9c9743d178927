use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use downlink::{Cursor, Error, ErrorKind, Frame, Result, Subscribe};
use futures::stream::{BoxStream, FusedStream};
use futures::{Stream, StreamExt};
use tokio::time::Instant;

use super::client::Client;
use super::failure::Failure;
use super::frames::Frames;
use super::pauses::Told;
use crate::wire::parse;

/// A feed without end: events, and where the subscription is, through as many
/// connections as it takes.
///
/// Yields [`Frame::Event`], [`Frame::Checkpoint`], [`Frame::Live`] and
/// [`Frame::Behind`]; `Live` and `Behind` may come again after a reconnect. Each
/// event comes once and none is left out: after a connection ended, the next
/// resumes after the last frame that was handed out.
///
/// # Reconnects
///
/// Before each there is a pause: what the server asked for, or else a random
/// one, see [`Client::with_reconnect`]. A server that cannot be reached is tried
/// for ever, with a line in the log each time; set a deadline around it if you
/// need one.
///
/// # Errors
///
/// The stream ends after its first error, which is one that a repetition cannot
/// mend: [`CursorAhead`](ErrorKind::CursorAhead) and
/// [`HistoryChanged`](ErrorKind::HistoryChanged) if the log is another one now,
/// [`Invalid`](ErrorKind::Invalid) for a request that is refused,
/// [`Corrupt`](ErrorKind::Corrupt) and [`TooLarge`](ErrorKind::TooLarge) for
/// bytes that cannot be read.
#[must_use = "a stream does nothing until it is polled"]
pub struct Follow {
    /// `None` once it is over, so that the connection is closed then.
    frames: Option<BoxStream<'static, Result<Frame>>>,
    cursor: Option<Cursor>,
}

impl Follow {
    pub(super) fn new(client: Client, subscribe: Subscribe) -> Self {
        let following = Following { client, subscribe, cursor: None, frames: None, due: None };
        let frames = futures::stream::unfold(following, |mut following| async {
            following.next().await.map(|frame| (frame, following))
        });
        Self { frames: Some(frames.boxed()), cursor: None }
    }

    /// Where to resume after the last frame that was handed out; `None` before
    /// the first.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }
}

impl Stream for Follow {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(frames) = &mut self.frames else { return Poll::Ready(None) };
        let next = ready!(frames.as_mut().poll_next(cx));
        match &next {
            Some(Ok(frame)) => self.cursor = frame.cursor().max(self.cursor),
            Some(Err(_)) | None => self.frames = None,
        }
        Poll::Ready(next)
    }
}

impl FusedStream for Follow {
    fn is_terminated(&self) -> bool {
        self.frames.is_none()
    }
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

struct Following {
    client: Client,
    subscribe: Subscribe,
    /// Everything up to here was handed out, or is not wanted.
    cursor: Option<Cursor>,
    frames: Option<Frames>,
    due: Option<Instant>,
}

impl Following {
    async fn next(&mut self) -> Option<Result<Frame>> {
        loop {
            let step = match &mut self.frames {
                None => self.connect().await,
                Some(frames) => match frames.next().await {
                    Some(Ok(frame)) => self.take(frame),
                    Some(Err(error)) => self.broke(error),
                    None => {
                        tracing::debug!("the connection ended");
                        Ok(self.pause(Told::Nothing))
                    }
                },
            };
            if let Some(answer) = step.transpose() {
                return Some(answer);
            }
        }
    }

    async fn connect(&mut self) -> Result<Option<Frame>> {
        if let Some(due) = self.due.take() {
            tokio::time::sleep_until(due).await;
        }
        let subscribe = self.subscribe.clone();
        let subscribe = match self.cursor {
            Some(cursor) => subscribe.after(cursor),
            None => subscribe,
        };
        match self.client.open(&subscribe).await {
            Ok(frames) => self.frames = Some(frames),
            Err(Failure { error, is_permanent: true, .. }) => return Err(error),
            Err(Failure { error, retry_after, .. }) => {
                tracing::warn!(%error, "no feed for now");
                self.pause(retry_after.map_or(Told::Nothing, Told::AtLeast));
            }
        }
        Ok(None)
    }

    fn take(&mut self, frame: Frame) -> Result<Option<Frame>> {
        match frame {
            Frame::Ready { cursor, .. } => {
                self.cursor = self.cursor.max(Some(cursor));
                Ok(None)
            }
            Frame::Event { ref event, .. } => {
                let is_new = self.cursor.is_none_or(|cursor| cursor.position() < event.position());
                self.cursor = self.cursor.max(Some(event.cursor()));
                Ok(is_new.then_some(frame))
            }
            Frame::Checkpoint { cursor }
            | Frame::Live { cursor, .. }
            | Frame::Behind { cursor, .. } => {
                self.cursor = self.cursor.max(Some(cursor));
                Ok(Some(frame))
            }
            Frame::Reset { reason, head } => Err(another_history(&reason, head)),
            Frame::Bye { reason, reconnect_after } => {
                tracing::debug!(%reason, ?reconnect_after, "the server ends the connection");
                Ok(self.pause(Told::This(reconnect_after)))
            }
            Frame::Problem { code, detail, retryable } => {
                let error = parse::problem(&code, &detail, retryable);
                if !retryable {
                    return Err(error);
                }
                tracing::warn!(%error, "the feed has a problem");
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn broke(&mut self, error: Error) -> Result<Option<Frame>> {
        if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::TooLarge) {
            return Err(error);
        }
        tracing::debug!(%error, "the connection broke");
        Ok(self.pause(Told::Nothing))
    }

    /// Ends the connection, and says when the next is due.
    fn pause(&mut self, told: Told) -> Option<Frame> {
        let retry = self.frames.take().and_then(|frames| frames.retry());
        let told = match (told, retry) {
            (Told::Nothing, Some(retry)) => Told::This(retry),
            _ => told,
        };
        self.due = Some(Instant::now() + self.client.pauses.next(told));
        None
    }
}

fn another_history(reason: &str, head: Cursor) -> Error {
    let kind = match reason {
        "cursor-ahead" => ErrorKind::CursorAhead,
        _ => ErrorKind::HistoryChanged,
    };
    let message = format!(
        "the log became another one, now at {head}: start again from a state that you trust ({reason})"
    );
    Error::new(kind, message)
}
