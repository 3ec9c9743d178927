use std::any::Any;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_trait::async_trait;
use downlink::id::ProjectionId;
use downlink::live::{Evaluated, Model, QueryStore, Work};
use downlink::projection::ProjectionRow;
use downlink::{BoxError, Cursor, Error, ErrorKind, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::PgConnection;
use tokio::time::timeout;

use crate::connection::Server;
use crate::error::{code, driver_error, failed, is_refusal, is_storage_error, meaning};
use crate::projections::live;
use crate::row::column;
use crate::statement::Value;
use crate::store::PostgresStore;

/// The transaction of a query of a read model: a sqlx connection that reads one snapshot of
/// the database.
///
/// PostgreSQL refuses every write. A query that ends its transaction fails with `Invalid`, and its
/// result is discarded. Everything that a query reads is as of [`cursor`](Self::cursor).
pub struct ReadTx<'a> {
    connection: &'a mut PgConnection,
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
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection
    }
}

impl DerefMut for ReadTx<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
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

impl PostgresStore {
    /// Queries the read model of the projection with this name. Returns the result of `work`
    /// and the cursor of the live version, both of one snapshot: the rows are the fold of the
    /// log up to the cursor. A client that subscribes from there misses nothing.
    ///
    /// `work` runs in a task and on a connection that reads. At most
    /// [`Options::with_readers`](crate::Options::with_readers) queries and pages are read at
    /// once, others wait. A query that takes longer than
    /// [`Options::with_query_limit`](crate::Options::with_query_limit), 5 s by default, is
    /// dropped, and PostgreSQL stops its statement at the same limit.
    ///
    /// # Errors
    ///
    /// - [`Invalid`](downlink::ErrorKind::Invalid) if there is no projection with this name, and
    ///   if `work` writes, or ends its transaction;
    /// - [`Unavailable`](downlink::ErrorKind::Unavailable) while no version of it is complete, and
    ///   if the store is closed or PostgreSQL cannot be reached;
    /// - [`TooLarge`](downlink::ErrorKind::TooLarge) if it takes too long;
    /// - the error of `work`, if it is an [`Error`]; else
    ///   [`Backend`](downlink::ErrorKind::Backend) with its error as the source, also for a panic;
    /// - [`Busy`](downlink::ErrorKind::Busy) and [`Corrupt`](downlink::ErrorKind::Corrupt) as for a
    ///   read.
    ///
    /// # Cancel safety
    ///
    /// Has no effects. A query whose future is dropped continues to its end or its limit.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(store: downlink_postgres::PostgresStore) -> downlink::Result<()> {
    /// use futures::FutureExt;
    ///
    /// let (departed, cursor) = store
    ///     .query("by_airport", |mut tx| {
    ///         async move {
    ///             let sql = "SELECT departed FROM by_airport_1 WHERE airport = 'EWR'";
    ///             Ok(sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *tx).await?)
    ///         }
    ///         .boxed()
    ///     })
    ///     .await?;
    /// println!("{departed} flights have left Newark, as of {cursor}");
    /// # Ok(()) }
    /// ```
    pub async fn query<T, F>(&self, projection: &str, work: F) -> Result<(T, Cursor)>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(ReadTx<'a>) -> BoxFuture<'a, Result<T, BoxError>> + Send + 'static,
    {
        let (value, row) = self.query_within(projection, self.query_limit(), work).await?;
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
        F: for<'a> FnOnce(ReadTx<'a>) -> BoxFuture<'a, Result<T, BoxError>> + Send + 'static,
    {
        let id = ProjectionId::new(projection, 0)?;
        // The connection is set up within the deadline of a step, the query has its own.
        let all = limit.saturating_add(self.server().deadline.saturating_mul(4));
        self.readers()
            .ask_within(all, move |connection, server| {
                async move { query(connection, server, &id, limit, work).await }.boxed()
            })
            .await
    }
}

#[async_trait]
impl QueryStore for PostgresStore {
    fn query_readers(&self) -> usize {
        self.readers().count()
    }

    async fn evaluate(
        &self,
        projection: &str,
        limit: Duration,
        work: Work<PgConnection>,
    ) -> Result<Evaluated> {
        let evaluated = self
            .query_within(projection, limit, |tx| work(Model::new(tx.connection, tx.version)))
            .await;
        let ((), row) = evaluated?;
        Ok(Evaluated { version: row.version, checkpoint: row.checkpoint })
    }
}

/// Runs `work` in a transaction. After an error the caller closes the connection, and with it
/// the transaction.
async fn query<T, F>(
    connection: &mut PgConnection,
    server: &Server,
    id: &ProjectionId,
    limit: Duration,
    work: F,
) -> Result<(T, ProjectionRow)>
where
    F: for<'a> FnOnce(ReadTx<'a>) -> BoxFuture<'a, Result<T, BoxError>>,
{
    let begin = server.sql.models.begin_query(limit).sql();
    server.bounded(DOING, sqlx::raw_sql(begin).execute(&mut *connection)).await?;
    let row = find_live(connection, server, id).await?;
    let value = timeout(limit, run(connection, id, &row, work)).await;
    let value = value.unwrap_or_else(|_| Err(too_slow(id, limit)))?;
    end(connection, server, id).await?;
    Ok((value, row))
}

const DOING: &str = "query a read model";

async fn find_live(
    connection: &mut PgConnection,
    server: &Server,
    id: &ProjectionId,
) -> Result<ProjectionRow> {
    let sql = &server.sql;
    if let Some(row) = live(connection, sql, id).await? {
        return Ok(row);
    }
    let rows = sql.run(connection, &sql.models.is_known, vec![Value::Text(id.name())]).await;
    let rows = rows.map_err(failed("look up a projection"))?;
    let is_known = rows.first().map(|row| column(row, 0)).transpose()?;
    Err(not_live(id, is_known == Some(true)))
}

async fn run<T, F>(
    connection: &mut PgConnection,
    id: &ProjectionId,
    row: &ProjectionRow,
    work: F,
) -> Result<T>
where
    F: for<'a> FnOnce(ReadTx<'a>) -> BoxFuture<'a, Result<T, BoxError>>,
{
    let tx = ReadTx { connection, version: row.version, cursor: row.checkpoint };
    match AssertUnwindSafe(async move { work(tx).await }).catch_unwind().await {
        Ok(result) => result.map_err(|error| refused(id, error)),
        Err(panic) => Err(panicked(id, &*panic)),
    }
}

/// Ends the transaction, which fails if it is not the one that was begun.
async fn end(connection: &mut PgConnection, server: &Server, id: &ProjectionId) -> Result<()> {
    let release = sqlx::raw_sql(server.sql.models.end_query.sql());
    match release.execute(&mut *connection).await {
        Ok(_) => {}
        Err(error) if is_refusal(&error) => return Err(ended(id)),
        Err(error) => return Err(failed(DOING)(error)),
    }
    let leave = sqlx::raw_sql(server.sql.models.leave_query.sql());
    server.bounded(DOING, leave.execute(connection)).await.map(drop)
}

fn not_live(id: &ProjectionId, is_known: bool) -> Error {
    let name = id.name();
    if is_known {
        let message = format!("the read model '{name}' is still being built: retry later");
        return Error::new(ErrorKind::Unavailable, message);
    }
    let message = format!(
        "there is no read model '{name}' in this log: correct the name, or run its projection first"
    );
    Error::new(ErrorKind::Invalid, message)
}

fn too_slow(id: &ProjectionId, limit: Duration) -> Error {
    let message = format!(
        "the query of the read model '{}' was stopped after {limit:?}: \
         query less, add an index, or raise Options::with_query_limit",
        id.name()
    );
    Error::new(ErrorKind::TooLarge, message)
}

fn ended(id: &ProjectionId) -> Error {
    let message = format!(
        "the query of the read model '{}' has ended its transaction, or ignored the error of a \
         statement: only the store may end it, and an error ends the query",
        id.name()
    );
    Error::new(ErrorKind::Invalid, message)
}

fn refused(id: &ProjectionId, error: BoxError) -> Error {
    let error = match error.downcast::<Error>() {
        Ok(own) => return *own,
        Err(error) => error,
    };
    let (kind, what) = match driver_error(&*error) {
        Some(driver) if code(driver) == Some("25006") => (
            ErrorKind::Invalid,
            "a query may only read, and may not end its transaction: write in a projection instead",
        ),
        Some(driver) if code(driver) == Some("57014") => (
            ErrorKind::TooLarge,
            "it was stopped at its limit: query less, add an index, or raise \
                                   Options::with_query_limit",
        ),
        Some(driver) if is_storage_error(driver) => meaning(driver),
        _ => (ErrorKind::Backend, "its code returned an error"),
    };
    let message = format!("could not query the read model '{}': {what}", id.name());
    Error::with_source(kind, message, error)
}

fn panicked(id: &ProjectionId, panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "with a value that is not text".to_owned());
    let message = format!("the query of the read model '{}' panicked: {text}", id.name());
    Error::new(ErrorKind::Backend, message)
}
