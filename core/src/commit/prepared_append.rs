use super::batch::decide_and_insert;
use super::hidden_rows::HiddenRows;
use super::scan::{self, Scan};
use super::{Group, LogHead, OpenTransaction};
use crate::error::Result;
use crate::event::Event;
use crate::store::{Append, Appended, EventStore};

/// An append for a transaction that does not run in the store's
/// [`Writer`](super::Writer), because the application has begun it on a
/// connection of its own.
///
/// It is decided as every other append, so the transaction has to hold the lock
/// of the log and may not rely on anything that it has read before.
#[derive(Debug)]
pub struct PreparedAppend {
    group: Group,
    scans: Vec<Scan>,
}

impl PreparedAppend {
    /// Validates an append, and scans its boundaries in `store`, so that its
    /// transaction has to scan only later events while it holds the lock.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`]; nothing was written.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has no effects.
    pub async fn new(append: Append, store: &dyn EventStore) -> Result<Self> {
        append.validate()?;
        let scans = scan::scan(&append, store).await?;
        Ok(Self { group: Group::new(vec![append]), scans })
    }

    /// Decides the append on the log, which ends at `head` inside the
    /// transaction, and inserts its events. Returns them with its outcome: none
    /// if it is a duplicate.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`]. After a refusal, such as `Conflict`, nothing
    /// was inserted; after an error of a step of the transaction, roll it back.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, roll the transaction back.
    pub async fn store(
        self,
        tx: &mut impl OpenTransaction,
        head: LogHead,
    ) -> Result<(Appended, Vec<Event>)> {
        let stored = decide_and_insert(tx, &self.group, &self.scans, head, HiddenRows::NONE);
        let plan = stored.await?;
        Ok((only(plan.outcomes)?, plan.rows))
    }
}

fn only(mut outcomes: Vec<Result<Appended>>) -> Result<Appended> {
    outcomes.pop().expect("one outcome for one append")
}
