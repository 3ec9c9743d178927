use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::AssertUnwindSafe;

use downlink::id::ProjectionId;
use downlink::{BoxError, Cursor, Error, Result};
use downlink_sqlite_schema::{
    INSTRUCTIONS_BETWEEN_LOOKS, ProjectionRow, QueryLimit, Waiting, many, not_live, query_failed,
    query_has_meddled, query_panicked, sql,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::time::timeout;

use crate::driver::execute;
use crate::error::{cause, failed};
use crate::projections::{driver_error, live};
use crate::savepoint;
use crate::store::SqlxStore;

/// The transaction in which a read model is queried: a connection of sqlx that
/// reads one moment of the file.
///
/// SQLite refuses it everything that writes. A query that ends its transaction
/// or changes its connection (attaches a database, sets a pragma) is `Invalid`,
/// and what it has read is thrown away. Everything else that it reads is as it
/// was at [`cursor`](Self::cursor).
pub struct ReadTx<'a> {
    connection: &'a mut SqliteConnection,
    version: u32,
    cursor: Cursor,
}

impl ReadTx<'_> {
    /// The live version of the projection. A program that may meet more than
    /// one chooses its tables by this.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Up to where the live version is made.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }
}

impl Deref for ReadTx<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.connection
    }
}

impl DerefMut for ReadTx<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection
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

impl SqlxStore {
    /// Queries the read model of the projection with this name, and returns
    /// what `work` made of it together with the cursor of its live version, both
    /// of one moment: the rows are the fold of the log up to the cursor.
    /// A client that follows the log from there misses nothing.
    ///
    /// `work` runs in a task and on a connection for queries; as many run at
    /// once as [`Options::with_readers`](crate::Options::with_readers) says, and
    /// others wait for their turn. What takes longer than
    /// [`Options::with_query_limit`](crate::Options::with_query_limit), 5 s by
    /// default, is dropped, and SQLite stopped.
    ///
    /// # Errors
    ///
    /// - [`Invalid`](downlink::ErrorKind::Invalid) if there is no projection with this name, and
    ///   if `work` writes, or meddles with its transaction;
    /// - [`Unavailable`](downlink::ErrorKind::Unavailable) while no version of it is complete, and
    ///   if the store is closed or the file cannot be opened;
    /// - [`TooLarge`](downlink::ErrorKind::TooLarge) if it takes too long;
    /// - what `work` returns, if that is an [`Error`]; else
    ///   [`Backend`](downlink::ErrorKind::Backend) with its error as the source, also for a panic;
    /// - [`Busy`](downlink::ErrorKind::Busy) and [`Corrupt`](downlink::ErrorKind::Corrupt) as for a
    ///   read.
    ///
    /// # Cancel safety
    ///
    /// Has no effects. If the future is dropped, SQLite is stopped soon, and
    /// `work` is dropped at the limit at the latest.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(store: downlink_sqlx::SqlxStore) -> downlink::Result<()> {
    /// use futures::FutureExt;
    ///
    /// let (departed, cursor) = store
    ///     .query("by_airport", |mut tx| {
    ///         async move {
    ///             let sql = "SELECT departed FROM by_airport_1 WHERE airport = 'EWR'";
    ///             Ok(sqlx::query_scalar::<_, u32>(sql).fetch_one(&mut *tx).await?)
    ///         }
    ///         .boxed()
    ///     })
    ///     .await?;
    /// println!("{departed} have left Newark, as of {cursor}");
    /// # Ok(()) }
    /// ```
    pub async fn query<T, F>(&self, projection: &str, work: F) -> Result<(T, Cursor)>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(ReadTx<'a>) -> BoxFuture<'a, Result<T, BoxError>> + Send + 'static,
    {
        let id = ProjectionId::new(projection, 0)?;
        let time = self.options().query_limit();
        let (waiting, abandoned) = Waiting::new();
        let answer = self.readers().query(move |connection| {
            let limit = QueryLimit::start(time, abandoned);
            async move { query(connection, &id, &limit, work).await }.boxed()
        });
        let answer = answer.await;
        drop(waiting);
        answer
    }
}

/// Runs `work` in a transaction. After an error the connection is discarded by
/// the caller, and the transaction with it.
async fn query<T, F>(
    connection: &mut SqliteConnection,
    id: &ProjectionId,
    limit: &QueryLimit,
    work: F,
) -> Result<(T, Cursor)>
where
    F: for<'a> FnOnce(ReadTx<'a>) -> BoxFuture<'a, Result<T, BoxError>>,
{
    let settings = begin(connection).await.map_err(failed(DOING))?;
    let row = find_live(connection, id).await?;
    stop_at(connection, limit).await.map_err(failed(DOING))?;
    let run = run(connection, id, row, work);
    let value = timeout(limit.left(), run).await.unwrap_or_else(|_| Err(limit.too_slow(id)));
    if limit.has_stopped() {
        return Err(limit.too_slow(id));
    }
    let value = value?;
    end(connection, &settings).await.map_err(|_| query_has_meddled(id))?;
    Ok((value, row.checkpoint))
}

const DOING: &str = "query a read model";

/// The savepoint cannot be released in any other transaction than this one.
/// Returns how the connection is set.
async fn begin(connection: &mut SqliteConnection) -> sqlx::Result<String> {
    execute(connection, sql::BEGIN_READ).await?;
    execute(connection, savepoint::open()).await?;
    settings(connection).await
}

async fn settings(connection: &mut SqliteConnection) -> sqlx::Result<String> {
    sqlx::query_scalar(many::SETTINGS).fetch_one(connection).await
}

/// Ends the transaction if it is the one that was begun, on a connection that is
/// still set as it was.
async fn end(connection: &mut SqliteConnection, before: &str) -> sqlx::Result<()> {
    connection.lock_handle().await?.remove_progress_handler();
    execute(connection, savepoint::release()).await?;
    execute(connection, sql::ROLLBACK).await?;
    let is_for_queries: bool =
        sqlx::query_scalar(many::IS_FOR_QUERIES).fetch_one(&mut *connection).await?;
    let is_as_it_was = is_for_queries && settings(connection).await? == before;
    if is_as_it_was { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}

async fn find_live(connection: &mut SqliteConnection, id: &ProjectionId) -> Result<ProjectionRow> {
    if let Some(row) = live(connection, id).await? {
        return Ok(row);
    }
    let is_known = sqlx::query_scalar(sql::IS_PROJECTED)
        .bind(id.name())
        .fetch_one(connection)
        .await
        .map_err(failed("look up a projection"))?;
    Err(not_live(id, is_known))
}

async fn stop_at(connection: &mut SqliteConnection, limit: &QueryLimit) -> sqlx::Result<()> {
    let limit = limit.clone();
    let goes_on = move || !limit.must_stop();
    connection.lock_handle().await?.set_progress_handler(INSTRUCTIONS_BETWEEN_LOOKS, goes_on);
    Ok(())
}

async fn run<T, F>(
    connection: &mut SqliteConnection,
    id: &ProjectionId,
    row: ProjectionRow,
    work: F,
) -> Result<T>
where
    F: for<'a> FnOnce(ReadTx<'a>) -> BoxFuture<'a, Result<T, BoxError>>,
{
    let tx = ReadTx { connection, version: row.version, cursor: row.checkpoint };
    match AssertUnwindSafe(async move { work(tx).await }).catch_unwind().await {
        Ok(result) => result.map_err(|error| refused(id, error)),
        Err(panic) => Err(query_panicked(id, &*panic)),
    }
}

fn refused(id: &ProjectionId, error: BoxError) -> Error {
    let cause = driver_error(&*error).and_then(cause);
    query_failed(id, cause, error)
}
