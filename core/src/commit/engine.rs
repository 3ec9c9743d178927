use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use tracing::{error, warn};

use super::batch::{Batch, PendingAppend, decide_and_insert};
use super::expectation::Expectation;
use super::hidden_rows::HiddenRows;
use super::queue::{Load, Next, Queue};
use super::{
    CommitFeed, CommitOutcome, Driver, Facts, Group, Linger, LogHead, Plan, Upkeep, WriterOptions,
};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Timestamp;
use crate::supervise::{logged, unwound};

/// A group takes no further appends once it has this many bytes.
const GROUP_BYTES: usize = 8 << 20;

/// How many groups are looked up after one had a repeated event: repetitions come in groups.
const AFTER_A_REPETITION: u32 = 64;

/// The pause after a panic of the writer.
const AFTER_A_PANIC: Duration = Duration::from_millis(100);

/// The pause before failed upkeep is retried.
const AFTER_FAILED_UPKEEP: Duration = Duration::from_secs(1);

/// The single task or thread that writes.
pub(super) struct Engine<D: Driver> {
    pub(super) driver: D,
    pub(super) queue: Arc<Queue<D>>,
    pub(super) feed: Arc<CommitFeed>,
    pub(super) options: WriterOptions,
    expected: Expectation,
    /// For how many groups the ids of events are looked up before they are stored.
    careful_for: u32,
    /// When upkeep may delay waiting appends again.
    upkeep_from: Instant,
    has_failed_at_upkeep: bool,
}

/// How a transaction failed, as far as it matters for what was written.
pub(super) enum Failure {
    /// It did not begin: no append of the group has caused this, and nothing
    /// was written.
    Begin(Error),
    /// Nothing was written.
    Work(Error),
    /// It may be stored.
    Unknown(Error),
}

/// What became of a group whose events were taken for new ones.
enum Blind {
    Stored(Plan),
    /// Nothing was tried, because the ids have to be looked up.
    Undecided,
    Repeated,
}

/// A transaction in progress: its batches and what was decided.
struct Attempt {
    batches: Vec<Batch>,
    plans: Vec<Plan>,
    from: Cursor,
    is_committing: bool,
    /// Whether events that were taken for new ones are stored already.
    has_repeated: bool,
}

impl Attempt {
    fn of(pending: Vec<PendingAppend>) -> Self {
        let batches = vec![Batch::of(pending)];
        let (plans, from) = (Vec::new(), Cursor::START);
        Self { batches, plans, from, is_committing: false, has_repeated: false }
    }

    fn appends(&self) -> usize {
        self.batches.iter().map(Batch::len).sum()
    }
}

impl<D: Driver> Engine<D> {
    pub(super) fn new(
        driver: D,
        queue: Arc<Queue<D>>,
        feed: Arc<CommitFeed>,
        options: WriterOptions,
    ) -> Self {
        // The futures of a blocking driver are never pending, so a timeout has no effect.
        let options = if D::BLOCKING { options.without_step_deadline() } else { options };
        Self {
            driver,
            queue,
            feed,
            options,
            expected: Expectation::default(),
            careful_for: 0,
            upkeep_from: Instant::now(),
            has_failed_at_upkeep: false,
        }
    }

    /// Serves the queue until it is closed and empty. A panic ends the current
    /// transaction, but not the writer.
    pub(super) async fn run(mut self) {
        let _abandoned = AbandonOnDrop(Arc::clone(&self.queue));
        while let Err(panic) = unwound(self.serve()).await {
            logged(|| error!(error = %panic, "the writer panicked; it continues"));
            let _ = unwound(self.driver.discard()).await;
            pause::<D>(AFTER_A_PANIC).await;
        }
        self.feed.close();
        let _ = unwound(self.driver.close()).await;
    }

    async fn serve(&mut self) {
        loop {
            self.keep_up().await;
            let mut load = Load::new(self.options.group(), GROUP_BYTES);
            match self.queue.next(&mut load).await {
                None => return,
                Some(Next::Job(job)) => self.job(job).await,
                Some(Next::Appends(first)) => self.appends(first, load).await,
            }
        }
    }

    /// Does the driver's upkeep while the queue is empty, and in a tenth of the
    /// time otherwise. Returns when an entry waits or nothing is left to do.
    async fn keep_up(&mut self) {
        loop {
            let (idle, began) = (self.queue.is_idle(), Instant::now());
            let upkeep = self.driver.upkeep();
            if upkeep == Upkeep::None || self.queue.is_closed() {
                return;
            }
            let is_due = began >= self.upkeep_from
                || !self.has_failed_at_upkeep && (idle || upkeep == Upkeep::Overdue);
            if is_due {
                let outcome = unwound(self.upkeep_transaction()).await.flatten();
                self.has_failed_at_upkeep = outcome.is_err();
                let pause = if let Err(error) = outcome {
                    logged(|| warn!(%error, "the upkeep of the store failed; retrying"));
                    let _ = unwound(self.driver.discard()).await;
                    AFTER_FAILED_UPKEEP
                } else {
                    began.elapsed() * 9
                };
                self.upkeep_from = Instant::now() + pause;
            }
            if !self.queue.is_idle() {
                return;
            }
            // Gives other processes, which do not wait in this queue, a chance to get the lock.
            let pause = if self.has_failed_at_upkeep {
                self.upkeep_from.saturating_duration_since(Instant::now())
            } else {
                began.elapsed()
            };
            self.queue.rest(pause).await;
        }
    }

    async fn upkeep_transaction(&mut self) -> Result<()> {
        let by = self.options.busy_by();
        self.options.bounded_with_lock(self.driver.begin(by), "begin a transaction").await?;
        self.options.bounded(self.driver.keep_up(), "do the store's upkeep").await?;
        let committed = self.driver.commit();
        match self.options.bounded(committed.map(Ok), "commit").await? {
            CommitOutcome::Committed => Ok(()),
            CommitOutcome::NotCommitted(error) | CommitOutcome::Unknown(error) => Err(error),
        }
    }

    /// Commits these appends and those that arrive in the meantime.
    async fn appends(&mut self, mut first: Vec<PendingAppend>, mut load: Load) {
        if D::LINGER == Linger::BeforeBegin {
            let deadline = Instant::now() + self.options.linger();
            while self.wait_for_more(&load, deadline).await {
                first.extend(self.queue.take(&mut load));
            }
        }
        let mut attempt = Attempt::of(first);
        let outcome = self.attempt(&mut attempt, Some(&mut load)).await;
        self.expected.got(load.appends);
        // A failed group is divided until only the appends that cause the
        // failure fail.
        let mut left = self.resolve(attempt, outcome);
        while let Some(pending) = left.pop() {
            let mut attempt = Attempt::of(pending);
            let outcome = self.attempt(&mut attempt, None).await;
            left.append(&mut self.resolve(attempt, outcome));
        }
    }

    /// Answers the appends whose outcome is certain. Returns the groups that
    /// have to be tried again, the last one first.
    fn resolve(
        &mut self,
        attempt: Attempt,
        outcome: Result<(), Failure>,
    ) -> Vec<Vec<PendingAppend>> {
        let appends = attempt.appends();
        let Attempt { batches, plans, from, has_repeated, .. } = attempt;
        if batches.iter().any(Batch::was_uncertain) {
            // Events of a late commit may not have been visible when the first hint was given.
            self.feed.hint();
        }
        match outcome {
            Ok(()) => {
                if plans.iter().any(Plan::has_repetition) {
                    self.careful_for = AFTER_A_REPETITION;
                }
                self.feed.committed(from, plans.iter().flat_map(|plan| &plan.rows).cloned());
                self.expected.answered(self.queue.waiting());
                for (batch, plan) in batches.into_iter().zip(plans) {
                    batch.answer(plan);
                }
                Vec::new()
            }
            Err(Failure::Work(_)) if has_repeated => {
                vec![batches.into_iter().flat_map(Batch::into_pending).collect()]
            }
            // A lock that another writer holds is not caused by an append.
            Err(Failure::Work(error)) if appends > 1 && error.kind() != ErrorKind::Busy => {
                logged(
                    || warn!(%error, appends, "a group of appends failed; trying each half of it"),
                );
                let mut first: Vec<_> = batches.into_iter().flat_map(Batch::into_pending).collect();
                let second = first.split_off(appends / 2);
                vec![second, first]
            }
            Err(Failure::Begin(error) | Failure::Work(error)) => {
                for batch in batches {
                    batch.fail(&error);
                }
                Vec::new()
            }
            Err(Failure::Unknown(error)) => {
                logged(|| warn!(%error, appends, "a commit failed; finding out what was stored"));
                self.feed.hint();
                let unresolved =
                    |(batch, plan): (Batch, &Plan)| batch.into_unresolved(plan, &error);
                let left: Vec<_> = batches.into_iter().zip(&plans).flat_map(unresolved).collect();
                if left.is_empty() { Vec::new() } else { vec![left] }
            }
        }
    }

    /// Runs one transaction. With a `load`, appends that arrive join it.
    async fn attempt(
        &mut self,
        attempt: &mut Attempt,
        load: Option<&mut Load>,
    ) -> Result<(), Failure> {
        let outcome = unwound(self.transaction(attempt, load)).await;
        let outcome = outcome.unwrap_or_else(|panic| {
            let failure = if attempt.is_committing { Failure::Unknown } else { Failure::Work };
            Err(failure(panic))
        });
        if outcome.is_err() {
            let _ = unwound(self.driver.discard()).await;
        }
        outcome
    }

    async fn transaction(
        &mut self,
        attempt: &mut Attempt,
        mut load: Option<&mut Load>,
    ) -> Result<(), Failure> {
        let by = self.options.busy_by();
        let begin = self.options.bounded_with_lock(self.driver.begin(by), "begin a transaction");
        let mut head = begin.await.map_err(Failure::Begin)?;
        attempt.from = head.cursor;
        // A group that is tried again may be stored already, in part.
        let is_careful = !D::STORES_BLINDLY || load.is_none() || self.careful_for > 0;
        self.careful_for = self.careful_for.saturating_sub(1);
        // More appends arrive during the transaction, so the time in which callers prepare their
        // next append is used.
        let mut linger_until = None;
        loop {
            let batch = attempt.batches.last().expect("an attempt has a batch");
            let blind = if is_careful { Blind::Undecided } else { self.blind(batch, head).await? };
            let plan = match blind {
                Blind::Stored(plan) => plan,
                Blind::Undecided => self.store(batch, head).await?,
                Blind::Repeated => {
                    attempt.has_repeated = true;
                    let message = "an event that was taken for a new one is stored already";
                    return Err(Failure::Work(Error::new(ErrorKind::IdReused, message)));
                }
            };
            head = plan.head;
            attempt.plans.push(plan);
            let Some(load) = load.as_deref_mut().filter(|_| D::LINGER == Linger::InTransaction)
            else {
                break;
            };
            let linger = self.options.linger();
            let deadline = *linger_until.get_or_insert_with(|| Instant::now() + linger);
            if self.driver.has_waiters() || !self.wait_for_more(load, deadline).await {
                break;
            }
            attempt.batches.push(Batch::of(self.queue.take(load)));
        }
        if attempt.plans.iter().all(|plan| plan.rows.is_empty()) {
            // The outcomes are valid even if a commit without rows fails.
            let commit = unwound(self.driver.commit());
            let outcome = self.options.bounded(commit, "commit").await;
            if !matches!(outcome, Ok(CommitOutcome::Committed)) {
                self.driver.discard().await;
            }
            return Ok(());
        }
        attempt.is_committing = true;
        let committed = self.driver.commit();
        match self.options.bounded(committed.map(Ok), "commit").await {
            Ok(CommitOutcome::Committed) => Ok(()),
            Ok(CommitOutcome::NotCommitted(error)) => Err(Failure::Work(error)),
            Ok(CommitOutcome::Unknown(error)) | Err(error) => Err(Failure::Unknown(error)),
        }
    }

    /// Decides a batch in the open transaction, and inserts its rows.
    async fn store(&mut self, batch: &Batch, head: LogHead) -> Result<Plan, Failure> {
        let (group, scans) = (&batch.group, &batch.scans);
        let stored = decide_and_insert(&mut self.driver, group, scans, head, HiddenRows::NONE);
        self.options.bounded(stored, "store events").await.map_err(Failure::Work)
    }

    /// The same, without a look at the ids of the events, which are new in general.
    async fn blind(&mut self, batch: &Batch, head: LogHead) -> Result<Blind, Failure> {
        let options = self.options;
        let stored = self.store_blindly(&batch.group, head);
        options.bounded(stored, "store events").await.map_err(Failure::Work)
    }

    async fn store_blindly(&mut self, group: &Group, head: LogHead) -> Result<Blind> {
        let needs = group.needs();
        if !needs.boundaries.is_empty() {
            return Ok(Blind::Undecided);
        }
        let streams = self.driver.heads(&needs.streams).await?;
        let facts = Facts { streams, ..Facts::default() };
        let plan = group.decide(&facts, head, Timestamp::now());
        // What looks like a conflict may be a repetition.
        if plan.rows.is_empty() || plan.outcomes.iter().any(Result::is_err) {
            return Ok(Blind::Undecided);
        }
        let is_stored = self.driver.insert_new(&plan).await?;
        Ok(if is_stored { Blind::Stored(plan) } else { Blind::Repeated })
    }

    /// Waits briefly if fewer appends have arrived than are expected. Returns whether
    /// appends have arrived.
    async fn wait_for_more(&mut self, load: &Load, deadline: Instant) -> bool {
        if load.appends >= self.expected.appends() || load.is_full() {
            return false;
        }
        self.queue.wait(1, Some(deadline)).await;
        if Instant::now() >= deadline {
            self.expected.has_waited_in_full();
        }
        self.queue.has_append()
    }
}

/// Identifies a writer while one of its jobs runs.
pub(super) fn writer_id<D: Driver>(queue: &Arc<Queue<D>>) -> usize {
    Arc::as_ptr(queue).addr()
}

async fn pause<D: Driver>(duration: Duration) {
    if D::BLOCKING {
        std::thread::sleep(duration);
    } else {
        tokio::time::sleep(duration).await;
    }
}

/// Makes sure that no caller waits for a writer that has ended.
struct AbandonOnDrop<D: Driver>(Arc<Queue<D>>);

impl<D: Driver> Drop for AbandonOnDrop<D> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
