use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use downlink::store::{Page, ReadLog, ReadStream};
use downlink::{Cursor, Error, ErrorKind, Result};
use sqlx::PgConnection;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::connection::{LazyConnection, Role, Server};
use crate::error::failed;
use crate::row::cursor;
use crate::sql::Statements;
use crate::{log_page, stream_page};

/// Connections that read. One of them serves live delivery alone, so that it
/// never waits behind other reads.
#[derive(Debug)]
pub(crate) struct Readers {
    any: Pool,
    live: Pool,
}

/// What is read.
#[derive(Debug)]
enum Wanted {
    LogPage(ReadLog),
    StreamPage(ReadStream),
    Head,
}

#[derive(Debug)]
enum Found {
    Page(Page),
    Head(Cursor),
}

impl Readers {
    /// Connections of tasks in this runtime, opened when they are needed.
    pub(crate) fn new(server: &Arc<Server>, count: usize, runtime: &Handle) -> Self {
        let pool = |count| Pool::new(server, count, runtime.clone());
        Self { any: pool(count), live: pool(1) }
    }

    pub(crate) async fn log_page(&self, read: ReadLog) -> Result<Page> {
        let pool = if read.is_live() { &self.live } else { &self.any };
        pool.page(Wanted::LogPage(read)).await
    }

    pub(crate) async fn stream_page(&self, read: ReadStream) -> Result<Page> {
        self.any.page(Wanted::StreamPage(read)).await
    }

    pub(crate) async fn head(&self) -> Result<Cursor> {
        match self.any.serve(Wanted::Head).await? {
            Found::Head(head) => Ok(head),
            Found::Page(_) => unreachable!("a head was asked for"),
        }
    }

    /// Accepts no more reads, and closes the connections that are idle. The others
    /// are closed when their reads complete.
    pub(crate) async fn close(&self) {
        self.any.close().await;
        self.live.close().await;
    }
}

/// Serves callers in the order of their arrival, each in a task that continues if
/// its caller is dropped: a dropped caller does not free its connection early.
#[derive(Debug)]
struct Pool {
    server: Arc<Server>,
    idle: Arc<Idle>,
    free: Arc<Semaphore>,
    runtime: Handle,
}

/// The connections that are not in use; `None` once the store is closed.
#[derive(Debug)]
struct Idle(Mutex<Option<Vec<LazyConnection>>>);

impl Pool {
    fn new(server: &Arc<Server>, count: usize, runtime: Handle) -> Self {
        Self {
            server: Arc::clone(server),
            idle: Arc::new(Idle(Mutex::new(Some(Vec::new())))),
            free: Arc::new(Semaphore::new(count)),
            runtime,
        }
    }

    async fn page(&self, wanted: Wanted) -> Result<Page> {
        match self.serve(wanted).await? {
            Found::Page(page) => Ok(page),
            Found::Head(_) => unreachable!("a page was asked for"),
        }
    }

    async fn serve(&self, wanted: Wanted) -> Result<Found> {
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|_| closed())?;
        let connection = self.idle.connections().as_mut().ok_or_else(closed)?.pop();
        let mut connection =
            connection.unwrap_or_else(|| LazyConnection::new(&self.server, Role::Reader));
        let (idle, server) = (Arc::clone(&self.idle), Arc::clone(&self.server));
        let task = async move {
            let found = find(&mut connection, &server, &wanted).await;
            if let Some(mut connection) = idle.put(connection) {
                connection.close().await;
            }
            drop(permit);
            found
        };
        self.runtime.spawn(task).await.map_err(|_| closed())?
    }

    async fn close(&self) {
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

/// Reads within the deadline. After an error the state of the connection is
/// unknown, so the next read gets a new one.
async fn find(connection: &mut LazyConnection, server: &Server, wanted: &Wanted) -> Result<Found> {
    let found = timeout(server.deadline, find_again(connection, server, wanted)).await;
    let found = found.unwrap_or_else(|_| {
        let message = format!("could not read within {:?}", server.deadline);
        Err(Error::new(ErrorKind::Unavailable, message))
    });
    if found.as_ref().is_err_and(|error| !error.is_other_history()) {
        connection.discard();
    }
    found
}

/// Reads on this connection, and on a new one if it was lost while idle.
async fn find_again(
    connection: &mut LazyConnection,
    server: &Server,
    wanted: &Wanted,
) -> Result<Found> {
    if connection.is_open() {
        let found = wanted.find(connection.opened()?, &server.sql).await;
        if found.as_ref().err().is_none_or(|error| error.kind() != ErrorKind::Unavailable) {
            return found;
        }
        connection.discard();
    }
    wanted.find(connection.connected().await?, &server.sql).await
}

impl Wanted {
    async fn find(&self, connection: &mut PgConnection, sql: &Statements) -> Result<Found> {
        match self {
            Self::LogPage(read) => log_page::read(connection, sql, read).await.map(Found::Page),
            Self::StreamPage(read) => {
                stream_page::read(connection, sql, read).await.map(Found::Page)
            }
            Self::Head => {
                let row = sqlx::query(sql.head.sql()).fetch_optional(connection).await;
                let row = row.map_err(failed("read the head"))?;
                let head = row.map(|row| cursor(&row, 0)).transpose()?.flatten();
                Ok(Found::Head(head.unwrap_or(Cursor::START)))
            }
        }
    }
}
