use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use super::store::{decide, fetch};
use super::{LogIndex, MemoryStore};
use crate::commit::{Transacted, Work, inside};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::store::{Append, Appended, Page, ReadLog, ReadStream};
use crate::supervise::panicked;

/// Appends that are stored together or not at all; see
/// [`MemoryStore::transact`].
#[derive(Debug)]
pub struct MemoryTransaction {
    /// A copy of the log, to which appends are made until all are stored.
    log: LogIndex<Event>,
    work: Work,
}

impl MemoryTransaction {
    /// Appends within this transaction.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](crate::EventStore::append), and
    /// [`TooLarge`](crate::ErrorKind::TooLarge) if all appends of the transaction together
    /// are larger than [one may be](crate::limits::MAX_APPEND_BYTES). After any
    /// error nothing of the transaction is stored, whatever the application
    /// answers.
    pub fn append(&mut self, append: Append) -> Result<Appended> {
        self.work.begin_append()?;
        let outcome = self.try_append(append);
        self.work.end_append(&outcome);
        outcome
    }

    fn try_append(&mut self, append: Append) -> Result<Appended> {
        append.validate()?;
        self.work.admit(&append)?;
        let plan = decide(&self.log, append)?;
        self.work.take(plan)
    }

    /// Reads the log as this transaction sees it.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read_log`](crate::EventStore::read_log).
    pub fn read_log(&self, read: &ReadLog) -> Result<Page> {
        self.log.log_page(read, fetch)
    }

    /// Reads a stream as this transaction sees it.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read_stream`](crate::EventStore::read_stream).
    pub fn read_stream(&self, read: &ReadStream) -> Result<Page> {
        self.log.stream_page(read, fetch)
    }

    /// The end of the log as this transaction has it.
    #[must_use]
    pub fn head(&self) -> Cursor {
        self.log.head().cursor
    }
}

impl MemoryStore {
    /// Runs `work` once and alone: what it appends is stored together or not at
    /// all, as the SQLite stores do it with rows of the application besides.
    ///
    /// Nothing is stored after an error or a panic. If `work` appends what had
    /// been stored before, nothing is stored either, and the answer is
    /// [`Transacted::Duplicate`]. Appends wait while it runs; it works on a copy
    /// of the log, so reads do not, and a long log makes it slow.
    ///
    /// # Errors
    ///
    /// What `work` returns, and the first error of its appends;
    /// [`Invalid`](crate::ErrorKind::Invalid) from inside of such a transaction;
    /// [`Backend`](crate::ErrorKind::Backend) after a panic;
    /// [`HistoryChanged`](crate::ErrorKind::HistoryChanged) if the log was
    /// [restored](Self::restore) meanwhile.
    ///
    /// # Cancel safety
    ///
    /// The future is ready when it is first polled.
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

    /// The same with a value of the application in the place of tables: `work`
    /// changes a copy of it, which takes its place when the appends are stored.
    /// Others read the value by the same lock.
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
        take_over: impl FnOnce(),
    ) -> Result<Transacted<T>, E> {
        let _turn = self.turn()?;
        let log = self.log.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut tx = MemoryTransaction { work: Work::at(log.head()), log };
        let run = || catch_unwind(AssertUnwindSafe(|| work(&mut tx)));
        let outcome = inside(self.address(), run).map_err(|panic| panicked(&*panic))?;
        if let Some(original) = tx.work.duplicate.take() {
            return Ok(Transacted::Duplicate(original));
        }
        let value = outcome?;
        tx.work.verdict()?;
        self.store(tx.work, take_over)?;
        Ok(Transacted::Committed(value))
    }

    /// The application's value is there before its events are told.
    fn store(&self, work: Work, take_over: impl FnOnce()) -> Result<()> {
        let log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        if log.head() != work.begun {
            return Err(Error::history_changed(work.begun.cursor));
        }
        log.extend(work.rows.iter().map(|row| (row, row.clone())));
        take_over();
        self.feed.committed(work.begun.cursor, work.rows);
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
    async fn appends_are_seen_within_and_told_after() {
        let store = MemoryStore::new();
        store.append(append("s", Expected::NoStream)).await.unwrap();
        let (mut commits, twice) = (store.commits().unwrap(), append("t", Expected::NoStream));
        let done = store.transact(|tx| {
            tx.append(append("s", Expected::Exists))?;
            assert!(!tx.append(twice.clone())?.duplicate);
            assert!(tx.append(twice.clone())?.duplicate);
            assert_eq!(position(store.head().now_or_never().unwrap()?), 1, "nothing is told yet");
            assert!(commits.try_next().is_none());
            assert_eq!(tx.read_log(&Read::log())?.events.len(), 3);
            Ok::<_, Error>(tx.head())
        });
        let Ok(Transacted::Committed(head)) = done.await else { panic!() };
        assert_eq!((position(head), store.head().await.unwrap()), (3, head));
        let Some(CommitNotice::Committed(commit)) = commits.try_next() else { panic!("not told") };
        assert_eq!((position(commit.from), commit.events.len()), (1, 2));
        let repeated = store.transact(|tx| tx.append(twice));
        assert!(matches!(repeated.await, Ok(Transacted::Duplicate(_))));
    }

    #[tokio::test]
    async fn what_fails_leaves_nothing() {
        let store = MemoryStore::new();
        let fits = || append("s", Expected::Any);
        let conflict = append("s", Expected::NoStream);
        assert_eq!(kind(&store, vec![fits(), conflict, fits()]).await, ErrorKind::Conflict);
        let panics = store.transact(|tx| {
            tx.append(fits())?;
            assert!(tx.head() == Cursor::START, "it fell off");
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
        assert_eq!(position(store.head().await.unwrap()), 2, "of what was restored");
    }
}
