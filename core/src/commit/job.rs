use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::queue_limit::QueuePermit;
use super::{Driver, Transacted, Transaction};
use crate::error::Result;
use crate::store::Appended;

/// How a job ends its transaction, with the value that it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending<T> {
    /// Commits the transaction.
    Commit(T),
    /// Rolls the transaction back.
    RollBack(T),
}

/// A job with the type of its result erased.
pub(super) trait AnyJob<D: Driver>: Send {
    /// How long the job may take.
    fn deadline(&self) -> Option<Duration>;

    /// Runs the job, once. Returns whether to commit.
    fn run<'t>(&'t mut self, transaction: Transaction<'t, D>) -> BoxFuture<'t, Result<bool>>;

    /// Sends the outcome to the caller; the original append if the job was a
    /// duplicate.
    fn answer(self: Box<Self>, outcome: Result<Option<Appended>>);
}

pub(super) struct Job<T, F> {
    work: Option<F>,
    value: Option<T>,
    deadline: Option<Duration>,
    permit: QueuePermit,
    reply: oneshot::Sender<Result<Transacted<T>>>,
}

impl<T, F> Job<T, F> {
    pub(super) fn new(
        work: F,
        deadline: Option<Duration>,
        permit: QueuePermit,
    ) -> (Self, oneshot::Receiver<Result<Transacted<T>>>) {
        let (reply, answered) = oneshot::channel();
        (Self { work: Some(work), value: None, deadline, permit, reply }, answered)
    }
}

impl<D, T, F> AnyJob<D> for Job<T, F>
where
    D: Driver,
    T: Send + 'static,
    F: for<'t> FnOnce(Transaction<'t, D>) -> BoxFuture<'t, Result<Ending<T>>> + Send,
{
    fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    fn run<'t>(&'t mut self, transaction: Transaction<'t, D>) -> BoxFuture<'t, Result<bool>> {
        let work = self.work.take().expect("a job runs once");
        let value = &mut self.value;
        Box::pin(async move {
            let (answer, commits) = match work(transaction).await? {
                Ending::Commit(answer) => (answer, true),
                Ending::RollBack(answer) => (answer, false),
            };
            *value = Some(answer);
            Ok(commits)
        })
    }

    fn answer(self: Box<Self>, outcome: Result<Option<Appended>>) {
        let Self { value, permit, reply, .. } = *self;
        drop(permit);
        let outcome = outcome.map(|original| match original {
            Some(original) => Transacted::Duplicate(original),
            None => Transacted::Committed(value.expect("a job that succeeded has a value")),
        });
        // The caller may have stopped waiting.
        let _ = reply.send(outcome);
    }
}
