use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::Driver;
use super::batch::PendingAppend;
use super::job::AnyJob;
use crate::error::{Error, ErrorKind, Result};

/// Waits up to this long yield instead of using a timer.
const CLOCK: Duration = Duration::from_millis(2);

/// An entry of the queue.
pub(super) enum Entry<D: Driver> {
    Append(PendingAppend),
    Job(Box<dyn AnyJob<D>>),
}

/// The next work of the writer.
pub(super) enum Next<D: Driver> {
    Appends(Vec<PendingAppend>),
    Job(Box<dyn AnyJob<D>>),
}

/// Appends and jobs in order of arrival. [`QueueLimit`](super::queue_limit::QueueLimit) bounds it:
/// each entry has a permit.
pub(super) struct Queue<D: Driver> {
    state: Mutex<State<D>>,
    /// Wakes a writer that is a thread.
    thread: Condvar,
    /// Wakes a writer that is a task.
    task: Notify,
}

struct State<D: Driver> {
    entries: VecDeque<Entry<D>>,
    jobs: usize,
    is_closed: bool,
    /// How many entries the writer waits for; 0 while it does not wait.
    wanted: usize,
}

/// The size of the appends of one transaction, and its bounds.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) appends: usize,
    events: usize,
    bytes: usize,
    max_events: usize,
    max_bytes: usize,
}

impl Load {
    pub(super) fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { appends: 0, events: 0, bytes: 0, max_events, max_bytes }
    }

    fn add(&mut self, pending: &PendingAppend) {
        self.appends += 1;
        self.events += pending.append.events().count();
        self.bytes += pending.append.size();
    }

    pub(super) fn is_full(&self) -> bool {
        self.events >= self.max_events || self.bytes >= self.max_bytes
    }
}

impl<D: Driver> Queue<D> {
    pub(super) fn new() -> Self {
        let state = State { entries: VecDeque::new(), jobs: 0, is_closed: false, wanted: 0 };
        Self { state: Mutex::new(state), thread: Condvar::new(), task: Notify::new() }
    }

    /// Adds an entry, unless the queue is closed.
    pub(super) fn push(&self, entry: Entry<D>) -> Result<()> {
        let mut state = self.state();
        if state.is_closed {
            return Err(closed());
        }
        state.jobs += usize::from(matches!(entry, Entry::Job(_)));
        state.entries.push_back(entry);
        self.wake(state);
        Ok(())
    }

    /// Refuses further entries. Waiting entries are still served.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        self.wake(state);
    }

    /// Refuses further entries and drops the waiting ones.
    pub(super) fn abandon(&self) {
        self.close();
        let mut state = self.state();
        let abandoned = std::mem::take(&mut state.entries);
        state.jobs = 0;
        drop(state);
        // Dropped after the lock was released, since this wakes the callers.
        drop(abandoned);
    }

    /// Waits for a job or for appends, and takes it or all waiting appends.
    /// Returns `None` when the queue is closed and empty.
    pub(super) async fn next(&self, load: &mut Load) -> Option<Next<D>> {
        self.wait(1, None).await;
        let mut state = self.state();
        match state.entries.front()? {
            Entry::Append(_) => Some(Next::Appends(state.take(load))),
            Entry::Job(_) => state.pop_job().map(Next::Job),
        }
    }

    /// Takes the waiting appends up to the next job, which no append overtakes.
    pub(super) fn take(&self, load: &mut Load) -> Vec<PendingAppend> {
        self.state().take(load)
    }

    /// Whether the queue is empty.
    pub(super) fn is_idle(&self) -> bool {
        self.state().entries.is_empty()
    }

    /// How many appends wait that the next transaction may have.
    pub(super) fn waiting(&self) -> usize {
        let is_append = |entry: &&Entry<D>| matches!(entry, Entry::Append(_));
        self.state().entries.iter().take_while(is_append).count()
    }

    /// Whether the queue refuses further entries.
    pub(super) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    /// Whether an append is next.
    pub(super) fn has_append(&self) -> bool {
        matches!(self.state().entries.front(), Some(Entry::Append(_)))
    }

    /// Waits until there are `wanted` entries or a job, the deadline has
    /// passed, or the queue is closed.
    pub(super) async fn wait(&self, wanted: usize, deadline: Option<Instant>) {
        if D::BLOCKING {
            self.block(wanted, deadline);
            return;
        }
        while !self.is_ready(wanted) {
            match deadline {
                None => self.task.notified().await,
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    // The runtime's timer has a resolution of milliseconds: during the last ones,
                    // other tasks run, some of which may append.
                    match left.checked_sub(CLOCK) {
                        Some(sleep) => drop(timeout(sleep, self.task.notified()).await),
                        None => yield_now().await,
                    }
                }
            }
        }
        self.state().wanted = 0;
    }

    /// Waits for this long, or until an entry arrives.
    pub(super) async fn rest(&self, pause: Duration) {
        if D::BLOCKING {
            self.block(1, Some(Instant::now() + pause));
        } else {
            let _ = tokio::time::timeout(pause, self.wait(1, None)).await;
            self.state().wanted = 0;
        }
    }

    fn is_ready(&self, wanted: usize) -> bool {
        let mut state = self.state();
        state.wanted = wanted;
        state.is_ready()
    }

    fn block(&self, wanted: usize, deadline: Option<Instant>) {
        let mut state = self.state();
        state.wanted = wanted;
        while !state.is_ready() {
            state = match deadline {
                None => self.thread.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    let woken = self.thread.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.wanted = 0;
    }

    /// Wakes the writer, once and without holding the lock, if what it waits
    /// for is there.
    fn wake(&self, mut state: MutexGuard<'_, State<D>>) {
        let is_waiting = state.wanted > 0 && state.is_ready();
        if is_waiting {
            state.wanted = 0;
        }
        drop(state);
        if is_waiting && D::BLOCKING {
            self.thread.notify_one();
        } else if is_waiting {
            self.task.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State<D>> {
        // A poisoned lock is harmless: nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Driver> State<D> {
    fn is_ready(&self) -> bool {
        self.entries.len() >= self.wanted || self.jobs > 0 || self.is_closed
    }

    fn take(&mut self, load: &mut Load) -> Vec<PendingAppend> {
        let mut taken = Vec::new();
        while !load.is_full() {
            match self.entries.pop_front() {
                Some(Entry::Append(pending)) => {
                    load.add(&pending);
                    taken.push(pending);
                }
                Some(job) => {
                    self.entries.push_front(job);
                    break;
                }
                None => break,
            }
        }
        taken
    }

    fn pop_job(&mut self) -> Option<Box<dyn AnyJob<D>>> {
        match self.entries.pop_front()? {
            Entry::Job(job) => {
                self.jobs -= 1;
                Some(job)
            }
            append @ Entry::Append(_) => {
                self.entries.push_front(append);
                None
            }
        }
    }
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is closed")
}
