use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use downlink::store::{Page, ReadLog, ReadStream};
use downlink::{Cursor, Error, ErrorKind, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::PgConnection;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::connection::{LazyConnection, Role, Server};
use crate::error::failed;
use crate::replica::Replica;
use crate::row::cursor;
use crate::sql::Statements;
use crate::{log_page, stream_page};

/// Connections that read. One of them serves live delivery alone, so that it
/// never waits behind other reads.
#[derive(Debug)]
pub(crate) struct Readers {
    any: Pool,
    live: Pool,
    replica: Option<Replica>,
    count: usize,
}

impl Readers {
    /// Connections of tasks in this runtime, opened when they are needed.
    pub(crate) fn new(
        server: &Arc<Server>,
        count: usize,
        replica: Option<Replica>,
        runtime: &Handle,
    ) -> Self {
        let pool = |count| Pool::new(server, count, runtime.clone());
        Self { any: pool(count), live: pool(1), replica, count }
    }

    /// How many reads run at the same time, live delivery not counted.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) async fn log_page(&self, read: ReadLog) -> Result<Page> {
        if let Some(replica) = &self.replica
            && let Some(page) = replica.log_page(&read, &self.any).await
        {
            return Ok(page);
        }
        let pool = if read.is_live() { &self.live } else { &self.any };
        let page = pool.log_page(read).await?;
        if let Some(replica) = &self.replica {
            replica.has_grown_to(page.head);
        }
        Ok(page)
    }

    pub(crate) async fn stream_page(&self, read: ReadStream) -> Result<Page> {
        self.any
            .find(move |connection, sql| {
                let read = read.clone();
                async move { stream_page::read(connection, sql, &read).await }.boxed()
            })
            .await
    }

    pub(crate) async fn head(&self) -> Result<Cursor> {
        self.any.find(|connection, sql| head(connection, sql).boxed()).await
    }

    /// Reads with one statement, as [`Pool::find`] does.
    pub(crate) async fn find<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'a> Fn(&'a mut PgConnection, &'a Statements) -> BoxFuture<'a, Result<T>>
            + Send
            + Sync
            + 'static,
    {
        self.any.find(work).await
    }

    /// Runs `work`, once, on a connection that has just answered.
    pub(crate) async fn ask<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'a> FnOnce(&'a mut PgConnection, &'a Server) -> BoxFuture<'a, Result<T>>
            + Send
            + 'static,
    {
        let deadline = self.any.server.deadline;
        self.ask_within(deadline, work).await
    }

    /// The same for work that may take this long.
    pub(crate) async fn ask_within<T, W>(&self, limit: Duration, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'a> FnOnce(&'a mut PgConnection, &'a Server) -> BoxFuture<'a, Result<T>>
            + Send
            + 'static,
    {
        self.any
            .serve(limit, move |connection, server| {
                async move { work(connection.checked().await?, server).await }.boxed()
            })
            .await
    }

    /// Accepts no more reads, and closes the connections that are idle. The others
    /// are closed when their reads complete.
    pub(crate) async fn close(&self) {
        self.any.close().await;
        self.live.close().await;
        if let Some(replica) = &self.replica {
            replica.close().await;
        }
    }
}

/// Serves callers in the order of their arrival, each in a task that continues if
/// its caller is dropped: a dropped caller does not free its connection early.
#[derive(Debug)]
pub(crate) struct Pool {
    server: Arc<Server>,
    idle: Arc<Idle>,
    free: Arc<Semaphore>,
    runtime: Handle,
}

/// The connections that are not in use; `None` once the store is closed.
#[derive(Debug)]
struct Idle(Mutex<Option<Vec<LazyConnection>>>);

impl Pool {
    pub(crate) fn new(server: &Arc<Server>, count: usize, runtime: Handle) -> Self {
        Self {
            server: Arc::clone(server),
            idle: Arc::new(Idle(Mutex::new(Some(Vec::new())))),
            free: Arc::new(Semaphore::new(count)),
            runtime,
        }
    }

    pub(crate) async fn log_page(&self, read: ReadLog) -> Result<Page> {
        self.find(move |connection, sql| {
            let read = read.clone();
            async move { log_page::read(connection, sql, &read).await }.boxed()
        })
        .await
    }

    /// Reads with one statement, which is repeated on a new connection if an idle one was lost.
    async fn find<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'a> Fn(&'a mut PgConnection, &'a Statements) -> BoxFuture<'a, Result<T>>
            + Send
            + Sync
            + 'static,
    {
        self.serve(self.server.deadline, move |connection, server| {
            async move {
                if connection.is_open() {
                    let found = work(connection.opened()?, &server.reads).await;
                    if found
                        .as_ref()
                        .err()
                        .is_none_or(|error| error.kind() != ErrorKind::Unavailable)
                    {
                        return found;
                    }
                    connection.discard();
                }
                work(connection.connected().await?, &server.reads).await
            }
            .boxed()
        })
        .await
    }

    async fn serve<T, W>(&self, limit: Duration, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: for<'a> FnOnce(&'a mut LazyConnection, &'a Server) -> BoxFuture<'a, Result<T>>
            + Send
            + 'static,
    {
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|_| closed())?;
        let connection = self.idle.connections().as_mut().ok_or_else(closed)?.pop();
        let mut connection =
            connection.unwrap_or_else(|| LazyConnection::new(&self.server, Role::Reader));
        let (idle, server) = (Arc::clone(&self.idle), Arc::clone(&self.server));
        let task = async move {
            let found = within(limit, &mut connection, &server, work).await;
            if let Some(mut connection) = idle.put(connection) {
                connection.close().await;
            }
            drop(permit);
            found
        };
        self.runtime.spawn(task).await.map_err(|_| closed())?
    }

    pub(crate) async fn close(&self) {
        self.free.close();
        let idle = self.idle.connections().take();
        for mut connection in idle.into_iter().flatten() {
            connection.close().await;
        }
    }
}

impl Idle {
    fn connections(&self) -> MutexGuard<'_, Option<Vec<LazyConnection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a connection back, or returns it to be closed.
    fn put(&self, connection: LazyConnection) -> Option<LazyConnection> {
        match self.connections().as_mut() {
            Some(idle) => {
                idle.push(connection);
                None
            }
            None => Some(connection),
        }
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is closed")
}

/// Runs `work` within the limit. After an error the state of the connection is unknown, so the
/// next read gets a new one.
async fn within<T, W>(
    limit: Duration,
    connection: &mut LazyConnection,
    server: &Server,
    work: W,
) -> Result<T>
where
    W: for<'a> FnOnce(&'a mut LazyConnection, &'a Server) -> BoxFuture<'a, Result<T>>,
{
    let found = timeout(limit, work(connection, server)).await;
    let found = found.unwrap_or_else(|_| {
        let message = format!("could not read within {limit:?}");
        Err(Error::new(ErrorKind::Unavailable, message))
    });
    if found.as_ref().is_err_and(|error| !error.is_other_history()) {
        connection.discard();
    }
    found
}

async fn head(connection: &mut PgConnection, sql: &Statements) -> Result<Cursor> {
    let rows = sql.run(connection, &sql.head, Vec::new()).await.map_err(failed("read the head"))?;
    let head = rows.first().map(|row| cursor(row, 0)).transpose()?.flatten();
    Ok(head.unwrap_or(Cursor::START))
}
