use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::sleep;

use super::cached_page::CachedPage;
use super::catch_up::CatchUp;
use super::shared::Shared;
use crate::cursor::Cursor;
use crate::error::Result;
use crate::filter::Filter;
use crate::store::Read;

/// Something that a subscription waits for, other than new events. Kept in the
/// subscription, so that dropping a future that waits for an item loses nothing, and
/// boxed, because most subscriptions wait for events.
pub(super) struct StoreStep {
    /// Never locked: a subscription is `Sync`, which a future need not be.
    future: Mutex<BoxFuture<'static, StepResult>>,
}

/// What the subscription goes on with.
pub(super) enum StepResult {
    /// The cursor is of this log, whose end this is.
    Begun(Result<Cursor>),
    /// The end of the log.
    Behind(Result<Cursor>),
    Page {
        catch_up: Box<CatchUp>,
        page: Result<Arc<CachedPage>>,
        head: Cursor,
    },
    Paused,
}

impl StoreStep {
    pub(super) fn verify(shared: &Arc<Shared>, cursor: Cursor) -> Self {
        let shared = Arc::clone(shared);
        let read = Read::log().with_after(cursor).with_limit(0);
        Self::of(async move {
            let page = shared.retry(|| shared.read_log(read.clone())).await;
            StepResult::Begun(page.map(|page| page.head))
        })
    }

    pub(super) fn fall_behind(shared: &Arc<Shared>) -> Self {
        let shared = Arc::clone(shared);
        Self::of(async move { StepResult::Behind(shared.retry(|| shared.store.head()).await) })
    }

    /// Reads the page after `after`, on the way to `head`.
    pub(super) fn read_page(
        shared: &Arc<Shared>,
        mut catch_up: Box<CatchUp>,
        filter: Filter,
        after: Cursor,
        head: Cursor,
    ) -> Self {
        let shared = Arc::clone(shared);
        Self::of(async move {
            let page = catch_up.next(&shared, &filter, after, head).await;
            StepResult::Page { catch_up, page, head }
        })
    }

    pub(super) fn pause(duration: Duration) -> Self {
        Self::of(sleep(duration).map(|()| StepResult::Paused))
    }

    fn of(step: impl Future<Output = StepResult> + Send + 'static) -> Self {
        Self { future: Mutex::new(step.boxed()) }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<StepResult> {
        self.future.get_mut().unwrap_or_else(PoisonError::into_inner).poll_unpin(cx)
    }
}
