use std::time::{Duration, Instant};

use downlink::store::Appended;
use downlink::{Append, Error, ErrorKind, Result, commit};
use futures::FutureExt;

use crate::driver::Driver;
use crate::tx::Tx;

/// How many steps of its virtual machine SQLite runs between two checks of the deadline.
const STEPS: i32 = 1_000;

/// A transaction with writes to application tables and appends; see
/// [`RusqliteStore::transact`](crate::RusqliteStore::transact).
#[derive(Debug)]
pub struct Transaction<'t> {
    inner: commit::Transaction<'t, Driver>,
}

impl<'t> Transaction<'t> {
    pub(crate) fn new(inner: commit::Transaction<'t, Driver>) -> Self {
        Self { inner }
    }

    /// The connection, for the application's own tables. SQLite refuses what it refuses in a
    /// projection; see [`Tx`].
    ///
    /// # Errors
    ///
    /// [`Backend`](ErrorKind::Backend) if an earlier error has ended the transaction;
    /// then nothing of it is stored, whatever the application returns.
    pub fn rows(&mut self) -> Result<&Tx> {
        let tx = at_once(self.inner.tx())?;
        tx.set_guarded(true);
        Ok(tx)
    }

    /// Appends within this transaction. The rows and the events are stored
    /// together or not at all.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](downlink::EventStore::append), and
    /// [`TooLarge`](ErrorKind::TooLarge) if all appends of the transaction together
    /// are larger than [one may be](downlink::limits::MAX_APPEND_BYTES). After any
    /// error nothing of the transaction is stored, whatever the application
    /// returns.
    pub fn append(&mut self, append: Append) -> Result<Appended> {
        if let Ok(tx) = self.inner.driver().tx() {
            tx.set_guarded(false);
        }
        at_once(self.inner.append(append))
    }

    /// Runs application code, which SQLite interrupts at the deadline.
    pub(crate) fn run<T, E: From<Error>>(
        mut self,
        deadline: Duration,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let until = Instant::now() + deadline;
        self.inner.driver().tx()?.interrupt_after(STEPS, Some(until))?;
        let outcome = work(&mut self);
        if let Ok(tx) = self.inner.driver().tx() {
            tx.reset_guard()?;
        }
        outcome
    }
}

/// Polls a future that is ready at once, because the driver is blocking.
fn at_once<T>(step: impl Future<Output = Result<T>>) -> Result<T> {
    step.now_or_never().unwrap_or_else(|| {
        Err(Error::new(ErrorKind::Backend, "a step with rusqlite was not ready at once"))
    })
}
