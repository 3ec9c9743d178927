use downlink::commit;
use downlink::{Append, Appended, Error, ErrorKind, Result};
use sqlx::SqliteConnection;

use crate::driver::Driver;
use crate::error::failed;
use crate::guard::Guard;
use crate::snapshot::log_shape;

/// Application tables and appends in one transaction; see
/// [`SqlxStore::transact`](crate::SqlxStore::transact).
#[derive(Debug)]
pub struct Transaction<'t> {
    inner: commit::Transaction<'t, Driver>,
    guard: Guard,
    /// What the tables of the log were like when foreign code got the
    /// connection.
    lent: Option<String>,
}

impl<'t> Transaction<'t> {
    pub(crate) fn new(inner: commit::Transaction<'t, Driver>, guard: Guard) -> Self {
        Self { inner, guard, lent: None }
    }

    /// The connection, for the application's own tables. SQLite refuses it a
    /// COMMIT, and a transaction in which the tables of the log were written to
    /// fails; see [`Tx`](crate::Tx).
    ///
    /// # Errors
    ///
    /// [`Backend`](ErrorKind::Backend) if an earlier error has closed the connection.
    pub async fn rows(&mut self) -> Result<&mut SqliteConnection> {
        let connection = self.inner.tx().await?;
        if self.lent.is_none() {
            self.lent = Some(log_shape(connection).await.map_err(failed(DOING))?);
            self.guard.raise();
        }
        Ok(connection)
    }

    /// Appends within this transaction. The rows and the events are stored
    /// together or not at all.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](downlink::EventStore::append), and
    /// [`Invalid`](ErrorKind::Invalid) if the tables of the log were written to. After
    /// a conflict the transaction may go on.
    pub async fn append(&mut self, append: Append) -> Result<Appended> {
        self.take_back().await?;
        self.inner.append(append).await
    }

    /// Foreign code has ended, or waits: checks that it left the log alone.
    pub(crate) async fn take_back(&mut self) -> Result<()> {
        let Some(before) = self.lent.take() else { return Ok(()) };
        let is_unhurt = self.guard.lower();
        let after = log_shape(self.inner.tx().await?).await.map_err(failed(DOING))?;
        if is_unhurt && after == before {
            return Ok(());
        }
        let message = "the transaction has written to the tables of the log: append through it, and \
                       give the application tables of its own";
        Err(Error::new(ErrorKind::Invalid, message))
    }
}

const DOING: &str = "check the tables of the log";

impl Drop for Transaction<'_> {
    /// Foreign code may have been dropped at its deadline.
    fn drop(&mut self) {
        self.guard.lower();
    }
}
