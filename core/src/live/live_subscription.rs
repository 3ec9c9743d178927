use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::key::{End, Key, State};
use super::keys::Seat;
use super::{Answer, Change, LiveError, RowsHash, Token};
use crate::cursor::Cursor;
use crate::error::ErrorKind;
use crate::hub::HubLink;

/// What changed for a subscriber of a live query.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Update {
    /// The whole answer.
    Result(Arc<Answer>),
    /// The change from the rows that the subscriber has.
    Rows(Arc<Change>),
    /// The rows are the same, as of a later cursor.
    Checkpoint(Arc<Answer>),
    /// The query could not be evaluated. The rows stay, and the evaluation is repeated.
    Failed(Arc<LiveError>),
    /// The log was replaced: what the subscriber has is void. Nothing follows.
    Reset {
        /// [`HistoryChanged`](ErrorKind::HistoryChanged) or
        /// [`CursorAhead`](ErrorKind::CursorAhead).
        reason: ErrorKind,
        /// The end of the new log.
        head: Cursor,
    },
}

/// A subscription to a live query, which yields an update whenever the answer has changed.
///
/// There is no queue: a slow subscriber gets the newest answer, and it is all that the
/// subscription remembers which rows the subscriber has. Dropping it ends it.
pub struct LiveSubscription {
    key: Arc<Key>,
    states: watch::Receiver<State>,
    hub: HubLink,
    member: Arc<str>,
    sent: Option<Token>,
    /// Whether `sent` comes from the client, and is not known to be an answer of this server.
    is_resumed: bool,
    /// No answer before this cursor is sent: it would go back.
    at_least: Cursor,
    /// The failure that was sent last, as long as it lasts.
    failure: Option<Arc<LiveError>>,
    has_ended: bool,
    _seat: Seat,
}

impl LiveSubscription {
    pub(super) fn new(
        key: Arc<Key>,
        states: watch::Receiver<State>,
        seat: Seat,
        hub: HubLink,
        member: Arc<str>,
        after: Option<Token>,
        at_least: Cursor,
    ) -> Self {
        Self {
            key,
            states,
            hub,
            member,
            sent: after,
            is_resumed: true,
            at_least,
            failure: None,
            has_ended: false,
            _seat: seat,
        }
    }

    /// The member of the rows that is their key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.member
    }

    /// The end of the log as far as the hub has read it.
    #[must_use]
    pub fn cached_head(&self) -> Cursor {
        self.hub.cached_head()
    }

    /// What the subscriber holds now, if it holds anything.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        self.sent
    }

    /// Waits for the next update. Returns `None` after a reset, and after the hub was shut
    /// down.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Update> {
        loop {
            if self.has_ended {
                return None;
            }
            let state = self.states.borrow_and_update().clone();
            if let Some(update) = self.update(&state) {
                return Some(update);
            }
            if let Some(end) = state.end {
                self.has_ended = true;
                let End::Reset { reason, head } = end else { return None };
                return Some(Update::Reset { reason, head });
            }
            // The sender lives as long as `self.key`.
            self.states.changed().await.ok()?;
        }
    }

    /// As [`next`](Self::next), if there is an update now.
    pub fn try_next(&mut self) -> Option<Update> {
        if self.has_ended {
            return None;
        }
        let state = self.states.borrow_and_update().clone();
        self.update(&state)
    }

    fn update(&mut self, state: &State) -> Option<Update> {
        let answer = state.answer.as_ref();
        let answer = answer.filter(|answer| answer.token().cursor >= self.at_least);
        if let Some(update) = answer.and_then(|answer| self.answered(answer, state)) {
            return Some(update);
        }
        let is_new = match (&self.failure, &state.failure) {
            (Some(sent), Some(failure)) => !Arc::ptr_eq(sent, failure),
            (None, failure) => failure.is_some(),
            (Some(_), None) => false,
        };
        self.failure.clone_from(&state.failure);
        state.failure.clone().filter(|_| is_new).map(Update::Failed)
    }

    fn answered(&mut self, answer: &Arc<Answer>, state: &State) -> Option<Update> {
        let token = answer.token();
        let is_resumed = std::mem::take(&mut self.is_resumed);
        let has_base = |base: RowsHash| move |change: &&Arc<Change>| change.base() == base;
        let update = match self.sent {
            Some(sent) if sent.hash == token.hash => {
                let is_news = is_resumed || sent.cursor < token.cursor;
                is_news.then(|| Update::Checkpoint(Arc::clone(answer)))?
            }
            Some(sent) if !is_resumed => {
                let change = state.change.as_ref().filter(has_base(sent.hash));
                match change {
                    Some(change) => Update::Rows(Arc::clone(change)),
                    None => Update::Result(Arc::clone(answer)),
                }
            }
            _ => Update::Result(Arc::clone(answer)),
        };
        self.sent = Some(match &update {
            Update::Rows(change) => change.token(),
            _ => token,
        });
        Some(update)
    }

    /// The newest answer, and whether the last evaluation has failed.
    pub(super) fn newest(&self) -> (Option<Arc<Answer>>, Option<Arc<LiveError>>, Option<End>) {
        let state = self.states.borrow();
        (state.answer.clone(), state.failure.clone(), state.end)
    }

    pub(super) fn key_of(&self) -> &Arc<Key> {
        &self.key
    }
}

impl fmt::Debug for LiveSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveSubscription").field("sent", &self.sent).finish_non_exhaustive()
    }
}
