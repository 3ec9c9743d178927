//! The part of the engine that runs jobs, each in a transaction of its own.

use std::time::Instant;

use futures::FutureExt;

use super::engine::{Engine, Failure, writer_id};
use super::job::AnyJob;
use super::nested::InsideWriter;
use super::transaction_state::TransactionState;
use super::{CommitOutcome, Driver, Needs, Transaction};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::store::Appended;
use crate::supervise::unwound;

impl<D: Driver> Engine<D> {
    /// Runs a job and sends its outcome to the caller.
    pub(super) async fn job(&mut self, mut job: Box<dyn AnyJob<D>>) {
        let (mut state, mut is_committing) = (TransactionState::new(), false);
        let run = self.job_transaction(&mut *job, &mut state, &mut is_committing);
        let outcome = unwound(run).await.unwrap_or_else(|panic| {
            Err(if is_committing { Failure::Unknown(panic) } else { Failure::Work(panic) })
        });
        if outcome.is_err() {
            let _ = unwound(self.driver.discard()).await;
        }
        job.answer(match outcome {
            Ok(original) => Ok(original),
            Err(Failure::Begin(error) | Failure::Work(error)) => Err(error),
            Err(Failure::Unknown(error)) => {
                self.resolve_job(&state.rows, error).await.map(|()| None)
            }
        });
    }

    /// Runs the transaction. Returns the original append if the job was a
    /// duplicate.
    async fn job_transaction(
        &mut self,
        job: &mut dyn AnyJob<D>,
        state: &mut TransactionState,
        is_committing: &mut bool,
    ) -> Result<Option<Appended>, Failure> {
        let by = self.options.busy_by();
        let begin = self.options.bounded_with_lock(self.driver.begin(by), "begin a transaction");
        state.begin(begin.await.map_err(Failure::Begin)?);
        let commits = self.run_job(job, state).await;
        if state.duplicate.is_some() {
            self.driver.discard().await;
            return Ok(state.duplicate.take());
        }
        if !commits.map_err(Failure::Work)? {
            self.driver.discard().await;
            return Ok(None);
        }
        let check = self.options.bounded(self.driver.check(state.head), "check a transaction");
        check.await.map_err(Failure::Work)?;
        *is_committing = true;
        let committed = self.driver.commit();
        match self.options.bounded(committed.map(Ok), "commit").await {
            Ok(CommitOutcome::Committed) => {
                self.feed.committed(state.begun.cursor, state.rows.iter().cloned());
                Ok(None)
            }
            Ok(CommitOutcome::NotCommitted(error)) => Err(Failure::Work(error)),
            Ok(CommitOutcome::Unknown(error)) | Err(error) => Err(Failure::Unknown(error)),
        }
    }

    /// Runs the job inside the transaction. Returns whether to commit.
    async fn run_job(
        &mut self,
        job: &mut dyn AnyJob<D>,
        state: &mut TransactionState,
    ) -> Result<bool> {
        let (deadline, began) = (job.deadline(), Instant::now());
        let _watched = self.feed.watch(deadline.map(|deadline| began + deadline));
        let run = job.run(Transaction::new(&mut self.driver, self.options, state));
        let run = InsideWriter::new(run, writer_id(&self.queue));
        let commits = self.options.bounded_job::<D, _>(deadline, began, run).await?;
        if commits {
            state.check_committable()?;
        }
        Ok(commits)
    }

    /// Finds out whether a job was committed if the outcome is unknown: the
    /// events that it appended are all stored or none, so their ids are looked
    /// up.
    async fn resolve_job(&mut self, rows: &[Event], error: Error) -> Result<()> {
        self.feed.hint();
        if rows.is_empty() {
            return Err(uncertain(error));
        }
        let stored = unwound(self.are_stored(rows)).await.and_then(|stored| stored);
        let _ = unwound(self.driver.discard()).await;
        // Events of a late commit may not have been visible when the first hint was given.
        self.feed.hint();
        match stored {
            Ok(true) => Ok(()),
            Ok(false) => Err(error),
            Err(_) => Err(uncertain(error)),
        }
    }

    async fn are_stored(&mut self, rows: &[Event]) -> Result<bool> {
        let by = self.options.busy_by();
        self.options.bounded_with_lock(self.driver.begin(by), "begin a transaction").await?;
        let ids = rows.iter().map(Event::id).collect();
        let needs = Needs { streams: Vec::new(), ids, boundaries: Vec::new() };
        let facts = self.options.bounded(self.driver.facts(&needs), "look up events").await?;
        Ok(facts.events.len() == rows.len())
    }
}

/// The error of a job whose commit has an unknown outcome.
fn uncertain(error: Error) -> Error {
    let message = "it is unknown whether a transaction was committed: check whether its changes are \
                   stored before you repeat it";
    Error::with_source(ErrorKind::OutcomeUnknown, message, error)
}
