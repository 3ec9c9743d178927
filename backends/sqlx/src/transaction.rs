use downlink::commit;
use downlink::store::Appended;
use downlink::{Append, Error, ErrorKind, Result};
use downlink_sqlite_schema::not_open;
use sqlx::SqliteConnection;

use crate::driver::{Driver, is_open};
use crate::error::failed;
use crate::guard::{Guard, Raised};
use crate::snapshot::log_shape;

/// Application tables and appends in one transaction; see
/// [`SqlxStore::transact`](crate::SqlxStore::transact).
#[derive(Debug)]
pub struct Transaction<'t> {
    inner: commit::Transaction<'t, Driver>,
    guard: Guard,
    lent: Option<Lent>,
}

/// The connection is with foreign code.
#[derive(Debug)]
struct Lent {
    /// What the tables of the log were like before.
    shape: String,
    raised: Raised,
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
    /// [`Backend`](ErrorKind::Backend) if an earlier error has closed the connection;
    /// then nothing of the transaction is stored, whatever the application
    /// answers.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has no effects.
    pub async fn rows(&mut self) -> Result<&mut SqliteConnection> {
        let connection = self.inner.tx().await?;
        if self.lent.is_none() {
            let shape = log_shape(connection).await.map_err(failed(DOING))?;
            let raised = self.guard.raise(connection).await.map_err(failed(DOING))?;
            self.lent = Some(Lent { shape, raised });
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
    /// answers.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it has ended, nothing of the transaction
    /// is stored.
    pub async fn append(&mut self, append: Append) -> Result<Appended> {
        self.take_back().await?;
        self.inner.append(append).await
    }

    /// Foreign code has ended, or waits: checks that it left the log alone. If
    /// not, nothing of the transaction is stored.
    pub(crate) async fn take_back(&mut self) -> Result<()> {
        let Some(Lent { shape, raised }) = self.lent.take() else { return Ok(()) };
        // If the look is dropped, so is what says that foreign code had the connection, and the
        // transaction with it.
        let looked = match self.inner.tx().await {
            Ok(connection) => {
                let is_unhurt = raised.lower(connection).await;
                shape_within(connection).await.map(|now| is_unhurt && now == shape)
            }
            Err(error) => Err(error),
        };
        let verdict = match looked {
            Ok(true) => return Ok(()),
            Ok(false) => Error::new(ErrorKind::Invalid, MEDDLED),
            Err(error) => error,
        };
        self.inner.fail(verdict.clone());
        Err(verdict)
    }
}

/// What the tables of the log are like, if the transaction is open: a rollback
/// changes them, too.
async fn shape_within(connection: &mut SqliteConnection) -> Result<String> {
    if !is_open(connection).await {
        return Err(not_open());
    }
    log_shape(connection).await.map_err(failed(DOING))
}

const DOING: &str = "check the tables of the log";

const MEDDLED: &str = "the transaction has written to the tables of the log, or changed its connection (a \
                       pragma, a hook, another database): append through it, give the application tables of \
                       its own, and leave the connection as it is";
