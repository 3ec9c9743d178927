use super::{LogHead, Plan};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::id::Position;
use crate::limits;
use crate::store::{Append, Appended};

/// What a job has done within its transaction so far.
#[derive(Debug)]
pub(crate) struct Work {
    /// Where the log ended when the transaction began.
    pub(crate) begun: LogHead,
    /// Where it ends within the transaction.
    pub(crate) head: LogHead,
    /// The events that were appended.
    pub(crate) rows: Vec<Event>,
    bytes: usize,
    /// The first append that had been stored before the transaction began.
    pub(crate) duplicate: Option<Appended>,
    /// Why it must not be committed, whatever the job answers.
    failure: Option<Error>,
    is_appending: bool,
}

impl Work {
    /// None yet, in a transaction that has not begun.
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

    /// None yet, in a transaction that begins at this end of the log.
    pub(crate) fn at(head: LogHead) -> Self {
        let mut work = Self::new();
        work.begin(head);
        work
    }

    /// The transaction begins, at this end of the log.
    pub(crate) fn begin(&mut self, head: LogHead) {
        (self.begun, self.head) = (head, head);
    }

    /// Notes that it must not be committed. The first reason stays.
    pub(crate) fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }

    /// Whether it may be committed.
    pub(crate) fn verdict(&self) -> Result<()> {
        if let Some(error) = &self.failure {
            return Err(error.clone());
        }
        if self.is_appending {
            let message = "an append within a transaction was dropped before it had ended: await \
                           it, so that rows and events are stored together";
            return Err(Error::invalid(message));
        }
        Ok(())
    }

    /// An append begins. Until it has ended, the transaction must not be committed.
    pub(crate) fn begin_append(&mut self) -> Result<()> {
        self.verdict()?;
        self.is_appending = true;
        Ok(())
    }

    /// The append that began has ended.
    pub(crate) fn end_append(&mut self, outcome: &Result<Appended>) {
        self.is_appending = false;
        if let Err(error) = outcome {
            self.fail(error.clone());
        }
    }

    /// Refuses what would make the transaction too large.
    pub(crate) fn admit(&self, append: &Append) -> Result<()> {
        let (bytes, limit) = (self.bytes.saturating_add(append.size()), limits::MAX_APPEND_BYTES);
        if bytes > limit {
            let message = format!(
                "{bytes} bytes of events in one transaction: the limit is {limit}, so divide it"
            );
            return Err(Error::too_large(message, limit));
        }
        Ok(())
    }

    /// Takes in what was decided on one append.
    pub(crate) fn take(&mut self, mut plan: Plan) -> Result<Appended> {
        self.head = plan.head;
        self.bytes += plan.rows.iter().map(Event::size).sum::<usize>();
        self.rows.append(&mut plan.rows);
        let appended = plan.outcomes.pop().expect("one outcome for one append")?;
        if appended.duplicate {
            self.repeat(&appended)?;
        }
        Ok(appended)
    }

    /// An append was stored before: before this transaction, or within it.
    fn repeat(&mut self, original: &Appended) -> Result<()> {
        let begun = self.begun.cursor.position();
        let is_old = |position: Position| position <= begun;
        if is_old(original.last()) {
            self.duplicate.get_or_insert_with(|| original.clone());
        } else if is_old(original.first) {
            let message = "some events of an append were stored before this transaction began and \
                           others within it: give new events new ids";
            return Err(Error::new(ErrorKind::IdReused, message));
        }
        Ok(())
    }
}
