use std::collections::VecDeque;
use std::fmt;

use downlink::{After, Cursor, Error, Frame, Result};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::page::Page;
use super::session::{End, Session};
use crate::client::failure::Failure;
use crate::client::pauses::Told;

/// The pages of one session as the frames that a stream would have had.
///
/// - `Ready` is the first answer. Where only the server knows where that begins,
///   as with the last so many events, it says the start of the log, before
///   which nothing is missed either.
/// - `Live` comes when a page reached the end of the log for the first time.
/// - A page that has nothing is `Checkpoint` if it moved the cursor, and else
///   `Heartbeat`.
/// - A log that became another one, which a poll is refused for, is `Reset`; a
///   server that asks to be left alone for a while is `Bye`.
pub(in crate::client) struct Frames {
    waiting: VecDeque<Frame>,
    cursor: Cursor,
    is_live: bool,
    /// `None` while it asks, and once it is over.
    session: Option<Box<Session>>,
    /// Kept here, so that a call of `next` can be given up.
    asking: Option<BoxFuture<'static, (Box<Session>, Outcome)>>,
    told: Told,
}

enum Outcome {
    Page(Page),
    Over,
    Last(Frame),
    Failed(Error),
}

impl Frames {
    pub(super) fn begin(session: Session, after: After, mut page: Page) -> Self {
        let cursor = match after {
            After::Cursor(cursor) => cursor,
            After::Now => {
                // What came while the server looked was before `Ready`, which is now.
                page.events.clear();
                page.cursor
            }
            After::Last(_) | After::Position(_) if page.events.is_empty() => page.cursor,
            After::Start | After::Last(_) | After::Position(_) => Cursor::START,
        };
        let ready = Frame::Ready { cursor, head: page.head, heartbeat: None };
        let mut frames = Self {
            waiting: VecDeque::from([ready]),
            cursor,
            is_live: false,
            session: Some(Box::new(session)),
            asking: None,
            told: Told::Nothing,
        };
        frames.take(page);
        frames
    }

    pub(in crate::client) fn told(&self) -> Told {
        self.told
    }

    pub(in crate::client) async fn next(&mut self) -> Option<Result<Frame>> {
        loop {
            if let Some(frame) = self.waiting.pop_front() {
                return Some(Ok(frame));
            }
            match self.ask().await? {
                Outcome::Page(page) => self.take(page),
                Outcome::Over => self.session = None,
                Outcome::Last(frame) => {
                    self.session = None;
                    return Some(Ok(frame));
                }
                Outcome::Failed(error) => {
                    self.session = None;
                    return Some(Err(error));
                }
            }
        }
    }

    /// The next page, or the end; `None` after the end.
    async fn ask(&mut self) -> Option<Outcome> {
        if let Some(session) = self.session.take() {
            self.asking = Some(ask(session, self.cursor, self.is_live).boxed());
        }
        let (session, outcome) = self.asking.as_mut()?.await;
        self.asking = None;
        self.told = match &outcome {
            Outcome::Failed(_) => Told::Nothing,
            _ => session.told(),
        };
        self.session = Some(session);
        Some(outcome)
    }

    fn take(&mut self, page: Page) {
        let Page { events, cursor, head, more } = page;
        let last = events.last().and_then(Frame::cursor).unwrap_or(self.cursor);
        let has_events = !events.is_empty();
        self.waiting.extend(events);
        if !more && !self.is_live {
            self.is_live = true;
            self.waiting.push_back(Frame::Live { cursor, head });
        } else if cursor > last {
            self.waiting.push_back(Frame::Checkpoint { cursor });
        } else if !has_events {
            self.waiting.push_back(Frame::Heartbeat { head });
        }
        self.cursor = self.cursor.max(cursor);
    }
}

async fn ask(mut session: Box<Session>, cursor: Cursor, is_live: bool) -> (Box<Session>, Outcome) {
    if session.is_sent_away() {
        return (session, Outcome::Over);
    }
    let outcome = match session.after(cursor, is_live).await {
        Ok(page) => Outcome::Page(page),
        Err(End::Away(failure)) => {
            tracing::debug!(error = %failure.error, "the server went away between two polls");
            Outcome::Over
        }
        Err(End::Broke(error)) => Outcome::Failed(error),
        Err(End::Refused(failure)) => refused(&mut session, failure).await,
    };
    (session, outcome)
}

async fn refused(session: &mut Session, failure: Failure) -> Outcome {
    let Failure { error, retry_after, code, .. } = failure;
    let code = code.unwrap_or_else(|| "unavailable".to_owned());
    if error.is_other_history() {
        return match session.head().await {
            Ok(head) => Outcome::Last(Frame::Reset { reason: code, head }),
            Err(_) => Outcome::Failed(error),
        };
    }
    match retry_after {
        Some(pause) => {
            let reconnect_after = session.spread(pause);
            Outcome::Last(Frame::Bye { reason: code, reconnect_after })
        }
        None => Outcome::Failed(error),
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames")
            .field("cursor", &self.cursor)
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}
