use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use downlink::commit::Commits;
use downlink::event::StoredParts;
use downlink::store::{Appended, Page, ReadLog, ReadStream};
use downlink::{Append, Cursor, Error, ErrorKind, Event, EventStore, NewEvent, Result};

use super::Gate;

/// Wraps a store, and fails, waits or counts on request.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    inner: Arc<dyn EventStore>,
    faults: Arc<Faults>,
    is_told: bool,
}

#[derive(Debug)]
struct Faults {
    failing_reads: AtomicUsize,
    lost_answers: AtomicUsize,
    before_read: Gate,
    before_tail_read: Gate,
    after_read: Gate,
    after_append: Gate,
    counts_held: bool,
    held: Arc<AtomicUsize>,
    reads: AtomicUsize,
    /// What another writer appends while a read is in progress.
    meanwhile: Mutex<Vec<Append>>,
}

impl FaultyStore {
    /// Wraps a store, without faults.
    #[must_use]
    pub fn new(inner: Arc<dyn EventStore>) -> Self {
        Self::build(inner, false)
    }

    /// Wraps a store, and counts how many of the events that it returned are
    /// still held.
    #[must_use]
    pub fn counting(inner: Arc<dyn EventStore>) -> Self {
        Self::build(inner, true)
    }

    fn build(inner: Arc<dyn EventStore>, counts_held: bool) -> Self {
        let faults = Faults {
            failing_reads: AtomicUsize::new(0),
            lost_answers: AtomicUsize::new(0),
            before_read: Gate::open(),
            before_tail_read: Gate::open(),
            after_read: Gate::open(),
            after_append: Gate::open(),
            counts_held,
            held: Arc::default(),
            reads: AtomicUsize::new(0),
            meanwhile: Mutex::default(),
        };
        Self { inner, faults: Arc::new(faults), is_told: false }
    }

    /// Passes on the commit notices of the store. By default there are none,
    /// and hubs read the log after each append.
    #[must_use]
    pub fn with_commits(self) -> Self {
        Self { is_told: true, ..self }
    }

    /// The same store as another process sees it: without commit notices.
    #[must_use]
    pub fn in_another_process(&self) -> Self {
        Self { is_told: false, ..self.clone() }
    }

    /// Makes this many reads fail for a transient reason.
    pub fn fail_reads(&self, count: usize) {
        self.faults.failing_reads.store(count, Ordering::SeqCst);
    }

    /// Makes this many appends return `OutcomeUnknown` after they were stored.
    pub fn lose_answers(&self, count: usize) {
        self.faults.lost_answers.store(count, Ordering::SeqCst);
    }

    /// The gate at which reads of a hub's tail, and no others, wait before they
    /// read.
    #[must_use]
    pub fn before_tail_read(&self) -> &Gate {
        &self.faults.before_tail_read
    }

    /// The gate at which reads wait before they read.
    #[must_use]
    pub fn before_read(&self) -> &Gate {
        &self.faults.before_read
    }

    /// The gate at which reads wait after they have read, before they return.
    #[must_use]
    pub fn after_read(&self) -> &Gate {
        &self.faults.after_read
    }

    /// The gate at which appends wait after the commit, before they return.
    #[must_use]
    pub fn after_append(&self) -> &Gate {
        &self.faults.after_append
    }

    /// Makes these appends, one at each read, after it has read and before it
    /// returns.
    pub fn append_meanwhile(&self, appends: impl IntoIterator<Item = Append>) {
        self.meanwhile().extend(appends);
    }

    /// How many of the events that were read are still held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.faults.held.load(Ordering::SeqCst)
    }

    /// How many reads there were.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.faults.reads.load(Ordering::SeqCst)
    }

    /// The wrapped store.
    #[must_use]
    pub fn inner(&self) -> &Arc<dyn EventStore> {
        &self.inner
    }

    fn meanwhile(&self) -> std::sync::MutexGuard<'_, Vec<Append>> {
        self.faults.meanwhile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counted(&self, event: &Event) -> Event {
        let content = event.content();
        let parts = StoredParts {
            id: content.id(),
            event_type: content.event_type().clone(),
            content_type: content.content_type().clone(),
            payload: Bytes::from_owner(Held::new(content.payload(), &self.faults.held)),
            metadata: content.metadata().clone(),
            tags: content.tags().into(),
        };
        let content = NewEvent::from_stored(parts);
        let stream = event.stream().clone();
        Event::new(event.position(), stream, event.version(), event.recorded_at(), content)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl EventStore for FaultyStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        let outcome = self.inner.append(append).await;
        self.faults.after_append.pass().await;
        if outcome.is_ok() && one_less(&self.faults.lost_answers) {
            return Err(Error::new(ErrorKind::OutcomeUnknown, "the answer was lost, on purpose"));
        }
        outcome
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        let is_live = read.is_live();
        self.read(is_live, self.inner.read_log(read)).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.read(false, self.inner.read_stream(read)).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.inner.head().await
    }

    fn commits(&self) -> Option<Commits> {
        if self.is_told { self.inner.commits() } else { None }
    }
}

impl FaultyStore {
    /// Reads with the faults that are configured.
    async fn read(
        &self,
        is_live: bool,
        read: impl Future<Output = Result<Page>> + Send,
    ) -> Result<Page> {
        self.faults.reads.fetch_add(1, Ordering::SeqCst);
        self.faults.before_read.pass().await;
        if is_live {
            self.faults.before_tail_read.pass().await;
        }
        if one_less(&self.faults.failing_reads) {
            return Err(Error::new(ErrorKind::Unavailable, "this read fails, on purpose"));
        }
        let mut page = read.await;
        let next = self.meanwhile().pop();
        if let Some(append) = next {
            self.inner.append(append).await?;
        }
        self.faults.after_read.pass().await;
        if let (true, Ok(page)) = (self.faults.counts_held, &mut page) {
            page.events = page.events.iter().map(|event| self.counted(event)).collect();
        }
        page
    }
}

/// Takes one, and returns whether one was left.
fn one_less(count: &AtomicUsize) -> bool {
    let less = |left: usize| left.checked_sub(1);
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
}

/// Bytes that are counted until they are dropped.
struct Held {
    bytes: Bytes,
    count: Arc<AtomicUsize>,
}

impl Held {
    fn new(bytes: &Bytes, count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self { bytes: bytes.clone(), count: Arc::clone(count) }
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}
