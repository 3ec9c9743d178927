use std::sync::Arc;

use futures::FutureExt;

use super::cached_page::CachedPage;
use super::hub_stats::count;
use super::page_cache::Reading;
use super::page_read::read_page;
use super::page_room::PageRoom;
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
    pending: Option<PendingRead>,
}

/// A read of the page after this cursor.
#[derive(Debug)]
struct PendingRead {
    after: Cursor,
    is_filtered: bool,
    reading: Reading,
    /// Held as long as the page may wait here.
    room: PageRoom,
}

impl PendingRead {
    fn is_of(&self, wanted: &Filter, after: Cursor) -> bool {
        self.after == after && self.is_filtered != wanted.is_everything()
    }
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
        let all = Filter::everything();
        let wanted = if self.reads_filtered(shared, after, head) { filter } else { &all };
        let page = match self.read_before(wanted, after) {
            Some(page) => page,
            None => match shared.pages.get(wanted, after) {
                Some(page) => {
                    let pending = self.pending.take();
                    // What it has begun to read itself, or joined, was counted then.
                    if pending.is_none_or(|pending| pending.after != after) {
                        count(&shared.counters.shared_pages);
                    }
                    page
                }
                None => self.read(shared, wanted, after).await?,
            },
        };
        self.is_sparse = is_sparse(&page, filter, wanted);
        Ok(page)
    }

    /// The page that was read ahead. That of the cache may end earlier, and would be kept for longer.
    fn read_before(&mut self, wanted: &Filter, after: Cursor) -> Option<Arc<CachedPage>> {
        let pending = self.pending.as_ref().filter(|pending| pending.is_of(wanted, after))?;
        let page = pending.reading.clone().now_or_never()?.ok()?;
        self.pending = None;
        self.reads += 1;
        Some(page)
    }

    /// Begins to read the page after `after`, which the subscription will ask for when
    /// it has examined the page before it.
    pub(super) fn read_ahead(
        &mut self,
        shared: &Arc<Shared>,
        filter: &Filter,
        (after, head): (Cursor, Cursor),
        room: PageRoom,
    ) {
        let all = Filter::everything();
        let wanted = if self.reads_filtered(shared, after, head) { filter } else { &all };
        if after.position() >= head.position() || shared.pages.get(wanted, after).is_some() {
            return;
        }
        let mut pending = self.begin(shared, wanted, after);
        pending.room = room;
        // The read begins when it is polled, and wakes no one before it is polled again.
        pending.reading.clone().now_or_never();
        self.pending = Some(pending);
    }

    async fn read(
        &mut self,
        shared: &Arc<Shared>,
        wanted: &Filter,
        after: Cursor,
    ) -> Result<Arc<CachedPage>> {
        let read = || {
            let is_wanted = |pending: &PendingRead| {
                let has_failed = matches!(pending.reading.peek(), Some(Err(_)));
                pending.is_of(wanted, after) && !has_failed
            };
            let pending = self.pending.take().filter(is_wanted);
            let pending = pending.unwrap_or_else(|| self.begin(shared, wanted, after));
            self.pending.insert(pending).reading.clone()
        };
        let outcome = shared.retry(read).await;
        self.pending = None;
        self.reads += 1;
        outcome
    }

    fn begin(&self, shared: &Arc<Shared>, wanted: &Filter, after: Cursor) -> PendingRead {
        // With a filter, the store may search the whole log for a page.
        let is_short = self.reads < SHORT_READS && wanted.is_everything();
        let priority = if is_short { Priority::High } else { Priority::Low };
        let reading = read_page(shared, wanted, after, priority);
        let room = PageRoom::default();
        PendingRead { after, is_filtered: !wanted.is_everything(), reading, room }
    }

    /// Whether only matching events are read.
    fn reads_filtered(&self, shared: &Shared, after: Cursor, head: Cursor) -> bool {
        let pages_left = head.position().get().saturating_sub(after.position().get())
            / u64::try_from(shared.tuning.page_events).unwrap_or(u64::MAX);
        self.is_sparse && pages_left > NEAR_PAGES
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
