use std::sync::Arc;

use super::cached_page::CachedPage;
use super::hub_stats::count;
use super::page_cache::Reading;
use super::page_read::read_page;
use super::read_limiter::Priority;
use super::shared::Shared;
use crate::cursor::Cursor;
use crate::error::Result;
use crate::filter::Filter;

/// If fewer than one event in this many matches, the store filters: it may have
/// an index.
const SPARSE: usize = 8;

/// Within this many pages before the head, all events are read, whatever the
/// filter: after a restart, most subscriptions resume there and share the
/// pages.
const NEAR_PAGES: u64 = 16;

/// A subscription that has read more pages than this counts as a replay.
const SHORT_READS: usize = 4;

/// Reads the store for a subscription that is behind.
///
/// If many events match, it reads unfiltered pages, which can be shared with
/// subscriptions of other filters. If few events match, it reads only those.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    reads: usize,
    is_sparse: bool,
    /// The read in progress. Kept here so that a dropped future does not lose
    /// its place in the queue.
    reading: Option<Reading>,
}

impl CatchUp {
    /// The page after `after`, from the cache or the store. `head` is the end
    /// of the log up to which the subscription catches up. Transient errors are
    /// retried.
    pub(super) async fn next(
        &mut self,
        shared: &Arc<Shared>,
        filter: &Filter,
        after: Cursor,
        head: Cursor,
    ) -> Result<Arc<CachedPage>> {
        let pages_left = head.position().get().saturating_sub(after.position().get())
            / u64::try_from(shared.tuning.page_events).unwrap_or(u64::MAX);
        let all = Filter::everything();
        let wanted = if self.is_sparse && pages_left > NEAR_PAGES { filter } else { &all };
        let page = match shared.pages.get(wanted, after) {
            Some(page) => {
                self.reading = None;
                count(&shared.counters.shared_pages);
                page
            }
            None => self.read(shared, wanted, after).await?,
        };
        self.is_sparse = is_sparse(&page, filter, wanted);
        Ok(page)
    }

    async fn read(
        &mut self,
        shared: &Arc<Shared>,
        wanted: &Filter,
        after: Cursor,
    ) -> Result<Arc<CachedPage>> {
        // With a filter, the store may search the whole log for a page.
        let is_short = self.reads < SHORT_READS && wanted.is_everything();
        let priority = if is_short { Priority::High } else { Priority::Low };
        let place = &mut self.reading;
        let read = || {
            let has_failed = |reading: &Reading| matches!(reading.peek(), Some(Err(_)));
            let reading = place.take().filter(|reading| !has_failed(reading));
            let reading = reading.unwrap_or_else(|| read_page(shared, wanted, after, priority));
            place.insert(reading).clone()
        };
        let outcome = shared.retry(read).await;
        self.reading = None;
        self.reads += 1;
        outcome
    }
}

/// Whether few of a page's events match the filter.
fn is_sparse(page: &CachedPage, filter: &Filter, read: &Filter) -> bool {
    let events = &page.events;
    if filter.is_everything() {
        return false;
    }
    if read.is_everything() {
        let matching = events.iter().filter(|event| filter.matches_event(event)).count();
        return matching * SPARSE < events.len();
    }
    let positions = page.to.position().get() - page.from.position().get();
    u64::try_from(events.len() * SPARSE).unwrap_or(u64::MAX) < positions
}
