use std::fmt;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use async_trait::async_trait;
use downlink::id::ProjectionId;
use downlink::live::{Evaluated, Model, QueryStore, Work};
use downlink::projection::ProjectionRow;
use downlink::{BoxError, Cursor, Error, Result};
use downlink_sqlite_schema::{
    CancelOnDrop, INSTRUCTIONS_BETWEEN_CHECKS, QueryLimit, not_live, query_changed_connection,
    query_failed, query_panicked, sql,
};
use rusqlite::Connection;

use crate::error::{code_and_message, failed};
use crate::projections::{at_once, driver_error, live};
use crate::store::RusqliteStore;
use crate::tx::Tx;

/// The transaction of a query of a read model: it reads one snapshot of the file, with the
/// methods of [`Tx`].
///
/// In it, SQLite refuses to write, to begin, commit or roll back, to attach databases and to
/// set pragmas. Everything that it reads is as of [`cursor`](Self::cursor).
pub struct ReadTx<'a> {
    tx: &'a Tx,
    version: u32,
    cursor: Cursor,
}

impl ReadTx<'_> {
    /// The live version of the projection. A program that supports several versions chooses
    /// its tables by it.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The cursor up to which the live version is built.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }
}

impl Deref for ReadTx<'_> {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        self.tx
    }
}

impl fmt::Debug for ReadTx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTx")
            .field("version", &self.version)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

impl RusqliteStore {
    /// Queries the read model of the projection with this name. Returns the result of `work`
    /// and the cursor of the live version, both of one snapshot: the rows are the fold of the
    /// log up to the cursor. A client that subscribes from there misses nothing.
    ///
    /// `work` runs on a thread and a connection for queries. At most
    /// [`Options::with_readers`](crate::Options::with_readers) queries run at once, others
    /// wait. SQLite is stopped when `work` takes longer than
    /// [`Options::with_query_limit`](crate::Options::with_query_limit), 5 s by default; other
    /// code in `work` is not stopped.
    ///
    /// # Errors
    ///
    /// - [`Invalid`](downlink::ErrorKind::Invalid) if there is no projection with this name, and
    ///   if `work` writes, or ends its transaction;
    /// - [`Unavailable`](downlink::ErrorKind::Unavailable) while no version of it is complete, and
    ///   if the store is closed or the file cannot be opened;
    /// - [`TooLarge`](downlink::ErrorKind::TooLarge) if it takes too long;
    /// - the error of `work`, if it is an [`Error`]; else
    ///   [`Backend`](downlink::ErrorKind::Backend) with its error as the source, also for a panic;
    /// - [`Busy`](downlink::ErrorKind::Busy) and [`Corrupt`](downlink::ErrorKind::Corrupt) as for a
    ///   read.
    ///
    /// # Cancel safety
    ///
    /// Has no effects. If the future is dropped, SQLite is stopped soon.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(store: downlink_rusqlite::RusqliteStore) -> downlink::Result<()> {
    /// let (departed, cursor) = store
    ///     .query("by_airport", |tx| {
    ///         let sql = "SELECT departed FROM by_airport_1 WHERE airport = 'EWR'";
    ///         Ok(tx.query_row(sql, (), |row| row.get::<_, u32>(0))?)
    ///     })
    ///     .await?;
    /// println!("{departed} flights have left Newark, as of {cursor}");
    /// # Ok(()) }
    /// ```
    pub async fn query<T, F>(&self, projection: &str, work: F) -> Result<(T, Cursor)>
    where
        T: Send + 'static,
        F: FnOnce(&ReadTx<'_>) -> Result<T, BoxError> + Send + 'static,
    {
        let limit = self.options().query_limit();
        let work = |tx: &mut Tx, row: &ProjectionRow| {
            work(&ReadTx { tx, version: row.version, cursor: row.checkpoint })
        };
        let (value, row) = self.query_within(projection, limit, work).await?;
        Ok((value, row.checkpoint))
    }

    /// Runs `work` in a transaction that reads, with the row of the live version.
    async fn query_within<T, F>(
        &self,
        projection: &str,
        limit: Duration,
        work: F,
    ) -> Result<(T, ProjectionRow)>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx, &ProjectionRow) -> Result<T, BoxError> + Send + 'static,
    {
        let id = ProjectionId::new(projection, 0)?;
        let (on_drop, cancelled) = CancelOnDrop::new();
        let answer = self
            .readers()
            .query(move |tx| query(tx, &id, &QueryLimit::start(limit, cancelled), work))
            .await;
        drop(on_drop);
        answer
    }
}

#[async_trait]
impl QueryStore for RusqliteStore {
    fn query_readers(&self) -> usize {
        self.options().readers()
    }

    async fn evaluate(
        &self,
        projection: &str,
        limit: Duration,
        work: Work<Tx>,
    ) -> Result<Evaluated> {
        let work = |tx: &mut Tx, row: &ProjectionRow| at_once(work(Model::new(tx, row.version)));
        let ((), row) = self.query_within(projection, limit, work).await?;
        Ok(Evaluated { version: row.version, checkpoint: row.checkpoint })
    }
}

/// Runs `work` in a transaction. After an error the caller closes the connection, and with it
/// the transaction.
fn query<T>(
    tx: &mut Tx,
    id: &ProjectionId,
    limit: &QueryLimit,
    work: impl FnOnce(&mut Tx, &ProjectionRow) -> Result<T, BoxError>,
) -> Result<(T, ProjectionRow)> {
    let doing = "query a read model";
    // Not from the cache of prepared statements, where guarded code would find them.
    tx.execute_batch(sql::BEGIN_READ).map_err(failed(doing))?;
    let row = find_live(tx.raw(), id)?;
    stop_at(tx.raw(), limit).map_err(failed(doing))?;
    let value = tx.guarded(|tx| run(tx, id, &row, work));
    tx.raw().progress_handler(0, None::<fn() -> bool>).map_err(failed(doing))?;
    if limit.has_stopped() {
        return Err(limit.too_slow(id));
    }
    let value = value?;
    if tx.raw().is_autocommit() {
        return Err(query_changed_connection(id));
    }
    tx.execute_batch(sql::ROLLBACK).map_err(failed(doing))?;
    Ok((value, row))
}

fn find_live(connection: &Connection, id: &ProjectionId) -> Result<ProjectionRow> {
    if let Some(row) = live(connection, id)? {
        return Ok(row);
    }
    let is_known = connection
        .query_row(sql::IS_PROJECTED, [id.name()], |row| row.get(0))
        .map_err(failed("look up a projection"))?;
    Err(not_live(id, is_known))
}

fn stop_at(connection: &Connection, limit: &QueryLimit) -> rusqlite::Result<()> {
    let limit = limit.clone();
    connection.progress_handler(INSTRUCTIONS_BETWEEN_CHECKS, Some(move || limit.must_stop()))
}

/// Catches a panic, because the thread serves other callers, too.
fn run<T>(
    tx: &mut Tx,
    id: &ProjectionId,
    row: &ProjectionRow,
    work: impl FnOnce(&mut Tx, &ProjectionRow) -> Result<T, BoxError>,
) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(|| work(tx, row))) {
        Ok(result) => result.map_err(|error| refused(id, error)),
        Err(panic) => Err(query_panicked(id, &*panic)),
    }
}

fn refused(id: &ProjectionId, error: BoxError) -> Error {
    let cause = driver_error(&*error).and_then(code_and_message);
    query_failed(id, cause, error)
}
