use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use async_trait::async_trait;

use super::LogIndex;
use crate::commit::{Boundary, BoundaryFact, CommitFeed, Commits, Group, Plan, refuse_nested};
use crate::cursor::Cursor;
use crate::error::Result;
use crate::event::{Event, Timestamp};
use crate::id::Position;
use crate::store::{
    Append, Appended, EventStore, Import, ImportStore, Moved, Page, Read, ReadLog, ReadStream,
};

/// The reference store: keeps events in memory, in a [`LogIndex`].
///
/// Clones share the log. An append is decided and stored under one lock, so a
/// group is always one append, and nothing is ever partially stored. A filter
/// scans one event after the other: the store is meant to be correct, not fast.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> downlink::Result<()> {
/// use downlink::{EventStoreExt, Expected, MemoryStore, NewEvent};
///
/// let store = MemoryStore::new();
/// let departed = NewEvent::json("FlightDeparted", "{}")?;
/// let appended = store.append_to("flight-UA1545", Expected::NoStream, [departed]).await?;
/// assert_eq!(appended.writes[0].last.get(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    pub(super) log: Arc<RwLock<LogIndex<Event>>>,
    pub(super) feed: Arc<CommitFeed>,
    moved: Arc<RwLock<BTreeMap<(String, Position), Moved>>>,
    /// Held during an append or a transaction.
    append_lock: Arc<Mutex<()>>,
}

impl MemoryStore {
    /// Creates a store with an empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an independent copy of the current log, like a backup.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let log = self.log.read().unwrap_or_else(PoisonError::into_inner).clone();
        let moved = self.moved.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (log, moved) = (Arc::new(RwLock::new(log)), Arc::new(RwLock::new(moved)));
        Self { log, moved, ..Self::default() }
    }

    /// Replaces the log while it is in use, like restoring a backup.
    pub fn restore(&self, backup: &Self) {
        let log = backup.log.read().unwrap_or_else(PoisonError::into_inner).clone();
        let moved = backup.moved.read().unwrap_or_else(PoisonError::into_inner).clone();
        *self.log.write().unwrap_or_else(PoisonError::into_inner) = log;
        *self.moved.write().unwrap_or_else(PoisonError::into_inner) = moved;
    }

    /// Waits until no other append or transaction is running.
    pub(super) fn lock_appends(&self) -> Result<MutexGuard<'_, ()>> {
        refuse_nested(self.id())?;
        Ok(self.append_lock.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Identifies this store while one of its transactions runs.
    pub(super) fn id(&self) -> usize {
        Arc::as_ptr(&self.append_lock).addr()
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        append.validate()?;
        let _lock = self.lock_appends()?;
        // A poisoned lock is harmless: nothing panics between the first change and the last.
        let log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        let from = log.head().cursor;
        let mut plan = decide(&log, append)?;
        // Under the lock, so that commits are reported in order.
        self.feed.committed(from, plan.rows);
        plan.outcomes.pop().expect("one outcome for one append")
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        self.log.read().unwrap_or_else(PoisonError::into_inner).read_log(&read, fetch)
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.log.read().unwrap_or_else(PoisonError::into_inner).read_stream(&read, fetch)
    }

    async fn head(&self) -> Result<Cursor> {
        Ok(self.log.read().unwrap_or_else(PoisonError::into_inner).head().cursor)
    }

    fn commits(&self) -> Option<Commits> {
        Some(self.feed.subscribe())
    }
}

#[async_trait]
impl ImportStore for MemoryStore {
    async fn import(&self, import: Import) -> Result<Cursor> {
        let _lock = self.lock_appends()?;
        let log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        let from = log.head();
        let facts = log.facts(&import.needs(), fetch)?;
        let moved = import.moved().cloned();
        let plan = import.plan(&facts, from)?;
        if let Some(moved) = moved {
            let mut all = self.moved.write().unwrap_or_else(PoisonError::into_inner);
            all.insert((moved.source.clone(), moved.old_from), moved);
        }
        log.extend(plan.rows.iter().map(|row| (row, row.clone())));
        self.feed.committed(from.cursor, plan.rows);
        Ok(plan.head.cursor)
    }

    async fn moved(&self) -> Result<Vec<Moved>> {
        let moved = self.moved.read().unwrap_or_else(PoisonError::into_inner);
        Ok(moved.values().cloned().collect())
    }
}

/// Decides an append and adds its events to the log.
pub(super) fn decide(log: &LogIndex<Event>, append: Append) -> Result<Plan> {
    let group = Group::new(vec![append]);
    let needs = group.needs();
    let mut facts = log.facts(&needs, fetch)?;
    facts.boundaries = needs.boundaries.iter().map(|boundary| answer(log, boundary)).collect();
    let plan = group.decide(&facts, log.head(), Timestamp::now());
    log.extend(plan.rows.iter().map(|row| (row, row.clone())));
    Ok(plan)
}

/// Fetches an event: the index contains the event itself.
#[expect(clippy::unnecessary_wraps, reason = "stores that fetch events can fail")]
pub(super) fn fetch(_: Position, event: Event) -> Result<Event> {
    Ok(event)
}

fn answer(log: &LogIndex<Event>, boundary: &Boundary<'_>) -> BoundaryFact {
    let mut read =
        Read::log().with_after(boundary.after).with_filter(boundary.filter.clone()).with_limit(1);
    loop {
        match log.read_log(&read, fetch) {
            Err(error) => return BoundaryFact::OtherHistory(error),
            Ok(page) if !page.events.is_empty() => return BoundaryFact::Found(page.scanned),
            Ok(page) if !page.more => return BoundaryFact::Clear,
            Ok(page) => read = read.with_after(page.scanned),
        }
    }
}
