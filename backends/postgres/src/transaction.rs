use std::sync::Arc;

use downlink::store::Appended;
use downlink::{Append, Error, ErrorKind, Result, commit};
use sqlx::PgConnection;

use crate::connection::Server;
use crate::driver::Driver;
use crate::error::not_open;
use crate::projections::log_writes;

/// A transaction with writes to application tables and appends; see
/// [`PostgresStore::transact`](crate::PostgresStore::transact).
#[derive(Debug)]
pub struct Transaction<'t> {
    inner: commit::Transaction<'t, Driver>,
    server: Arc<Server>,
    /// How many rows of the log's tables were written before application code got the
    /// connection, while it has it.
    writes_before: Option<i64>,
}

impl<'t> Transaction<'t> {
    pub(crate) fn new(inner: commit::Transaction<'t, Driver>, server: Arc<Server>) -> Self {
        Self { inner, server, writes_before: None }
    }

    /// The connection, for the application's own tables. A transaction that ends itself, or
    /// writes to the tables of the log, fails and leaves nothing.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the connection is lost; then nothing of the
    /// transaction is stored, whatever the application returns.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has no effects.
    pub async fn rows(&mut self) -> Result<&mut PgConnection> {
        let connection = self.inner.tx().await?;
        if self.writes_before.is_none() {
            let writes = log_writes(connection, &self.server).await;
            self.writes_before = Some(writes.map_err(|error| not_open(error, DOING))?);
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
        let Some(before) = self.writes_before.take() else { return Ok(()) };
        let checked = match self.inner.tx().await {
            Ok(connection) => {
                log_writes(connection, &self.server).await.map_err(|error| not_open(error, DOING))
            }
            Err(error) => Err(error),
        };
        let error = match checked {
            Ok(after) if after == before => return Ok(()),
            Ok(_) => Error::new(ErrorKind::Invalid, LOG_CHANGED),
            Err(error) => error,
        };
        self.inner.fail(error.clone());
        Err(error)
    }
}

const DOING: &str = "check the tables of the log";

const LOG_CHANGED: &str = "the transaction has written to the tables of the log: append through the \
                           transaction, and use separate tables";
