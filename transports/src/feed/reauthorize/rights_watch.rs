use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use downlink::{After, Cursor, Filter, Position};
use futures::FutureExt;
use http::StatusCode;
use http::request::Parts;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::lingering::{Answered, Return};
use super::narrower::is_within;
use super::registry::Registration;
use super::{pending, wider};
use crate::feed::detached::detached;
use crate::feed::feed::Feed;
use crate::feed::rights::Rights;
use crate::wire::Problem;

/// How long a stream that has stopped waits to learn how its rights have changed.
const DECISION_TIMEOUT: Duration = Duration::from_millis(500);

/// Tells what is open for a client when its rights change. Nothing is sent from then on.
#[derive(Debug)]
pub(in crate::feed) struct RightsWatch(Option<Box<Watched>>);

/// How rights have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::feed) enum RightsChange {
    /// Nothing is visible that was not: the client goes on from its cursor.
    Narrower,
    /// Something may be visible that was hidden, and the cursor may have passed it.
    Wider,
}

struct Watched {
    registration: Registration,
    feed: Arc<Feed>,
    request: Parts,
    /// What the client may have been shown, everything else may have been hidden from it.
    filter: Mutex<Filter>,
    /// Whether the authorizer knows of wider rights before their event was read.
    is_ahead: AtomicBool,
    /// The cursor with which the client returns, if it is known.
    cursor: OnceLock<Cursor>,
    /// Whether the request was refused. What it came back from is still expected then.
    is_refused: AtomicBool,
    /// Whether the client was told to load again.
    is_told: AtomicBool,
}

impl RightsWatch {
    /// Of rights that do not change.
    pub(in crate::feed) fn none() -> Self {
        Self(None)
    }

    pub(in crate::feed) fn new(
        registration: Registration,
        feed: &Arc<Feed>,
        parts: &Parts,
        rights: &Rights,
    ) -> Self {
        let (feed, request) = (Arc::clone(feed), detached(parts));
        let filter = Mutex::new(rights.filter().clone());
        Self(Some(Box::new(Watched {
            registration,
            feed,
            request,
            filter,
            is_ahead: AtomicBool::new(false),
            cursor: OnceLock::new(),
            is_refused: AtomicBool::new(false),
            is_told: AtomicBool::new(false),
        })))
    }

    pub(in crate::feed) fn have_changed(&self) -> bool {
        self.0.as_ref().is_some_and(|watched| watched.registration.has_changed())
    }

    /// Cancelled by a change and when the hub is shut down; `None` if the rights do not
    /// change.
    pub(in crate::feed) fn ends(&self) -> Option<&CancellationToken> {
        Some(self.0.as_ref()?.registration.ends())
    }

    /// The output of `work`, unless the rights change before it is used.
    pub(in crate::feed) async fn unless_changed<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let Some(ends) = self.ends() else { return Some(work.await) };
        let output = ends.run_until_cancelled(work).await;
        output.filter(|_| !self.have_changed())
    }

    /// Refuses to go on from a cursor if wider rights came since its client was here before.
    pub(in crate::feed) async fn check_return(&self, after: After) -> Result<(), Problem> {
        let (Some(watched), After::Cursor(cursor)) = (&self.0, after) else { return Ok(()) };
        if cursor == Cursor::START {
            return Ok(());
        }
        watched.check_return(cursor.position())?;
        let checked = watched.check_log().boxed().await;
        if checked.is_err() {
            // The client may be back with this cursor, if it misses the answer.
            let _first = watched.cursor.set(cursor);
        }
        checked
    }

    /// Refuses to answer with a page if wider rights came before it, and else keeps its cursor.
    pub(in crate::feed) async fn check_page(&self, cursor: Cursor) -> Result<(), Problem> {
        let Some(watched) = &self.0 else { return Ok(()) };
        watched.check_log().boxed().await?;
        let _first = watched.cursor.set(cursor);
        Ok(())
    }

    /// How the rights have changed. Unknown counts as wider, so that nothing is missed.
    pub(in crate::feed) async fn change(&self) -> RightsChange {
        let Some(watched) = &self.0 else { return RightsChange::Narrower };
        let change = match timeout(DECISION_TIMEOUT, watched.rights().boxed()).await {
            Ok(Ok(rights)) if is_within(rights.filter(), &watched.filter()) => {
                RightsChange::Narrower
            }
            Ok(Err(problem)) if is_refusal(&problem) => RightsChange::Narrower,
            _ => RightsChange::Wider,
        };
        watched.is_told.store(change == RightsChange::Wider, Ordering::SeqCst);
        change
    }

    /// The problem of a page or a poll whose rights have changed.
    pub(in crate::feed) async fn problem(&self) -> Problem {
        match self.change().await {
            RightsChange::Narrower => pending(),
            RightsChange::Wider => wider(),
        }
    }
}

/// Watches on until the client of what ends now is back. If its rights have changed, it stays
/// expected with those that it had: it may not have heard that it is to load again, and if it was
/// told to go on, they may have become wider when it is back.
impl Drop for RightsWatch {
    fn drop(&mut self) {
        let Some(watched) = self.0.take() else { return };
        if watched.is_refused.load(Ordering::SeqCst) {
            return;
        }
        let filter = watched.filter().clone();
        let Watched { registration, feed, cursor, is_told, .. } = *watched;
        let answered = match cursor.get() {
            Some(cursor) => Answered::page(registration, filter, cursor.position()),
            // Only what is before the change tells one that has loaded again from the others.
            None if is_told.into_inner() => Answered::stream(registration, filter, Position::ZERO),
            None => Answered::stream(registration, filter, feed.hub.cached_head().position()),
        };
        if let Some(reauthorizer) = &feed.reauthorizer {
            reauthorizer.0.lingering.expect(answered);
        }
    }
}

impl Watched {
    fn filter(&self) -> MutexGuard<'_, Filter> {
        self.filter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares the rights with those of when a client of this principal was here before.
    ///
    /// They may be other rights although no change was read: the authorizer may know of one
    /// first. Then what both allow counts as the rights, until the change is read.
    fn check_return(&self, cursor: Position) -> Result<(), Problem> {
        let Some(reauthorizer) = &self.feed.reauthorizer else { return Ok(()) };
        let principal = self.registration.principal();
        let mut filter = self.filter();
        match reauthorizer.0.lingering.returned(principal, cursor, &filter) {
            Return::Known => {}
            Return::Wider => {
                self.is_refused.store(true, Ordering::SeqCst);
                return Err(wider());
            }
            Return::Ahead(before) => {
                *filter = if is_within(&before, &filter) {
                    before
                } else {
                    filter.clone().and(&before).map_err(|_| wider())?
                };
                self.is_ahead.store(true, Ordering::SeqCst);
            }
        }
        Ok(())
    }

    /// Refuses to go on with rights that are ahead of a change that is stored.
    async fn check_log(&self) -> Result<(), Problem> {
        let Some(reauthorizer) = &self.feed.reauthorizer else { return Ok(()) };
        if !self.is_ahead.load(Ordering::SeqCst) {
            return Ok(());
        }
        let principal = self.registration.principal();
        let is_stored = reauthorizer.is_behind(principal, &self.feed.hub).await?;
        if is_stored || self.registration.has_changed() { Err(wider()) } else { Ok(()) }
    }

    async fn rights(&self) -> Result<Rights, Problem> {
        if let Some(reauthorizer) = &self.feed.reauthorizer {
            reauthorizer.settle(self.registration.principal()).await?;
        }
        self.feed.authorize(&self.request).await
    }
}

fn is_refusal(problem: &Problem) -> bool {
    matches!(problem.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.registration.fmt(f)
    }
}
