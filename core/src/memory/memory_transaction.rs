use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use super::memory_store::{decide, fetch};
use super::{LogIndex, MemoryStore};
use crate::commit::{Transacted, TransactionState, inside_writer};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::store::{Append, Appended, Page, ReadLog, ReadStream};
use crate::supervise::panicked;

/// A transaction, whose appends are stored together or not at all; see
/// [`MemoryStore::transact`].
#[derive(Debug)]
pub struct MemoryTransaction {
    /// A copy of the log, to which the transaction appends until it is stored.
    log: LogIndex<Event>,
    state: TransactionState,
}

impl MemoryTransaction {
    /// Appends within this transaction.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](crate::EventStore::append), and
    /// [`TooLarge`](crate::ErrorKind::TooLarge) if all appends of the
    /// transaction together exceed [the limit for one
    /// append](crate::limits::MAX_APPEND_BYTES). After any error, nothing of
    /// the transaction is stored, whatever the application returns.
    pub fn append(&mut self, append: Append) -> Result<Appended> {
        self.state.begin_append()?;
        let outcome = self.try_append(append);
        self.state.end_append(&outcome);
        outcome
    }

    fn try_append(&mut self, append: Append) -> Result<Appended> {
        append.validate()?;
        self.state.admit(&append)?;
        let plan = decide(&self.log, append)?;
        self.state.record(plan)
    }

    /// Reads the log as this transaction sees it.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read_log`](crate::EventStore::read_log).
    pub fn read_log(&self, read: &ReadLog) -> Result<Page> {
        self.log.read_log(read, fetch)
    }

    /// Reads a stream as this transaction sees it.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read_stream`](crate::EventStore::read_stream).
    pub fn read_stream(&self, read: &ReadStream) -> Result<Page> {
        self.log.read_stream(read, fetch)
    }

    /// The end of the log as this transaction sees it.
    #[must_use]
    pub fn head(&self) -> Cursor {
        self.log.head().cursor
    }
}

impl MemoryStore {
    /// Runs `work` in a transaction: its appends are stored together or not at
    /// all. The SQLite stores offer the same together with rows of the
    /// application.
    ///
    /// Nothing is stored after an error or a panic. If `work` appends events
    /// that had been stored before, nothing is stored either, and
    /// [`Transacted::Duplicate`] is returned. Other appends wait while it runs.
    /// It works on a copy of the log, so that reads do not wait, but a long log
    /// makes it slow.
    ///
    /// # Errors
    ///
    /// Any error of `work`, and the first error of its appends;
    /// [`Invalid`](crate::ErrorKind::Invalid) from inside such a transaction;
    /// [`Backend`](crate::ErrorKind::Backend) after a panic;
    /// [`HistoryChanged`](crate::ErrorKind::HistoryChanged) if the log was
    /// [restored](Self::restore) in the meantime.
    ///
    /// # Cancel safety
    ///
    /// The future completes when it is first polled.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> downlink::Result<()> {
    /// use downlink::commit::Transacted;
    /// use downlink::{Append, Error, Expected, MemoryStore, NewEvent};
    ///
    /// let store = MemoryStore::new();
    /// let landed = NewEvent::json("FlightLanded", "{}")?;
    /// let taken = NewEvent::json("GateTaken", r#"{"flight":"UA1545"}"#)?;
    /// let head = store.transact(|tx| {
    ///     tx.append(Append::to("flight-UA1545", Expected::Any, [landed])?)?;
    ///     tx.append(Append::to("gate-C71", Expected::Any, [taken])?)?;
    ///     Ok::<_, Error>(tx.head())
    /// });
    /// let Transacted::Committed(head) = head.await? else { panic!("they are new") };
    /// assert_eq!(head.position().get(), 2);
    /// # Ok(()) }
    /// ```
    #[expect(clippy::unused_async, reason = "as other stores have it")]
    pub async fn transact<T, E, F>(&self, work: F) -> Result<Transacted<T>, E>
    where
        E: From<Error>,
        F: FnOnce(&mut MemoryTransaction) -> Result<T, E>,
    {
        self.run(work, || ())
    }

    /// As [`transact`](Self::transact), but with a value of the application in
    /// place of tables: `work` changes a copy of it, which replaces the value
    /// when the appends are stored. Read the value through the same lock.
    ///
    /// # Errors
    ///
    /// As [`transact`](Self::transact).
    ///
    /// # Cancel safety
    ///
    /// As [`transact`](Self::transact).
    #[expect(clippy::unused_async, reason = "as other stores have it")]
    pub async fn transact_on<S, T, E, F>(
        &self,
        state: &Mutex<S>,
        work: F,
    ) -> Result<Transacted<T>, E>
    where
        S: Clone,
        E: From<Error>,
        F: FnOnce(&mut MemoryTransaction, &mut S) -> Result<T, E>,
    {
        let current = || state.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = RefCell::new(None);
        let on_a_copy = |tx: &mut MemoryTransaction| {
            let mut copy = current().clone();
            let value = work(tx, &mut copy)?;
            changed.replace(Some(copy));
            Ok(value)
        };
        self.run(on_a_copy, || {
            if let Some(changed) = changed.take() {
                *current() = changed;
            }
        })
    }

    fn run<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&mut MemoryTransaction) -> Result<T, E>,
        replace_value: impl FnOnce(),
    ) -> Result<Transacted<T>, E> {
        let _lock = self.lock_appends()?;
        let log = self.log.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut tx = MemoryTransaction { state: TransactionState::at(log.head()), log };
        let run = || catch_unwind(AssertUnwindSafe(|| work(&mut tx)));
        let outcome = inside_writer(self.id(), run).map_err(|panic| panicked(&*panic))?;
        if let Some(original) = tx.state.duplicate.take() {
            return Ok(Transacted::Duplicate(original));
        }
        let value = outcome?;
        tx.state.check_committable()?;
        self.store(tx.state, replace_value)?;
        Ok(Transacted::Committed(value))
    }

    /// Stores the events. The application's value is replaced before they are
    /// reported.
    fn store(&self, state: TransactionState, replace_value: impl FnOnce()) -> Result<()> {
        let log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        if log.head() != state.begun {
            return Err(Error::history_changed(state.begun.cursor));
        }
        log.extend(state.rows.iter().map(|row| (row, row.clone())));
        replace_value();
        self.feed.committed(state.begun.cursor, state.rows);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::commit::CommitNotice;
    use crate::error::ErrorKind;
    use crate::event::NewEvent;
    use crate::store::{EventStore, Expected, Read};

    fn append(stream: &str, expected: Expected) -> Append {
        Append::to(stream, expected, [NewEvent::json("A", "{}").unwrap()]).unwrap()
    }

    fn position(cursor: Cursor) -> u64 {
        cursor.position().get()
    }

    async fn kind(store: &MemoryStore, appends: Vec<Append>) -> ErrorKind {
        let swallows = store.transact(|tx| {
            for append in appends {
                drop(tx.append(append));
            }
            Ok::<(), Error>(())
        });
        swallows.await.unwrap_err().kind()
    }

    #[tokio::test]
    async fn appends_are_visible_inside_and_reported_afterwards() {
        let store = MemoryStore::new();
        store.append(append("s", Expected::NoStream)).await.unwrap();
        let (mut commits, twice) = (store.commits().unwrap(), append("t", Expected::NoStream));
        let done = store.transact(|tx| {
            tx.append(append("s", Expected::Exists))?;
            assert!(!tx.append(twice.clone())?.duplicate);
            assert!(tx.append(twice.clone())?.duplicate);
            assert_eq!(position(store.head().now_or_never().unwrap()?), 1, "nothing is stored yet");
            assert!(commits.try_next().is_none());
            assert_eq!(tx.read_log(&Read::log())?.events.len(), 3);
            Ok::<_, Error>(tx.head())
        });
        let Ok(Transacted::Committed(head)) = done.await else { panic!() };
        assert_eq!((position(head), store.head().await.unwrap()), (3, head));
        let Some(CommitNotice::Committed(commit)) = commits.try_next() else {
            panic!("not reported")
        };
        assert_eq!((position(commit.from), commit.events.len()), (1, 2));
        let repeated = store.transact(|tx| tx.append(twice));
        assert!(matches!(repeated.await, Ok(Transacted::Duplicate(_))));
    }

    #[tokio::test]
    async fn a_failed_transaction_stores_nothing() {
        let store = MemoryStore::new();
        let fits = || append("s", Expected::Any);
        let conflict = append("s", Expected::NoStream);
        assert_eq!(kind(&store, vec![fits(), conflict, fits()]).await, ErrorKind::Conflict);
        let panics = store.transact(|tx| {
            tx.append(fits())?;
            assert!(tx.head() == Cursor::START, "panics (injected by the test)");
            Ok::<(), Error>(())
        });
        assert_eq!(panics.await.unwrap_err().kind(), ErrorKind::Backend);
        let nested = store.transact(|_| store.append(fits()).now_or_never().expect("at once"));
        assert_eq!(nested.await.unwrap_err().kind(), ErrorKind::Invalid);
        let nested = store.transact(|tx| {
            tx.append(fits())?;
            store.transact(|tx| tx.append(fits())).now_or_never().expect("at once")
        });
        assert_eq!(nested.await.unwrap_err().kind(), ErrorKind::Invalid);
        let restored = store.transact(|tx| {
            let other = MemoryStore::new();
            other.append(fits()).now_or_never().expect("at once")?;
            store.restore(&other);
            tx.append(fits())
        });
        assert_eq!(restored.await.unwrap_err().kind(), ErrorKind::HistoryChanged);
        store.append(fits()).await.unwrap();
        assert_eq!(position(store.head().await.unwrap()), 2, "the restored event and this one");
    }
}
