use super::batch::decide_and_insert;
use super::{Driver, Group, LogHead, WriterOptions};
use crate::{Append, Appended, Error, ErrorKind, Event, Result};

/// The transaction of a job: the application's rows, and appends that are stored
/// with them or not at all.
#[derive(Debug)]
pub struct Transaction<'t, D: Driver> {
    driver: &'t mut D,
    options: WriterOptions,
    work: &'t mut Work,
}

/// What was appended within a transaction so far.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) head: LogHead,
    pub(super) rows: Vec<Event>,
    /// The first append that had been stored before.
    pub(super) duplicate: Option<Appended>,
}

impl Default for Work {
    fn default() -> Self {
        Self { head: LogHead::EMPTY, rows: Vec::new(), duplicate: None }
    }
}

impl<'t, D: Driver> Transaction<'t, D> {
    pub(super) fn new(driver: &'t mut D, options: WriterOptions, work: &'t mut Work) -> Self {
        Self { driver, options, work }
    }

    /// What the application writes its own rows with.
    ///
    /// # Errors
    ///
    /// Those of [`Driver::tx`].
    pub async fn tx(&mut self) -> Result<&mut D::Tx> {
        self.options.bounded(self.driver.tx(), "prepare a transaction").await
    }

    /// The driver, for what a backend does besides.
    pub fn driver(&mut self) -> &mut D {
        self.driver
    }

    /// Appends within this transaction: the same decisions as for every append,
    /// made on the log as this transaction has it.
    ///
    /// An append that was stored before is a duplicate, and then the whole
    /// transaction was done before: it is rolled back, whatever the job answers,
    /// and its caller gets the original.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](crate::EventStore::append). After a conflict the
    /// job may go on; after an error of the driver the transaction is lost.
    pub async fn append(&mut self, append: Append) -> Result<Appended> {
        append.validate()?;
        let group = Group::new(vec![append]);
        let stored = decide_and_insert(self.driver, &group, &[], self.work.head);
        let mut plan = self.options.bounded(stored, "store events").await?;
        self.work.head = plan.head;
        self.work.rows.append(&mut plan.rows);
        let outcome = plan.outcomes.pop().unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Backend, "the planner did not decide an append"))
        });
        if let Ok(appended) = &outcome
            && appended.duplicate
            && self.work.duplicate.is_none()
        {
            self.work.duplicate = Some(appended.clone());
        }
        outcome
    }
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
