use super::batch::decide_and_insert;
use super::hidden_rows::HiddenRows;
use super::transaction_state::TransactionState;
use super::{Driver, Group, ImportDriver, Plan, WriterOptions};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::store::{Append, Appended, Import};

/// The transaction of a job: the application's own rows and appends, stored
/// together or not at all.
///
/// A store that offers transactions to applications guarantees:
///
/// 1. Rows and events are stored together or not at all, whatever goes wrong
///    (law `rows_and_events_are_stored_together`).
/// 2. A transaction whose events were stored before writes no rows a second
///    time (law `a_repeated_transaction_leaves_nothing`).
/// 3. Transactions and appends have one sequential order
///    (law `racing_transactions_have_an_order`).
/// 4. Its events are reported once, when all of it is stored
///    (law `a_transaction_is_notified_after_its_commit`).
#[derive(Debug)]
pub struct Transaction<'t, D: Driver> {
    driver: &'t mut D,
    options: WriterOptions,
    state: &'t mut TransactionState,
}

impl<'t, D: Driver> Transaction<'t, D> {
    pub(super) fn new(
        driver: &'t mut D,
        options: WriterOptions,
        state: &'t mut TransactionState,
    ) -> Self {
        Self { driver, options, state }
    }

    /// Returns the database transaction in which the application writes its own
    /// rows.
    ///
    /// # Errors
    ///
    /// Those of [`Driver::tx`]. After an error, the transaction is not
    /// committed, whatever the job returns.
    pub async fn tx(&mut self) -> Result<&mut D::Tx> {
        let state = &mut *self.state;
        let tx = self.options.bounded(self.driver.tx(), "prepare a transaction").await;
        tx.inspect_err(|error| state.fail(error.clone()))
    }

    /// The driver, for further operations of a backend.
    pub fn driver(&mut self) -> &mut D {
        self.driver
    }

    /// Prevents the transaction from being committed, whatever the job returns:
    /// its caller gets this error, or the first one if there are several.
    pub fn fail(&mut self, error: Error) {
        self.state.fail(error);
    }

    /// Appends within this transaction. It is decided like every other append,
    /// on the log as this transaction sees it.
    ///
    /// If the append was stored before this transaction began, it is a
    /// duplicate, and the whole transaction counts as done before: it is rolled
    /// back, whatever the job returns, and its caller gets the original. If the
    /// append was stored within this transaction, it is returned as a
    /// duplicate, and the transaction continues.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](crate::EventStore::append), and
    /// [`TooLarge`](crate::ErrorKind::TooLarge) if all appends of the
    /// transaction together exceed [the limit for one
    /// append](crate::limits::MAX_APPEND_BYTES). After any error, the
    /// transaction is not committed, whatever the job returns, so that no rows
    /// are stored without their events.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it has completed, the transaction is not
    /// committed.
    pub async fn append(&mut self, append: Append) -> Result<Appended> {
        self.state.begin_append()?;
        let outcome = self.try_append(append).await;
        self.state.end_append(&outcome);
        outcome
    }

    async fn try_append(&mut self, append: Append) -> Result<Appended> {
        append.validate()?;
        self.state.admit(&append)?;
        let stored = store(self.driver, self.state, Group::new(vec![append]));
        let plan = self.options.bounded(stored, "store events").await?;
        self.state.record(plan)
    }
}

impl<D: ImportDriver> Transaction<'_, D> {
    /// Imports as the only step of this transaction. After an error, it is not
    /// committed.
    pub(super) async fn import(&mut self, import: Import) -> Result<Cursor> {
        let (driver, head) = (&mut *self.driver, self.state.head);
        let stored = async {
            let facts = driver.facts(&import.needs()).await?;
            let moved = import.moved().cloned();
            let plan = import.plan(&facts, head)?;
            driver.insert(&plan).await?;
            if let Some(moved) = moved {
                driver.record(&moved).await?;
            }
            Ok(plan)
        };
        let plan = self.options.bounded(stored, "store events").await?;
        self.state.record_rows(plan.rows, plan.head);
        Ok(plan.head.cursor)
    }
}

/// Decides an append on the log as the transaction sees it, and inserts it.
async fn store<D: Driver>(driver: &mut D, state: &TransactionState, group: Group) -> Result<Plan> {
    driver.check(state.head).await?;
    decide_and_insert(driver, &group, &[], state.head, HiddenRows::of::<D>(&state.rows)).await
}

/// The outcome of a transaction with appends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transacted<T> {
    /// Rows and events are stored.
    Committed(T),
    /// The transaction appended events that had been stored before. Nothing was
    /// written; this is the original append.
    Duplicate(Appended),
}
