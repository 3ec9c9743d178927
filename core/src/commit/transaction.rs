use super::batch::decide_and_insert;
use super::unseen::Unseen;
use super::work::Work;
use super::{Driver, Group, Plan, WriterOptions};
use crate::error::{Error, Result};
use crate::store::{Append, Appended};

/// The transaction of a job: the application's rows, and appends that are stored
/// with them or not at all.
///
/// A store that offers it to applications promises:
///
/// 1. Rows and events are stored together or not at all, whatever goes wrong
///    (law `rows_and_events_are_stored_together`).
/// 2. What had been stored before leaves no rows a second time
///    (law `a_repeated_transaction_leaves_nothing`).
/// 3. Transactions and appends have one order
///    (law `racing_transactions_have_an_order`).
/// 4. Its events are told once, when all of it is stored
///    (law `a_transaction_is_notified_after_its_commit`).
#[derive(Debug)]
pub struct Transaction<'t, D: Driver> {
    driver: &'t mut D,
    options: WriterOptions,
    work: &'t mut Work,
}

impl<'t, D: Driver> Transaction<'t, D> {
    pub(super) fn new(driver: &'t mut D, options: WriterOptions, work: &'t mut Work) -> Self {
        Self { driver, options, work }
    }

    /// What the application writes its own rows with.
    ///
    /// # Errors
    ///
    /// Those of [`Driver::tx`]. The transaction is not committed then, whatever
    /// the job answers.
    pub async fn tx(&mut self) -> Result<&mut D::Tx> {
        let work = &mut *self.work;
        let tx = self.options.bounded(self.driver.tx(), "prepare a transaction").await;
        tx.inspect_err(|error| work.fail(error.clone()))
    }

    /// The driver, for what a backend does besides.
    pub fn driver(&mut self) -> &mut D {
        self.driver
    }

    /// Sees to it that the transaction is not committed, whatever the job
    /// answers: its caller gets this error, or the first one that was told.
    pub fn fail(&mut self, error: Error) {
        self.work.fail(error);
    }

    /// Appends within this transaction: the same decisions as for every append,
    /// made on the log as this transaction has it.
    ///
    /// An append that was stored before this transaction began is a duplicate,
    /// and then the whole transaction was done before: it is rolled back,
    /// whatever the job answers, and its caller gets the original. One that was
    /// stored within it is answered as a duplicate, and the transaction goes on.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](crate::EventStore::append), and
    /// [`TooLarge`](crate::ErrorKind::TooLarge) if all appends of the transaction
    /// together are larger than [one may be](crate::limits::MAX_APPEND_BYTES).
    /// After any error the transaction is not committed, whatever the job
    /// answers, so that no rows are stored without their events.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it has ended, the transaction is not
    /// committed.
    pub async fn append(&mut self, append: Append) -> Result<Appended> {
        self.work.begin_append()?;
        let outcome = self.try_append(append).await;
        self.work.end_append(&outcome);
        outcome
    }

    async fn try_append(&mut self, append: Append) -> Result<Appended> {
        append.validate()?;
        self.work.admit(&append)?;
        let stored = store(self.driver, self.work, Group::new(vec![append]));
        let plan = self.options.bounded(stored, "store events").await?;
        self.work.take(plan)
    }
}

/// Decides an append on the log that the transaction has, and inserts it.
async fn store<D: Driver>(driver: &mut D, work: &Work, group: Group) -> Result<Plan> {
    driver.check(work.head).await?;
    decide_and_insert(driver, &group, &[], work.head, Unseen::of::<D>(&work.rows)).await
}

/// What became of a transaction with appends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transacted<T> {
    /// Rows and events are stored.
    Committed(T),
    /// It appended events that had been stored before: nothing was written, and
    /// this is where they are.
    Duplicate(Appended),
}
