use std::collections::VecDeque;
use std::fmt;

use downlink::transport::Frame;
use downlink::{After, Cursor};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::page::Page;
use super::poller::{PollError, Poller};
use crate::client::failure::{Cause, Failure};
use crate::client::reconnect_delay::ServerDelay;
use crate::wire::Code;

/// Turns the pages of a poller into the frames that a stream would have sent.
///
/// - `Ready` comes with the first answer. If only the server knows where the
///   subscription begins, as with the last n events, its cursor is the start of
///   the log, which misses nothing either.
/// - `Live` comes when a page reaches the end of the log for the first time.
/// - A page without events is a `Checkpoint` if it moves the cursor, and a
///   `Heartbeat` otherwise.
/// - A poll that is refused because the log was replaced is a `Reset`; one that is
///   refused with a delay is a `Bye`.
pub(in crate::client) struct Frames {
    pending: VecDeque<Frame>,
    cursor: Cursor,
    is_live: bool,
    /// `None` during a poll, and after the end.
    poller: Option<Box<Poller>>,
    /// The poll is stored here, so that `next` is cancel safe.
    polling: Option<BoxFuture<'static, (Box<Poller>, Outcome)>>,
    server_delay: ServerDelay,
}

enum Outcome {
    Page(Page),
    Ended,
    LastFrame(Frame),
    Failed(Failure),
}

impl Frames {
    pub(super) fn new(poller: Poller, after: After, mut page: Page) -> Self {
        let cursor = match after {
            After::Cursor(cursor) => cursor,
            After::Now => {
                // Events that arrived during the poll are older than `Ready`.
                page.events.clear();
                page.cursor
            }
            After::Last(_) | After::Position(_) if page.events.is_empty() => page.cursor,
            After::Start | After::Last(_) | After::Position(_) => Cursor::START,
        };
        let ready = Frame::Ready { cursor, head: page.head, heartbeat: None };
        let mut frames = Self {
            pending: VecDeque::from([ready]),
            cursor,
            is_live: false,
            poller: Some(Box::new(poller)),
            polling: None,
            server_delay: ServerDelay::Unspecified,
        };
        frames.push(page);
        frames
    }

    pub(in crate::client) fn server_delay(&self) -> ServerDelay {
        self.server_delay
    }

    pub(in crate::client) async fn next(&mut self) -> Option<Result<Frame, Failure>> {
        loop {
            if let Some(frame) = self.pending.pop_front() {
                return Some(Ok(frame));
            }
            match self.poll().await? {
                Outcome::Page(page) => self.push(page),
                Outcome::Ended => self.poller = None,
                Outcome::LastFrame(frame) => {
                    self.poller = None;
                    return Some(Ok(frame));
                }
                Outcome::Failed(failure) => {
                    self.poller = None;
                    return Some(Err(failure));
                }
            }
        }
    }

    /// Polls once; `None` after the end.
    async fn poll(&mut self) -> Option<Outcome> {
        if let Some(poller) = self.poller.take() {
            self.polling = Some(poll(poller, self.cursor, self.is_live).boxed());
        }
        let (poller, outcome) = self.polling.as_mut()?.await;
        self.polling = None;
        self.server_delay = match &outcome {
            Outcome::Failed(_) => ServerDelay::Unspecified,
            _ => poller.server_delay(),
        };
        self.poller = Some(poller);
        Some(outcome)
    }

    fn push(&mut self, page: Page) {
        let Page { events, cursor, head, more } = page;
        let last = events.last().and_then(Frame::cursor).unwrap_or(self.cursor);
        let has_events = !events.is_empty();
        self.pending.extend(events);
        if !more && !self.is_live {
            self.is_live = true;
            self.pending.push_back(Frame::Live { cursor, head });
        } else if cursor > last {
            self.pending.push_back(Frame::Checkpoint { cursor });
        } else if !has_events {
            self.pending.push_back(Frame::Heartbeat { head });
        }
        self.cursor = self.cursor.max(cursor);
    }
}

async fn poll(mut poller: Box<Poller>, cursor: Cursor, is_live: bool) -> (Box<Poller>, Outcome) {
    if poller.is_dismissed() {
        return (poller, Outcome::Ended);
    }
    let outcome = match poller.next_page(cursor, is_live).await {
        Ok(page) => Outcome::Page(page),
        Err(PollError::Unreachable(failure)) => {
            tracing::debug!(error = %failure.error, "the server became unreachable between two polls");
            Outcome::Ended
        }
        Err(PollError::Broken(error)) => Outcome::Failed(error.into()),
        Err(PollError::Refused(failure)) => refused(&mut poller, failure).await,
    };
    (poller, outcome)
}

async fn refused(poller: &mut Poller, failure: Failure) -> Outcome {
    let reason = failure.code.clone().unwrap_or_else(|| Code::Unavailable.to_string());
    if failure.error.is_other_history() {
        return match poller.head().await {
            Ok(head) => Outcome::LastFrame(Frame::Reset { reason, head }),
            Err(_) => Outcome::Failed(failure),
        };
    }
    match failure.retry_after {
        Some(delay) if failure.cause == Cause::Temporary => {
            let reconnect_after = poller.spread(delay);
            Outcome::LastFrame(Frame::Bye { reason, reconnect_after })
        }
        _ => Outcome::Failed(failure),
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames")
            .field("cursor", &self.cursor)
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}
