use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{BoxFuture, Shared as SharedFuture, WeakShared};

use super::cached_page::CachedPage;
use crate::cursor::Cursor;
use crate::error::Result;
use crate::filter::Filter;
use crate::id::Position;

/// A read that several subscriptions may wait for.
pub(super) type Reading = SharedFuture<BoxFuture<'static, Result<Arc<CachedPage>>>>;

type WeakReading = WeakShared<BoxFuture<'static, Result<Arc<CachedPage>>>>;

/// Pages that subscriptions read from the store, shared by all of them: a
/// subscription that needs a page that another one is reading waits for the
/// same read, and pages are kept, bounded in bytes, for later subscriptions.
///
/// # Another history
///
/// Only events at or below the tip that the tail had before the read began are
/// kept. If the log is replaced by one that has other events there, the tail
/// notices, and the cache is cleared in the same step that notifies every
/// subscription. In addition, a page serves only cursors that it has an event
/// for, so a subscription that received an event of another history is refused
/// at its next read.
///
/// # Neighbours
///
/// After a restart, subscriptions resume at many different places, most of them
/// within a few pages. What to read is therefore decided only when a read is
/// permitted: the page may be here by then, or another read may be about to
/// return it; if not, the page begins at the first waiting request that it can
/// serve.
#[derive(Debug)]
pub(super) struct PageCache {
    max_bytes: usize,
    state: Mutex<CacheState>,
}

impl PageCache {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, state: Mutex::default() }
    }

    /// The cached page of this filter that has an event at `cursor`.
    pub(super) fn get(&self, filter: &Filter, cursor: Cursor) -> Option<Arc<CachedPage>> {
        self.lock().get(filter, cursor)
    }

    pub(super) fn keep(&self, request: &PageRequest, page: Arc<CachedPage>) {
        self.lock().keep(request, page, self.max_bytes);
    }

    /// Forgets every page, because the log was replaced.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, CacheState> {
        // A poisoned lock is harmless: nothing panics between two changes that
        // belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be read, and what identifies the read when it ends.
#[derive(Clone, Debug)]
pub(super) struct PageRequest {
    pub(super) filter: Arc<Filter>,
    pub(super) from: Cursor,
    number: u64,
    /// How often the cache had been cleared when the request was made.
    generation: u64,
}

/// The cached pages and the reads in progress.
#[derive(Default)]
pub(super) struct CacheState {
    filters: HashMap<Arc<Filter>, FilterCache>,
    /// The cached pages, in the order in which they may be evicted.
    order: VecDeque<(Arc<Filter>, Position)>,
    bytes: usize,
    /// Counts the requests, which gives each a number of its own.
    requests: u64,
    /// Counts how often the cache was cleared.
    generation: u64,
}

/// The pages and reads of one filter.
#[derive(Default)]
struct FilterCache {
    /// By the position after which they begin.
    kept: BTreeMap<Position, Kept>,
    /// By the cursor from which they were requested.
    pending: BTreeMap<Cursor, Pending>,
    /// Those of them that have a permit.
    started: Vec<Started>,
}

struct Kept {
    page: Arc<CachedPage>,
    bytes: usize,
    /// Whether it was used since it was last considered for eviction.
    used: bool,
}

struct Pending {
    number: u64,
    reading: WeakReading,
}

/// A read in progress, and the cursor from which it reads.
struct Started {
    number: u64,
    from: Cursor,
    reading: WeakReading,
}

/// What to do once a read is permitted.
pub(super) enum NextRead {
    /// Use this page, which was read meanwhile.
    Use(Arc<CachedPage>),
    /// Wait for this read, which will return the page.
    Wait(Reading),
    /// Read from here.
    Read(Cursor),
}

impl CacheState {
    fn get(&mut self, filter: &Filter, cursor: Cursor) -> Option<Arc<CachedPage>> {
        self.filters.get_mut(filter)?.get(cursor)
    }

    pub(super) fn in_progress(&self, filter: &Filter, from: Cursor) -> Option<Reading> {
        self.filters.get(filter)?.pending.get(&from)?.reading.upgrade()
    }

    /// A request for the page of `filter` that begins after `from`.
    pub(super) fn next_request(&mut self, filter: &Filter, from: Cursor) -> PageRequest {
        let shared = self.filters.get_key_value(filter).map(|(shared, _)| Arc::clone(shared));
        let filter = shared.unwrap_or_else(|| Arc::new(filter.clone()));
        self.requests += 1;
        PageRequest { filter, from, number: self.requests, generation: self.generation }
    }

    pub(super) fn add(&mut self, request: &PageRequest, reading: &Reading) {
        let reading = reading.downgrade().expect("it was not polled");
        let cache = self.filters.entry(Arc::clone(&request.filter)).or_default();
        cache.pending.insert(request.from, Pending { number: request.number, reading });
    }

    fn clear(&mut self) {
        let (requests, generation) = (self.requests, self.generation + 1);
        *self = Self { requests, generation, ..Self::default() };
    }

    /// What to do for a request that has a permit. Other reads and waiting
    /// requests are considered if they begin less than `reach` positions
    /// before.
    pub(super) fn next_read(&mut self, request: &PageRequest, reach: usize) -> NextRead {
        let Some(cache) = self.filters.get_mut(&request.filter) else {
            return NextRead::Read(request.from);
        };
        if let Some(page) = cache.get(request.from) {
            return NextRead::Use(page);
        }
        if let Some(reading) = cache.started_before(request.from, reach) {
            return NextRead::Wait(reading);
        }
        let from = cache.first_waiting(request.from, reach);
        let own = cache.pending.get(&request.from);
        if let Some(own) = own.filter(|own| own.number == request.number) {
            let (number, reading) = (request.number, own.reading.clone());
            cache.started.push(Started { number, from, reading });
        }
        NextRead::Read(from)
    }

    /// Keeps what was read for a request, unless the cache was cleared since.
    fn keep(&mut self, request: &PageRequest, page: Arc<CachedPage>, max_bytes: usize) {
        let bytes = page.bytes();
        if self.generation != request.generation || bytes > max_bytes {
            return;
        }
        let from = page.from.position();
        self.bytes += bytes;
        let cache = self.filters.entry(Arc::clone(&request.filter)).or_default();
        match cache.kept.insert(from, Kept { page, bytes, used: false }) {
            // The new page takes over its place in the order.
            Some(former) => self.bytes -= former.bytes,
            None => self.order.push_back((Arc::clone(&request.filter), from)),
        }
        self.evict(max_bytes);
    }

    /// Evicts the oldest pages, except those used since they were last considered.
    fn evict(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes {
            let Some((filter, from)) = self.order.pop_front() else { return };
            let Some(cache) = self.filters.get_mut(&filter) else { continue };
            let Some(kept) = cache.kept.get_mut(&from) else { continue };
            if kept.used {
                kept.used = false;
                self.order.push_back((filter, from));
                continue;
            }
            self.bytes -= kept.bytes;
            cache.kept.remove(&from);
            self.remove_if_empty(&filter);
        }
    }

    /// A request waits for a permit again: its read is no longer in progress.
    pub(super) fn requeued(&mut self, request: &PageRequest) {
        if let Some(cache) = self.filters.get_mut(&request.filter) {
            cache.started.retain(|started| started.number != request.number);
        }
    }

    /// A read ended, whether or not anything still waited for it.
    pub(super) fn ended(&mut self, request: &PageRequest) {
        let PageRequest { filter, from, number, .. } = request;
        let Some(cache) = self.filters.get_mut(filter) else { return };
        if cache.pending.get(from).is_some_and(|pending| pending.number == *number) {
            cache.pending.remove(from);
        }
        cache.started.retain(|started| started.number != *number);
        self.remove_if_empty(filter);
    }

    fn remove_if_empty(&mut self, filter: &Arc<Filter>) {
        let is_empty = |cache: &FilterCache| cache.kept.is_empty() && cache.pending.is_empty();
        if self.filters.get(filter).is_some_and(is_empty) {
            self.filters.remove(filter);
        }
    }
}

impl FilterCache {
    fn get(&mut self, cursor: Cursor) -> Option<Arc<CachedPage>> {
        let (_, nearest) = self.kept.range_mut(..=cursor.position()).next_back()?;
        nearest.page.holds(cursor).then(|| {
            nearest.used = true;
            Arc::clone(&nearest.page)
        })
    }

    fn started_before(&self, cursor: Cursor, reach: usize) -> Option<Reading> {
        let mut started =
            self.started.iter().filter(|started| is_near(started.from, cursor, reach));
        started.find_map(|started| started.reading.upgrade())
    }

    /// The first cursor for which a request waits and whose page has this one, too.
    fn first_waiting(&self, cursor: Cursor, reach: usize) -> Cursor {
        let before = self.pending.range(..cursor).rev();
        let near = before.take_while(|(from, _)| is_near(**from, cursor, reach));
        let has_started = |number| self.started.iter().any(|started| started.number == number);
        // Not upgraded to see whether anything still waits: this might become the last reference to
        // the read, whose drop takes the lock.
        let waiting = near.filter(|(_, pending)| !has_started(pending.number));
        waiting.last().map_or(cursor, |(from, _)| *from)
    }
}

fn is_near(from: Cursor, cursor: Cursor, reach: usize) -> bool {
    let distance = cursor.position().get().checked_sub(from.position().get());
    distance.is_some_and(|distance| usize::try_from(distance).is_ok_and(|n| n < reach))
}

impl fmt::Debug for CacheState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheState")
            .field("kept", &self.order.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
