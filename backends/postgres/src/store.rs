use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use downlink::commit::{Commits, Ending, Transacted, Writer};
use downlink::store::{Appended, Import, ImportStore, Moved, Page, ReadLog, ReadStream};
use downlink::{Append, Cursor, Error, EventStore, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::PgConnection;
use tokio::runtime::Handle;

use crate::connection::Server;
use crate::driver::Driver;
use crate::moved;
use crate::options::Options;
use crate::projections::ModelTx;
use crate::readers::Readers;
use crate::replica::Replica;
use crate::transaction::Transaction;

/// A log in one schema of a PostgreSQL database.
///
/// A handle: clones share the connections and the queue. When the last clone is dropped, queued
/// appends are still stored, and the tasks end by themselves; [`close`](Self::close) waits for
/// that.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: Arc<Server>,
    writer: Writer<Driver>,
    readers: Readers,
    query_limit: Duration,
    busy_deadline: Duration,
}

impl Options {
    /// Connects to the database of this URL, `postgres://user@host/database`,
    /// and creates an empty log in the schema if there is none.
    ///
    /// # Errors
    ///
    /// [`Invalid`](downlink::ErrorKind::Invalid) if the URL or the name of the schema is
    /// not valid; [`Unavailable`](downlink::ErrorKind::Unavailable) if the connection fails or is
    /// refused; [`Corrupt`](downlink::ErrorKind::Corrupt) if the schema has a log of another
    /// release; [`Backend`](downlink::ErrorKind::Backend) for a database that is not in UTF-8.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves nothing running.
    pub async fn connect(self, url: &str) -> Result<PostgresStore> {
        self.check_schema()?;
        PostgresStore::open(url, self).await
    }
}

impl PostgresStore {
    /// Connects with the defaults of [`Options`].
    ///
    /// # Errors
    ///
    /// As [`Options::connect`].
    ///
    /// # Panics
    ///
    /// As [`Options::connect`].
    ///
    /// # Cancel safety
    ///
    /// As [`Options::connect`].
    pub async fn connect(url: &str) -> Result<Self> {
        Options::new().connect(url).await
    }

    pub(crate) async fn open(url: &str, options: Options) -> Result<Self> {
        let server = Arc::new(Server::new(url, &options)?);
        let runtime = Handle::current();
        let replica = Replica::of(&options, &runtime)?;
        let writer = Writer::start(Driver::open(Arc::clone(&server)), options.writer()).await?;
        let readers = Readers::new(&server, options.readers(), replica, &runtime);
        Ok(Self {
            shared: Arc::new(Shared {
                server,
                writer,
                readers,
                query_limit: options.query_limit(),
                busy_deadline: options.busy_deadline(),
            }),
        })
    }

    /// Accepts no more calls, stores queued appends, and returns when the idle connections and
    /// the one that writes are closed. Later calls, also on other clones, fail with
    /// `Unavailable`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the store.
    pub async fn close(&self) {
        self.shared.writer.close();
        self.shared.readers.close().await;
        self.shared.writer.shutdown().await;
    }

    /// Runs `work` once in a transaction of its own: what it writes to the application's
    /// tables and what it [appends](Transaction::append) is stored together or not at all. It
    /// waits for its turn among the appends, and they wait for it, also those of other
    /// processes, so it should only await this transaction. PostgreSQL ends it when it waits
    /// for its client for 2 s.
    ///
    /// An error, a panic and a failed commit leave neither rows nor events. If `work` appends
    /// events that were stored before, all of its work was done before: it is rolled back, and
    /// the result is [`Transacted::Duplicate`]. A commit without a certain outcome is resolved
    /// by the ids of the events. Work that takes longer than
    /// [`Options::with_transaction_deadline`], five seconds by default, is dropped and rolled
    /// back; the call then fails with [`Unavailable`](downlink::ErrorKind::Unavailable).
    ///
    /// # Errors
    ///
    /// The error of `work`; [`Invalid`](downlink::ErrorKind::Invalid) if it is called from inside
    /// another transaction of this store, and if the tables of the log were written to;
    /// [`Overloaded`](downlink::ErrorKind::Overloaded), [`Busy`](downlink::ErrorKind::Busy),
    /// [`StorageFull`](downlink::ErrorKind::StorageFull), [`Unavailable`](downlink::ErrorKind::Unavailable)
    /// and [`Backend`](downlink::ErrorKind::Backend), after which nothing was written;
    /// [`OutcomeUnknown`](downlink::ErrorKind::OutcomeUnknown) if it appended nothing and the
    /// commit ended without a certain outcome.
    ///
    /// # Cancel safety
    ///
    /// Once queued, the transaction runs even if the future is dropped.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(store: downlink_postgres::PostgresStore) -> downlink::Result<()> {
    /// use downlink::commit::Transacted;
    /// use downlink::{Append, BoxError, Expected, NewEvent};
    /// use futures::FutureExt;
    ///
    /// let taken: Transacted<()> = store
    ///     .transact(|tx| {
    ///         async move {
    ///             let insert = "INSERT INTO gates VALUES ('C71', 'UA1545')";
    ///             sqlx::query(insert).execute(tx.rows().await?).await?;
    ///             let taken = NewEvent::json("GateTaken", r#"{"gate":"C71"}"#)?;
    ///             tx.append(Append::to("flight-UA1545", Expected::Any, [taken])?).await?;
    ///             Ok::<(), BoxError>(())
    ///         }
    ///         .boxed()
    ///     })
    ///     .await
    ///     .expect("a free gate");
    /// # Ok(()) }
    /// ```
    pub async fn transact<T, E, F>(&self, work: F) -> Result<Transacted<T>, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'a> FnOnce(&'a mut Transaction<'_>) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        let server = Arc::clone(&self.shared.server);
        let run = self.shared.writer.transact(0, |transaction| {
            async move {
                let mut transaction = Transaction::new(transaction, server);
                match work(&mut transaction).await {
                    Ok(value) => {
                        transaction.reclaim().await?;
                        Ok(Ending::Commit(Ok(value)))
                    }
                    Err(error) => Ok(Ending::RollBack(Err(error))),
                }
            }
            .boxed()
        });
        Ok(match run.await? {
            Transacted::Committed(outcome) => Transacted::Committed(outcome?),
            Transacted::Duplicate(original) => Transacted::Duplicate(original),
        })
    }

    /// Reads something other than events.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut PgConnection, &'a Server) -> BoxFuture<'a, Result<T>>
        + Send
        + 'static,
    ) -> Result<T> {
        self.shared.readers.ask(work).await
    }

    /// Runs `work` in a transaction of its own, in its turn in the queue of appends.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl for<'a> FnOnce(ModelTx<'a>) -> BoxFuture<'a, Result<Ending<T>>> + Send + 'static,
    ) -> Result<T> {
        let server = Arc::clone(&self.shared.server);
        self.shared.writer.run(bytes, |connection| work(ModelTx { connection, server })).await
    }

    pub(crate) fn readers(&self) -> &Readers {
        &self.shared.readers
    }

    pub(crate) fn query_limit(&self) -> Duration {
        self.shared.query_limit
    }

    /// How long to wait for the lock of the log.
    pub(crate) fn busy_deadline(&self) -> Duration {
        self.shared.busy_deadline
    }

    /// Tells the hubs of this process that another transaction may have stored something.
    pub(crate) fn hint(&self) {
        self.shared.writer.hint();
    }

    pub(crate) fn server(&self) -> &Server {
        &self.shared.server
    }
}

#[async_trait]
impl EventStore for PostgresStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.shared.writer.append(append, self).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        self.shared.readers.log_page(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.shared.readers.stream_page(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.shared.readers.head().await
    }

    fn commits(&self) -> Option<Commits> {
        Some(self.shared.writer.commits())
    }
}

#[async_trait]
impl ImportStore for PostgresStore {
    async fn import(&self, import: Import) -> Result<Cursor> {
        self.shared.writer.import(import).await
    }

    async fn moved(&self) -> Result<Vec<Moved>> {
        self.ask(|connection, server| moved::all(connection, &server.reads).boxed()).await
    }
}
