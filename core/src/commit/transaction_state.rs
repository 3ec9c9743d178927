use super::{LogHead, Plan};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::id::Position;
use crate::limits;
use crate::store::{Append, Appended};

/// The state of a job's transaction: what the job has done so far.
#[derive(Debug)]
pub(crate) struct TransactionState {
    /// The end of the log when the transaction began.
    pub(crate) begun: LogHead,
    /// The end of the log within the transaction.
    pub(crate) head: LogHead,
    /// The events that the job has appended.
    pub(crate) rows: Vec<Event>,
    bytes: usize,
    /// The first append that had been stored before the transaction began.
    pub(crate) duplicate: Option<Appended>,
    /// Why the transaction must not be committed, whatever the job returns.
    failure: Option<Error>,
    is_appending: bool,
}

impl TransactionState {
    /// The state before the transaction has begun.
    pub(crate) fn new() -> Self {
        Self {
            begun: LogHead::EMPTY,
            head: LogHead::EMPTY,
            rows: Vec::new(),
            bytes: 0,
            duplicate: None,
            failure: None,
            is_appending: false,
        }
    }

    /// The state of a transaction that begins at this end of the log.
    pub(crate) fn at(head: LogHead) -> Self {
        let mut state = Self::new();
        state.begin(head);
        state
    }

    /// Begins the transaction at this end of the log.
    pub(crate) fn begin(&mut self, head: LogHead) {
        (self.begun, self.head) = (head, head);
    }

    /// Prevents the transaction from being committed. The first error is kept.
    pub(crate) fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }

    /// Returns an error if the transaction must not be committed.
    pub(crate) fn check_committable(&self) -> Result<()> {
        if let Some(error) = &self.failure {
            return Err(error.clone());
        }
        if self.is_appending {
            let message = "an append within a transaction was dropped before it completed: await \
                           it, so that rows and events are stored together";
            return Err(Error::invalid(message));
        }
        Ok(())
    }

    /// Begins an append. Until it has ended, the transaction must not be
    /// committed.
    pub(crate) fn begin_append(&mut self) -> Result<()> {
        self.check_committable()?;
        self.is_appending = true;
        Ok(())
    }

    /// Ends the append that was begun.
    pub(crate) fn end_append(&mut self, outcome: &Result<Appended>) {
        self.is_appending = false;
        if let Err(error) = outcome {
            self.fail(error.clone());
        }
    }

    /// Refuses an append that would make the transaction too large.
    pub(crate) fn admit(&self, append: &Append) -> Result<()> {
        let (bytes, limit) = (self.bytes.saturating_add(append.size()), limits::MAX_APPEND_BYTES);
        if bytes > limit {
            let message = format!(
                "{bytes} bytes of events in one transaction: the limit is {limit}, so split it"
            );
            return Err(Error::too_large(message, limit));
        }
        Ok(())
    }

    /// Records events that were inserted, and the end of the log after them.
    pub(crate) fn record_rows(&mut self, mut rows: Vec<Event>, head: LogHead) {
        self.head = head;
        self.bytes += rows.iter().map(Event::size).sum::<usize>();
        self.rows.append(&mut rows);
    }

    /// Records the decision on one append.
    pub(crate) fn record(&mut self, plan: Plan) -> Result<Appended> {
        let Plan { mut outcomes, rows, head, .. } = plan;
        self.record_rows(rows, head);
        let appended = outcomes.pop().expect("one outcome for one append")?;
        if appended.duplicate {
            self.record_duplicate(&appended)?;
        }
        Ok(appended)
    }

    /// Handles an append that was stored before this transaction or within it.
    fn record_duplicate(&mut self, original: &Appended) -> Result<()> {
        let begun = self.begun.cursor.position();
        let is_old = |position: Position| position <= begun;
        if is_old(original.last()) {
            self.duplicate.get_or_insert_with(|| original.clone());
        } else if is_old(original.first) {
            let message = "some events of an append were stored before this transaction began, and \
                           others within it: give new events new ids";
            return Err(Error::new(ErrorKind::IdReused, message));
        }
        Ok(())
    }
}
