use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use downlink::{After, Cursor, Filter, Position};
use http::StatusCode;
use http::request::Parts;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::lingering::Answered;
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
    /// The cursor of the answer, if it is a page.
    cursor: OnceLock<Cursor>,
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
        let (is_ahead, cursor) = (AtomicBool::new(false), OnceLock::new());
        Self(Some(Box::new(Watched { registration, feed, request, filter, is_ahead, cursor })))
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
        watched.check_log().await
    }

    /// Refuses to answer with a page if wider rights came before it, and else keeps its cursor.
    pub(in crate::feed) async fn check_page(&self, cursor: Cursor) -> Result<(), Problem> {
        let Some(watched) = &self.0 else { return Ok(()) };
        watched.check_log().await?;
        let _first = watched.cursor.set(cursor);
        Ok(())
    }

    /// How the rights have changed. Unknown counts as wider, so that nothing is missed.
    pub(in crate::feed) async fn change(&self) -> RightsChange {
        let Some(watched) = &self.0 else { return RightsChange::Narrower };
        match timeout(DECISION_TIMEOUT, watched.rights()).await {
            Ok(Ok(rights)) if is_within(rights.filter(), &watched.filter()) => {
                RightsChange::Narrower
            }
            Ok(Err(problem)) if is_refusal(&problem) => RightsChange::Narrower,
            _ => RightsChange::Wider,
        }
    }

    /// The problem of a page or a poll whose rights have changed.
    pub(in crate::feed) async fn problem(&self) -> Problem {
        match self.change().await {
            RightsChange::Narrower => pending(),
            RightsChange::Wider => wider(),
        }
    }
}

/// Watches on until the client of what ends now is back. A client whose rights have changed was
/// told.
impl Drop for RightsWatch {
    fn drop(&mut self) {
        let Some(watched) = self.0.take().filter(|watched| !watched.registration.has_changed())
        else {
            return;
        };
        let filter = watched.filter().clone();
        let Watched { registration, feed, cursor, .. } = *watched;
        let answered = match cursor.get() {
            Some(cursor) => Answered::page(registration, filter, cursor.position()),
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
        let lingering = &reauthorizer.0.lingering;
        let Some(before) = lingering.returned(self.registration.principal(), cursor) else {
            return Ok(());
        };
        let mut filter = self.filter();
        if is_within(&filter, &before.filter) {
            return Ok(());
        }
        if before.has_changed {
            return Err(wider());
        }
        *filter = if is_within(&before.filter, &filter) {
            before.filter
        } else {
            filter.clone().and(&before.filter).map_err(|_| wider())?
        };
        self.is_ahead.store(true, Ordering::SeqCst);
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
