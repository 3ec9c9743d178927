use std::sync::Arc;

use super::pages::{Pages, Reading};
use super::shared::Shared;
use super::stats::count;
use super::stretch::Stretch;
use super::turns::Need;
use crate::{Cursor, Filter, Result};

/// If fewer than one event in so many matches, the store looks for the next
/// ones: it may have an index.
const SPARSE: usize = 8;

/// So many pages before the head all events are read, whatever the filter:
/// after a restart everybody comes back to there.
const NEAR_PAGES: u64 = 16;

/// A subscription that has read more pages than this is a replay.
const SHORT_READS: usize = 4;

/// How a subscription that is behind reads the store.
///
/// All events are read if many of them match, because others want these pages
/// too, whatever their filter; only what matches, if hardly any does.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    reads: usize,
    is_sparse: bool,
    /// Held while it is waited for, so that a dropped future does not lose its
    /// place in the queue.
    reading: Option<Reading>,
}

impl CatchUp {
    /// What comes after `after`, from memory or the store; the head is where
    /// the subscription is going. Passing failures are waited out.
    pub(super) async fn next(
        &mut self,
        shared: &Arc<Shared>,
        filter: &Filter,
        after: Cursor,
        head: Cursor,
    ) -> Result<Arc<Stretch>> {
        let pages_left = head.position().get().saturating_sub(after.position().get())
            / u64::try_from(shared.tuning.page_events).unwrap_or(u64::MAX);
        let all = Filter::everything();
        let wanted = if self.is_sparse && pages_left > NEAR_PAGES { filter } else { &all };
        let stretch = match shared.pages.kept(wanted, after) {
            Some(stretch) => {
                self.reading = None;
                count(&shared.counters.shared_pages);
                stretch
            }
            None => self.read(shared, wanted, after).await?,
        };
        self.is_sparse = is_sparse(&stretch, filter, wanted);
        Ok(stretch)
    }

    async fn read(
        &mut self,
        shared: &Arc<Shared>,
        wanted: &Filter,
        after: Cursor,
    ) -> Result<Arc<Stretch>> {
        let need = if self.reads < SHORT_READS { Need::Short } else { Need::Long };
        let place = &mut self.reading;
        let read = || {
            let has_failed = |reading: &Reading| matches!(reading.peek(), Some(Err(_)));
            let reading = place.take().filter(|reading| !has_failed(reading));
            let reading = reading.unwrap_or_else(|| Pages::reading(shared, wanted, after, need));
            place.insert(reading).clone()
        };
        let outcome = shared.until_it_works(read).await;
        self.reading = None;
        self.reads += 1;
        outcome
    }
}

/// Whether few of the events in a stretch match the filter.
fn is_sparse(stretch: &Stretch, filter: &Filter, read: &Filter) -> bool {
    let events = &stretch.events;
    if filter.is_everything() {
        return false;
    }
    if read.is_everything() {
        let matching = events.iter().filter(|event| filter.matches_event(event)).count();
        return matching * SPARSE < events.len();
    }
    let positions = stretch.to.position().get() - stretch.from.position().get();
    u64::try_from(events.len() * SPARSE).unwrap_or(u64::MAX) < positions
}
