use std::{convert::Infallible, sync::Arc, time::Instant};

use downlink::commit::{self, CommitOutcome, Facts, Linger, LogHead, Needs, Plan};
use downlink::store::{Page, ReadLog};
use downlink::{Error, ErrorKind, Event, Result};

use crate::log::Log;

/// The steps of a transaction. The `Writer` calls them from one thread, and handles
/// the queue, groups, conflicts, duplicates and retries.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) log: Arc<Log>,
    /// The offset of the next record.
    pub(crate) end: u64,
    /// The events of the open transaction.
    pub(crate) rows: Vec<Event>,
    /// Whether a write failed and could not be undone.
    pub(crate) is_broken: bool,
}

// ANCHOR: steps
impl commit::Driver for Driver {
    type Tx = Infallible;

    const BLOCKING: bool = true;

    /// With this, nothing is looked up after an `insert` of the same transaction.
    const LINGER: Linger = Linger::BeforeBegin;

    async fn begin(&mut self, _: Instant) -> Result<LogHead> {
        if self.is_broken {
            let message = "a failed write could not be undone: open the log again";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        Ok(self.log.index.head())
    }

    async fn facts(&mut self, needs: &Needs<'_>) -> Result<Facts> {
        self.log.index.facts(needs, |position, span| self.log.fetch(position, span))
    }

    async fn read_log(&mut self, read: ReadLog) -> Result<Page> {
        self.log.index.read_log(&read, |position, span| self.log.fetch(position, span))
    }

    async fn insert(&mut self, plan: &Plan) -> Result<()> {
        self.rows.extend_from_slice(&plan.rows);
        Ok(())
    }

    async fn tx(&mut self) -> Result<&mut Infallible> {
        Err(Error::new(ErrorKind::Invalid, "this store does not support read models"))
    }

    /// Only the writer changes this log.
    async fn check(&mut self, _: LogHead) -> Result<()> {
        Ok(())
    }

    async fn commit(&mut self) -> CommitOutcome {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return CommitOutcome::Committed;
        }
        let outcome = self.log.append(&rows, &mut self.end);
        self.is_broken = matches!(outcome, CommitOutcome::Unknown(_));
        outcome
    }

    async fn discard(&mut self) {
        self.rows.clear();
    }

    async fn close(self) {}
}
// ANCHOR_END: steps
