use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared as SharedFuture, WeakShared};
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use super::ring::cost;
use super::shared::Shared;
use super::stats::count;
use super::stretch::Stretch;
use super::turns::{Need, Turns};
use crate::{Cursor, Error, ErrorKind, Filter, Position, Read, Result};

/// What subscriptions read from the store, shared by all of them: whoever wants
/// what another one is reading waits for the same read, and what was read is
/// kept, bounded in bytes, for those who come by next.
///
/// # Another history
///
/// Only what is at or below the tip that the tail had before the read began is
/// kept. If the log is replaced by one that has other events there, the tail
/// notices, and everything is forgotten with the same step that tells every
/// subscription. And a stretch serves only cursors that it has an event for, so
/// whoever got one of another history is refused at the next.
#[derive(Debug)]
pub(super) struct Pages {
    turns: Turns,
    max_bytes: usize,
    state: Mutex<State>,
}

/// The memory that a stretch is counted with besides its events.
const OVERHEAD: usize = 512;

/// A read that several may wait for. It is a task, since who waits for it may
/// be busy with something else for long; it ends when nobody waits any more.
pub(super) type Reading = SharedFuture<BoxFuture<'static, Result<Arc<Stretch>>>>;

#[derive(Default)]
struct State {
    drawers: HashMap<Arc<Filter>, Drawer>,
    /// What is kept, in the order in which it may be given up.
    order: VecDeque<(Arc<Filter>, Position)>,
    bytes: usize,
    /// Counts the reads, so that each knows its own entry.
    reads: u64,
    /// Counts how often everything was forgotten.
    forgotten: u64,
}

/// What there is of one filter.
#[derive(Default)]
struct Drawer {
    /// By the position after which they begin.
    kept: BTreeMap<Position, Kept>,
    readings: HashMap<Cursor, UnderWay>,
}

struct Kept {
    stretch: Arc<Stretch>,
    bytes: usize,
    /// Since it was last passed over.
    used: bool,
}

struct UnderWay {
    number: u64,
    reading: WeakShared<BoxFuture<'static, Result<Arc<Stretch>>>>,
}

/// What is to be read, and what the read has to know when it ends.
struct Order {
    shared: Arc<Shared>,
    filter: Arc<Filter>,
    from: Cursor,
    need: Need,
    number: u64,
    forgotten: u64,
}

impl Pages {
    pub(super) fn new(turns: usize, max_bytes: usize) -> Self {
        Self { turns: Turns::new(turns), max_bytes, state: Mutex::default() }
    }

    /// What is kept of this filter from the cursor on.
    pub(super) fn kept(&self, filter: &Filter, cursor: Cursor) -> Option<Arc<Stretch>> {
        let mut state = self.state();
        let kept = &mut state.drawers.get_mut(filter)?.kept;
        let (_, nearest) = kept.range_mut(..=cursor.position()).next_back()?;
        nearest.stretch.holds(cursor).then(|| {
            nearest.used = true;
            Arc::clone(&nearest.stretch)
        })
    }

    /// The read of this filter from the cursor on: the one that is under way, or
    /// a new one.
    pub(super) fn reading(
        shared: &Arc<Shared>,
        filter: &Filter,
        from: Cursor,
        need: Need,
    ) -> Reading {
        let mut state = shared.pages.state();
        let under_way = state.drawers.get(filter).and_then(|drawer| drawer.readings.get(&from));
        if let Some(reading) = under_way.and_then(|under_way| under_way.reading.upgrade()) {
            count(&shared.counters.shared_pages);
            return reading;
        }
        state.reads += 1;
        let filter = state.name_of(filter);
        let (number, forgotten) = (state.reads, state.forgotten);
        let shared = Arc::clone(shared);
        let order = Order { shared, filter: Arc::clone(&filter), from, need, number, forgotten };
        // Spawned when it is first waited for: not under the lock, which its end takes.
        let reading = async {
            let task = AbortOnDropHandle::new(tokio::spawn(order.read()));
            task.await.unwrap_or_else(|error| Err(died(error)))
        };
        let reading = reading.boxed().shared();
        let weak = reading.downgrade().expect("it was not polled");
        let drawer = state.drawers.entry(filter).or_default();
        drawer.readings.insert(from, UnderWay { number, reading: weak });
        reading
    }

    /// Forgets everything: the log is another one.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        *state = State { reads: state.reads, forgotten: state.forgotten + 1, ..State::default() };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    async fn read(self) -> Result<Arc<Stretch>> {
        let Shared { store, tuning, pages, counters, .. } = &*self.shared;
        let _turn = pages.turns.next(self.need).await;
        let tip = self.shared.tip();
        let read = Read::log()
            .resume(self.from)
            .filter(Filter::clone(&self.filter))
            .limit(tuning.page_events)
            .max_bytes(tuning.page_bytes);
        let page = store.read(read).await?;
        count(&counters.page_reads);
        let stretch = Arc::new(Stretch::new(self.from, page));
        if stretch.to.position() <= tip.position() {
            self.keep(Arc::clone(&stretch));
        } else if let Some(part) = stretch.up_to(tip) {
            self.keep(Arc::new(part));
        }
        Ok(stretch)
    }

    fn keep(&self, stretch: Arc<Stretch>) {
        let Pages { max_bytes, .. } = self.shared.pages;
        let mut state = self.shared.pages.state();
        let bytes = stretch.events.iter().map(cost).sum::<usize>() + OVERHEAD;
        if state.forgotten == self.forgotten && bytes <= max_bytes {
            state.keep(&self.filter, Kept { stretch, bytes, used: false });
            state.give_up(max_bytes);
        }
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        self.shared.pages.state().ended(&self.filter, self.from, self.number);
    }
}

impl State {
    /// The filter as it is shared by everything that is kept of it.
    fn name_of(&self, filter: &Filter) -> Arc<Filter> {
        let known = self.drawers.get_key_value(filter);
        known.map_or_else(|| Arc::new(filter.clone()), |(known, _)| Arc::clone(known))
    }

    fn keep(&mut self, filter: &Arc<Filter>, kept: Kept) {
        let from = kept.stretch.from.position();
        self.bytes += kept.bytes;
        let drawer = self.drawers.entry(Arc::clone(filter)).or_default();
        match drawer.kept.insert(from, kept) {
            // Its place in the order serves the new one.
            Some(older) => self.bytes -= older.bytes,
            None => self.order.push_back((Arc::clone(filter), from)),
        }
    }

    /// Gives up the oldest, except what was used since it was last passed over.
    fn give_up(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes {
            let Some((filter, from)) = self.order.pop_front() else { return };
            let Some(drawer) = self.drawers.get_mut(&filter) else { continue };
            let Some(kept) = drawer.kept.get_mut(&from) else { continue };
            if kept.used {
                kept.used = false;
                self.order.push_back((filter, from));
                continue;
            }
            self.bytes -= kept.bytes;
            drawer.kept.remove(&from);
            self.tidy(&filter);
        }
    }

    /// A read ended, whether anybody still wanted it or not.
    fn ended(&mut self, filter: &Arc<Filter>, from: Cursor, number: u64) {
        let Some(drawer) = self.drawers.get_mut(filter) else { return };
        if drawer.readings.get(&from).is_some_and(|under_way| under_way.number == number) {
            drawer.readings.remove(&from);
        }
        self.tidy(filter);
    }

    fn tidy(&mut self, filter: &Arc<Filter>) {
        let is_empty = |drawer: &Drawer| drawer.kept.is_empty() && drawer.readings.is_empty();
        if self.drawers.get(filter).is_some_and(is_empty) {
            self.drawers.remove(filter);
        }
    }
}

fn died(error: JoinError) -> Error {
    Error::with_source(ErrorKind::Backend, "a read of the log ended without an answer", error)
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("kept", &self.order.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
