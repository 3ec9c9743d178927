use downlink::store::Appended;
use downlink::{Append, Error, ErrorKind, Result, commit};
use downlink_sqlite_schema::not_open;
use sqlx::SqliteConnection;

use crate::driver::{Driver, is_open};
use crate::error::failed;
use crate::guard::{ActiveGuard, LogGuard};
use crate::snapshot::log_shape;

/// A transaction with writes to application tables and appends; see
/// [`SqlxStore::transact`](crate::SqlxStore::transact).
#[derive(Debug)]
pub struct Transaction<'t> {
    inner: commit::Transaction<'t, Driver>,
    guard: LogGuard,
    lent: Option<Lent>,
}

/// The state while application code uses the connection.
#[derive(Debug)]
struct Lent {
    /// The shape of the tables of the log before.
    shape: String,
    guard: ActiveGuard,
}

impl<'t> Transaction<'t> {
    pub(crate) fn new(inner: commit::Transaction<'t, Driver>, guard: LogGuard) -> Self {
        Self { inner, guard, lent: None }
    }

    /// The connection, for the application's own tables. SQLite refuses a COMMIT on it, and a
    /// transaction that writes to the tables of the log fails; see [`Tx`](crate::Tx).
    ///
    /// # Errors
    ///
    /// [`Backend`](ErrorKind::Backend) if an earlier error has closed the connection;
    /// then nothing of the transaction is stored, whatever the application
    /// returns.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has no effects.
    pub async fn rows(&mut self) -> Result<&mut SqliteConnection> {
        let connection = self.inner.tx().await?;
        if self.lent.is_none() {
            let shape = log_shape(connection).await.map_err(failed(DOING))?;
            let guard = self.guard.activate(connection).await.map_err(failed(DOING))?;
            self.lent = Some(Lent { shape, guard });
        }
        Ok(connection)
    }

    /// Appends within this transaction. The rows and the events are stored
    /// together or not at all.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](downlink::EventStore::append);
    /// [`Invalid`](ErrorKind::Invalid) if the tables of the log were written to;
    /// [`TooLarge`](ErrorKind::TooLarge) if all appends of the transaction together
    /// are larger than [one may be](downlink::limits::MAX_APPEND_BYTES). After any
    /// error nothing of the transaction is stored, whatever the application
    /// returns.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, nothing of the transaction is stored.
    pub async fn append(&mut self, append: Append) -> Result<Appended> {
        self.reclaim().await?;
        self.inner.append(append).await
    }

    /// Takes the connection back from application code, and checks that this code left the log
    /// alone. If not, nothing of the transaction is stored.
    pub(crate) async fn reclaim(&mut self) -> Result<()> {
        let Some(Lent { shape, guard }) = self.lent.take() else { return Ok(()) };
        // If this future is dropped, the active guard is dropped with it, which interrupts the
        // transaction.
        let checked = match self.inner.tx().await {
            Ok(connection) => {
                let is_unwritten = guard.deactivate(connection).await;
                shape_within(connection).await.map(|now| is_unwritten && now == shape)
            }
            Err(error) => Err(error),
        };
        let error = match checked {
            Ok(true) => return Ok(()),
            Ok(false) => Error::new(ErrorKind::Invalid, LOG_CHANGED),
            Err(error) => error,
        };
        self.inner.fail(error.clone());
        Err(error)
    }
}

/// The shape of the tables of the log, if the transaction is open. A rollback would change it,
/// too.
async fn shape_within(connection: &mut SqliteConnection) -> Result<String> {
    if !is_open(connection).await {
        return Err(not_open());
    }
    log_shape(connection).await.map_err(failed(DOING))
}

const DOING: &str = "check the tables of the log";

const LOG_CHANGED: &str = "the transaction has written to the tables of the log, or changed its connection (a \
                       pragma, a hook, another database): append through the transaction, use separate \
                           tables, and do not change the connection";
