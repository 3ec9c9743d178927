use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::room::Ticket;
use super::{Driver, Transacted, Transaction};
use crate::error::Result;
use crate::store::Appended;

/// How a job wants its transaction to end, and what it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending<T> {
    /// What was written is stored.
    Commit(T),
    /// Nothing is written.
    RollBack(T),
}

/// Work in a transaction of its own, whatever it answers.
pub(super) trait AnyJob<D: Driver>: Send {
    /// How long it may take.
    fn deadline(&self) -> Option<Duration>;

    /// Runs once. Tells whether to commit.
    fn run<'t>(&'t mut self, transaction: Transaction<'t, D>) -> BoxFuture<'t, Result<bool>>;

    /// Tells the caller what came of it: an original in the place of the answer
    /// if it was a duplicate.
    fn answer(self: Box<Self>, outcome: Result<Option<Appended>>);
}

pub(super) struct Job<T, F> {
    work: Option<F>,
    value: Option<T>,
    deadline: Option<Duration>,
    ticket: Ticket,
    reply: oneshot::Sender<Result<Transacted<T>>>,
}

impl<T, F> Job<T, F> {
    pub(super) fn new(
        work: F,
        deadline: Option<Duration>,
        ticket: Ticket,
    ) -> (Self, oneshot::Receiver<Result<Transacted<T>>>) {
        let (reply, answered) = oneshot::channel();
        (Self { work: Some(work), value: None, deadline, ticket, reply }, answered)
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
        let Self { value, ticket, reply, .. } = *self;
        drop(ticket);
        let outcome = outcome.map(|original| match original {
            Some(original) => Transacted::Duplicate(original),
            None => Transacted::Committed(value.expect("a job that succeeded has an answer")),
        });
        // The caller may have stopped waiting.
        let _ = reply.send(outcome);
    }
}
