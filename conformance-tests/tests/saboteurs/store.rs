use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use downlink::commit::{CommitFeed, Commits};
use downlink::event::Timestamp;
use downlink::store::{Appended, Page, ReadLog, ReadStream, Written};
use downlink::{
    Append, Cursor, Error, ErrorKind, Event, EventId, EventStore, NewEvent, Position, Result,
    StreamId, Version,
};
use tokio::task::yield_now;

use crate::store_bug::Bug;
use crate::store_check::{self, Facts, duplicate};
use crate::store_late::{Hole, Late};
use crate::{store_notices, store_read};

/// A small store that is correct except for its bug.
///
/// Its log is behind one lock. What a bug does too early or too late, it does
/// outside the lock, with a pause in which other tasks run.
#[derive(Clone, Debug)]
pub(crate) struct BrokenStore {
    pub(crate) bug: Option<Bug>,
    disk: Arc<Mutex<Log>>,
    handle: Arc<Handle>,
}

/// The state that is kept when the handle is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// The events in the order of reads.
    pub(crate) events: Vec<Event>,
    /// The highest position that was assigned, possibly to an event that is not
    /// stored yet.
    assigned: Assigned,
    appends: u64,
    late: Late,
}

#[derive(Clone, Debug)]
struct Assigned(Cursor);

impl Default for Assigned {
    fn default() -> Self {
        Self(Cursor::START)
    }
}

/// The state that is lost when the handle is dropped.
#[derive(Debug, Default)]
struct Handle {
    cached: Mutex<HashMap<StreamId, Version>>,
    forgotten: Mutex<HashSet<EventId>>,
    unwritten: Mutex<usize>,
    /// Held by the append that writes.
    writer: tokio::sync::Mutex<()>,
    busy: AtomicBool,
    reads: AtomicUsize,
    feed: CommitFeed,
    notified: AtomicUsize,
    old: Mutex<Vec<Event>>,
    hole: Mutex<Hole>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets other tasks run.
async fn pause() {
    for _ in 0..4 {
        yield_now().await;
    }
}

impl BrokenStore {
    pub(crate) fn new(bug: Option<Bug>) -> Self {
        Self::open(bug, Arc::default())
    }

    /// Opens the log that another handle left.
    pub(crate) fn open(bug: Option<Bug>, disk: Arc<Mutex<Log>>) -> Self {
        let this = Self { bug, disk, handle: Arc::default() };
        let mut log = locked(&this.disk);
        if this.is(Bug::ForgetsIdsAtReopening) {
            locked(&this.handle.forgotten).extend(log.events.iter().map(Event::id));
        }
        if this.is(Bug::RestartsPositionsAtReopening) {
            log.assigned = Assigned::default();
        }
        drop(log);
        this
    }

    pub(crate) fn disk(&self) -> &Arc<Mutex<Log>> {
        &self.disk
    }

    fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        locked(&self.disk)
    }

    async fn append_with_faults(&self, append: Append) -> Result<Appended> {
        if self.is(Bug::StarvesOneWriter) && append.writes[0].stream.as_str().ends_with('7') {
            for _ in 0..2_000 {
                yield_now().await;
            }
        }
        if self.is(Bug::BeginsDeferred) && self.handle.busy.swap(true, Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Busy, "database is locked"));
        }
        if self.is(Bug::LeavesATransactionOpen) {
            if self.handle.busy.swap(true, Ordering::SeqCst) {
                return Err(Error::new(
                    ErrorKind::Backend,
                    "cannot start a transaction within one",
                ));
            }
            yield_now().await;
        }
        let outcome = self.transact(append).await;
        if self.is(Bug::BeginsDeferred) {
            pause().await;
        }
        self.handle.busy.store(false, Ordering::SeqCst);
        outcome
    }

    async fn transact(&self, append: Append) -> Result<Appended> {
        let early = self.facts(&self.log(), &append);
        let early_end = self.log().end();
        let reads_early = [
            Bug::ChecksBeforeTheLock,
            Bug::ChecksIdsBeforeTheLock,
            Bug::ChecksOtherStreamsBeforeTheLock,
            Bug::ChecksBoundariesBeforeTheLock,
            Bug::NumbersBeforeTheLock,
            Bug::InsertsOrIgnores,
            Bug::ReadsTheHeadBeforeTheLock,
        ];
        if self.bug.is_some_and(|bug| reads_early.contains(&bug)) {
            pause().await;
        }
        let skips_lock = [
            Bug::AssignsPositionsBeforeTheCommit,
            Bug::ReportsTheHighestAssignedAsHead,
            Bug::HidesWhatIsNewerThanRunning,
            Bug::SkipsAHoleAfterAWhile,
            Bug::InterleavesBatches,
            Bug::TrustsCachedVersions,
        ];
        let _writing = match self.bug {
            Some(bug) if skips_lock.contains(&bug) => None,
            _ => Some(self.handle.writer.lock().await),
        };
        let (versions, verdict) = {
            let log = self.log();
            let facts = self.facts(&log, &append).with_early(self.bug, &early);
            (facts.versions.clone(), self.verdict(&facts, &append)?)
        };
        if let Some(original) = verdict {
            return Ok(original);
        }
        let is_early = self.is(Bug::ReadsTheHeadBeforeTheLock);
        let from = if is_early { early_end } else { self.log().end() };
        self.insert(append, versions, &early, from).await
    }

    fn facts(&self, log: &Log, append: &Append) -> Facts {
        let forgotten = locked(&self.handle.forgotten);
        let oldest =
            if self.is(Bug::ForgetsOldIds) { log.events.len().saturating_sub(60) } else { 0 };
        let known = log.events[oldest..].iter().filter(|event| !forgotten.contains(&event.id()));
        let mut facts = Facts::new(&log.events, known, append, self.bug);
        let trusts = self.is(Bug::TrustsCachedVersions) || self.is(Bug::KeepsCachesAcrossARestore);
        if trusts {
            facts.use_cached(&locked(&self.handle.cached));
        }
        facts
    }

    fn verdict(&self, facts: &Facts, append: &Append) -> Result<Option<Appended>> {
        let failed = facts.failed(append, self.bug)?;
        let is_known = append.events().any(|event| facts.known.contains_key(&event.id()));
        if self.is(Bug::WritesOnlyTheNewEvents) && is_known {
            return duplicate(&facts.known, append, self.bug);
        }
        if self.is(Bug::ChecksVersionsBeforeIds) && !failed.is_empty() {
            return Err(Error::conflict(failed));
        }
        if let Some(original) = duplicate(&facts.known, append, self.bug)? {
            return Ok(Some(original));
        }
        let keeps = [Bug::KeepsHalfABatch, Bug::RefusesAfterTheInsert, Bug::ReusesPositions];
        let keeps = self.bug.is_some_and(|bug| keeps.contains(&bug));
        if failed.is_empty() || keeps { Ok(None) } else { Err(Error::conflict(failed)) }
    }

    async fn insert(
        &self,
        append: Append,
        versions: HashMap<StreamId, Version>,
        early: &Facts,
        from: Cursor,
    ) -> Result<Appended> {
        let mut plan = self.plan(&append, versions, early);
        let failed = self.facts(&self.log(), &append).failed(&append, None)?;
        match self.bug {
            Some(
                Bug::AssignsPositionsBeforeTheCommit
                | Bug::ReportsTheHighestAssignedAsHead
                | Bug::SkipsAHoleAfterAWhile,
            ) => self.commit_late(&plan.events).await,
            Some(Bug::HidesWhatIsNewerThanRunning) => self.commit_running(&plan.events).await,
            Some(Bug::InterleavesBatches | Bug::TransactsInTheCaller) => {
                for event in &mut plan.events {
                    *event = self.log().place(event, self.bug);
                    yield_now().await;
                }
            }
            Some(Bug::ReusesPositions) if !failed.is_empty() => {
                return self.roll_back(plan.events, failed).await;
            }
            Some(Bug::KeepsHalfABatch) if !failed.is_empty() => {
                plan.events.truncate(1);
                self.log().push(&mut plan.events, self.bug);
                return Err(Error::conflict(failed));
            }
            Some(Bug::IgnoresAnInsertError) if append.writes.len() > 1 => {
                self.log().push(&mut plan.events, self.bug);
                self.log().events.pop();
            }
            Some(Bug::NotifiesBeforeTheCommit) => {
                let mut early = plan.events.clone();
                self.log().clone().push(&mut early, self.bug);
                self.handle.feed.committed(from, early);
                pause().await;
                self.log().push(&mut plan.events, self.bug);
            }
            _ => self.log().push(&mut plan.events, self.bug),
        }
        let number = self.handle.notified.fetch_add(1, Ordering::SeqCst);
        self.handle.feed.committed(from, store_notices::notified(&plan.events, number, self.bug));
        if self.is(Bug::RefusesAfterTheInsert) && !failed.is_empty() {
            return Err(Error::conflict(failed));
        }
        *locked(&self.handle.unwritten) = plan.events.len();
        self.remember(&plan.events).await;
        Ok(plan.appended(&append))
    }

    fn plan(
        &self,
        append: &Append,
        mut versions: HashMap<StreamId, Version>,
        early: &Facts,
    ) -> Plan {
        if self.is(Bug::NumbersBeforeTheLock) || self.is(Bug::InsertsOrIgnores) {
            versions.clone_from(&early.versions);
        }
        let mut events = Vec::new();
        for write in &append.writes {
            for content in &write.events {
                let version = Version::following(versions.get(&write.stream).copied());
                versions.insert(write.stream.clone(), version);
                let content = self.content(content);
                let (stream, time) = (write.stream.clone(), Timestamp::EPOCH);
                events.push(Event::new(Position::ZERO, stream, version, time, content));
            }
        }
        if self.is(Bug::WritesOnlyTheNewEvents) {
            events.retain(|event| !early.known.contains_key(&event.id()));
        }
        Plan { events }
    }

    fn content(&self, content: &NewEvent) -> NewEvent {
        if !self.is(Bug::ReencodesJson) || !content.content_type().is_json() {
            return content.clone();
        }
        let value = serde_json::from_slice(content.payload()).unwrap_or(serde_json::Value::Null);
        let again = NewEvent::json(content.event_type(), value.to_string());
        let again =
            again.and_then(|event| content.tags().iter().try_fold(event, NewEvent::with_tag));
        again.map_or_else(|_| content.clone(), |event| event.with_id(content.id()))
    }

    async fn commit_late(&self, events: &[Event]) {
        let mut placed = Vec::new();
        let (turn, begin) = {
            let mut log = self.log();
            let begin = log.assigned.0.position();
            placed.extend(events.iter().map(|event| log.assign(event, self.bug)));
            log.appends += 1;
            (log.appends, begin)
        };
        if self.is(Bug::ReportsTheHighestAssignedAsHead) {
            yield_now().await;
            while self.log().events.last().map_or(Position::ZERO, Event::position) != begin {
                yield_now().await;
            }
        } else {
            for _ in 0..(turn * 7) % 11 {
                yield_now().await;
            }
        }
        self.log().show(placed);
    }

    /// Commits like a transaction that takes its number when it begins and its
    /// positions later.
    async fn commit_running(&self, events: &[Event]) {
        let number = self.log().late.begin();
        for _ in 0..(number * 5) % 9 {
            yield_now().await;
        }
        let placed: Vec<_> = {
            let mut log = self.log();
            events.iter().map(|event| log.assign(event, self.bug)).collect()
        };
        for _ in 0..(number * 7) % 11 {
            yield_now().await;
        }
        let mut log = self.log();
        log.late.end(number, &placed);
        log.show(placed);
    }

    /// The events that readers see.
    fn visible(&self, log: &Log) -> Vec<Event> {
        match self.bug {
            Some(Bug::HidesWhatIsNewerThanRunning) => log.late.older_than_running(&log.events),
            Some(Bug::SkipsAHoleAfterAWhile) => {
                locked(&self.handle.hole).up_to(&log.events).to_vec()
            }
            _ => log.events.clone(),
        }
    }

    async fn roll_back(
        &self,
        mut events: Vec<Event>,
        failed: Vec<downlink::error::FailedCheck>,
    ) -> Result<Appended> {
        let before = self.log().assigned.clone();
        self.log().push(&mut events, self.bug);
        self.until_a_read().await;
        let mut log = self.log();
        log.events.retain(|event| events.iter().all(|gone| gone.id() != event.id()));
        log.assigned = before;
        Err(Error::conflict(failed))
    }

    async fn until_a_read(&self) {
        let seen = self.handle.reads.load(Ordering::SeqCst);
        for _ in 0..1_000 {
            if self.handle.reads.load(Ordering::SeqCst) > seen + 1 {
                return;
            }
            yield_now().await;
        }
    }

    async fn remember(&self, events: &[Event]) {
        if self.is(Bug::TrustsCachedVersions) {
            pause().await;
        }
        let heads = events.iter().map(|event| (event.stream().clone(), event.version()));
        locked(&self.handle.cached).extend(heads);
    }
}

struct Plan {
    events: Vec<Event>,
}

impl Plan {
    fn appended(&self, append: &Append) -> Appended {
        let of = |stream: &StreamId| {
            let mut own = self.events.iter().filter(|event| event.stream() == stream);
            let first = own.next().map_or(Version::FIRST, Event::version);
            let last = own.next_back().map_or(first, Event::version);
            Written { stream: stream.clone(), first, last }
        };
        let positions = || self.events.iter().map(Event::position);
        Appended {
            writes: append.writes.iter().map(|write| of(&write.stream)).collect(),
            first: positions().min().unwrap_or(Position::ZERO),
            cursor: self.events.last().map_or(Cursor::START, Event::cursor),
            duplicate: false,
        }
    }
}

impl Log {
    fn end(&self) -> Cursor {
        self.events.last().map_or(Cursor::START, Event::cursor)
    }

    /// Assigns a position and a time to an event that is not visible yet.
    fn assign(&mut self, event: &Event, bug: Option<Bug>) -> Event {
        let next = self.assigned.0.position().next().get();
        let count = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        let position = match bug {
            Some(Bug::TakesPositionsFromAClock) if self.appends % 5 == 4 => 1_000 + 10 * count - 35,
            Some(Bug::TakesPositionsFromAClock) => 1_000 + 10 * count,
            _ => next,
        };
        let jitter = if count % 3 == 1 { 50 } else { 0 };
        let time = match bug {
            Some(Bug::TakesTheCallersTime | Bug::OrdersByTime) => 1_000 + 10 * count - jitter,
            _ => 1_000 + 10 * count,
        };
        let position = Position::new(position).unwrap_or(Position::MAX);
        let (stream, version) = (event.stream().clone(), event.version());
        let time = Timestamp::from_micros(time);
        let placed = Event::new(position, stream, version, time, event.content().clone());
        self.assigned = Assigned(placed.cursor().max(self.assigned.0));
        placed
    }

    /// Makes events visible to which positions were assigned.
    fn show(&mut self, placed: Vec<Event>) {
        self.events.extend(placed);
        self.events.sort_by_key(Event::position);
    }

    fn place(&mut self, event: &Event, bug: Option<Bug>) -> Event {
        let placed = self.assign(event, bug);
        let taken =
            |row: &Event| row.stream() == placed.stream() && row.version() == placed.version();
        if bug != Some(Bug::InsertsOrIgnores) || !self.events.iter().any(taken) {
            self.events.push(placed.clone());
        }
        match bug {
            Some(Bug::OrdersByTime) => self.events.sort_by_key(Event::recorded_at),
            Some(Bug::TakesPositionsFromAClock) => self.events.sort_by_key(Event::position),
            _ => {}
        }
        placed
    }

    fn push(&mut self, events: &mut [Event], bug: Option<Bug>) {
        for event in events {
            *event = self.place(event, bug);
        }
        self.appends += 1;
    }
}

impl BrokenStore {
    /// Simulates a crash of the process.
    pub(crate) fn close(&self) {
        if self.is(Bug::AcknowledgesBeforeTheCommit) {
            let unwritten = std::mem::take(&mut *locked(&self.handle.unwritten));
            let mut log = self.log();
            let left = log.events.len().saturating_sub(unwritten);
            log.events.truncate(left);
        }
    }
}

#[async_trait]
impl EventStore for BrokenStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        let valid = append.validate();
        if !self.is(Bug::ChecksLimitsAfterTheInsert) {
            valid.clone()?;
        }
        if self.is(Bug::RevalidatesJson) {
            store_check::json(&append)?;
        }
        let outcome = if append.events().next().is_some() {
            self.append_with_faults(append).await
        } else {
            Err(empty())
        };
        valid?;
        outcome
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        let page = store_read::read_log(&self.readable(), &read, self.bug)?;
        Ok(self.finish(page).await)
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        let page = store_read::read_stream(&self.readable(), &read, self.bug);
        Ok(self.finish(page).await)
    }

    async fn head(&self) -> Result<Cursor> {
        let log = self.log();
        if self.is(Bug::ReportsTheHighestAssignedAsHead) {
            return Ok(log.assigned.0);
        }
        Ok(self.visible(&log).last().map_or(Cursor::START, Event::cursor))
    }

    fn commits(&self) -> Option<Commits> {
        Some(self.handle.feed.subscribe())
    }
}

impl BrokenStore {
    /// The events that a read sees.
    fn readable(&self) -> Vec<Event> {
        let number = self.handle.reads.fetch_add(1, Ordering::SeqCst);
        let log = self.log();
        let mut old = locked(&self.handle.old);
        if self.is(Bug::ReadsAnOldSnapshot) && number % 5 == 4 {
            old.clone()
        } else {
            old.clone_from(&log.events);
            self.visible(&log)
        }
    }

    async fn finish(&self, mut page: Page) -> Page {
        if self.is(Bug::ReportsALaterHeadAsScanned) {
            pause().await;
            let head = self.log().events.last().map_or(Cursor::START, Event::cursor);
            page.head = head;
            page.scanned = if page.more { page.scanned } else { head };
        }
        page
    }
}

fn empty() -> Error {
    Error::new(ErrorKind::Invalid, "no events")
}
