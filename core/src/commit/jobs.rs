//! How the engine runs jobs: each in a transaction of its own.

use std::time::Instant;

use futures::FutureExt;

use super::engine::{Engine, Failure, address};
use super::job::AnyJob;
use super::nested::Inside;
use super::work::Work;
use super::{CommitOutcome, Driver, Needs, Transaction};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::store::Appended;
use crate::supervise::unwound;

impl<D: Driver> Engine<D> {
    /// Runs a job and answers it.
    pub(super) async fn job(&mut self, mut job: Box<dyn AnyJob<D>>) {
        let (mut work, mut is_committing) = (Work::new(), false);
        let run = self.job_transaction(&mut *job, &mut work, &mut is_committing);
        let outcome = unwound(run).await.unwrap_or_else(|panic| {
            Err(if is_committing { Failure::Unknown(panic) } else { Failure::Work(panic) })
        });
        if outcome.is_err() {
            let _ = unwound(self.driver.discard()).await;
        }
        job.answer(match outcome {
            Ok(original) => Ok(original),
            Err(Failure::Begin(error) | Failure::Work(error)) => Err(error),
            Err(Failure::Unknown(error)) => self.settle_job(&work.rows, error).await.map(|()| None),
        });
    }

    /// The original, if the job appended what had been stored before.
    async fn job_transaction(
        &mut self,
        job: &mut dyn AnyJob<D>,
        work: &mut Work,
        is_committing: &mut bool,
    ) -> Result<Option<Appended>, Failure> {
        let by = self.options.busy_by();
        let begin = self.options.bounded_with_lock(self.driver.begin(by), "begin a transaction");
        work.begin(begin.await.map_err(Failure::Begin)?);
        let commits = self.work(job, work).await;
        if work.duplicate.is_some() {
            self.driver.discard().await;
            return Ok(work.duplicate.take());
        }
        if !commits.map_err(Failure::Work)? {
            self.driver.discard().await;
            return Ok(None);
        }
        let check = self.options.bounded(self.driver.check(work.head), "check a transaction");
        check.await.map_err(Failure::Work)?;
        *is_committing = true;
        let committed = self.driver.commit();
        match self.options.bounded(committed.map(Ok), "commit").await {
            Ok(CommitOutcome::Committed) => {
                self.feed.committed(work.begun.cursor, work.rows.iter().cloned());
                Ok(None)
            }
            Ok(CommitOutcome::NotCommitted(error)) => Err(Failure::Work(error)),
            Ok(CommitOutcome::Unknown(error)) | Err(error) => Err(Failure::Unknown(error)),
        }
    }

    /// Lets the job work. Tells whether to commit.
    async fn work(&mut self, job: &mut dyn AnyJob<D>, work: &mut Work) -> Result<bool> {
        let (deadline, began) = (job.deadline(), Instant::now());
        let _watched = self.feed.watch(deadline.map(|deadline| began + deadline));
        let run = job.run(Transaction::new(&mut self.driver, self.options, work));
        let run = Inside::new(run, address(&self.queue));
        let commits = self.options.bounded_job::<D, _>(deadline, began, run).await?;
        if commits {
            work.verdict()?;
        }
        Ok(commits)
    }

    /// Finds out what became of a job whose commit has no certain outcome: the
    /// events that it appended are all stored or none, and their ids tell.
    async fn settle_job(&mut self, rows: &[Event], error: Error) -> Result<()> {
        self.feed.hint();
        if rows.is_empty() {
            return Err(uncertain(error));
        }
        let stored = unwound(self.are_stored(rows)).await.and_then(|stored| stored);
        let _ = unwound(self.driver.discard()).await;
        // What a late commit has stored was not to be seen when it was hinted at.
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

/// What a job is told whose commit ended without a certain outcome.
fn uncertain(error: Error) -> Error {
    let message = "whether a transaction was committed could not be found out: look for what it \
                   writes before you repeat it";
    Error::with_source(ErrorKind::OutcomeUnknown, message, error)
}
