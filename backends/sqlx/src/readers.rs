use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use downlink::Result;
use downlink::store::{Mark, Page, ReadLog, ReadStream};
use downlink_sqlite_schema::{batch_sql, sql};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::connection::{Current, LazyConnection, Role};
use crate::error::{closed, failed, panicked};
use crate::file::File;
use crate::name_cache::NameCache;
use crate::snapshot::Snapshot;
use crate::{log_page, stream_page};

/// Connections that read. One of them serves only live delivery, which therefore never waits
/// behind other reads, and some serve queries of applications, which may be slow.
#[derive(Debug)]
pub(crate) struct Readers {
    any: Pool,
    live: Pool,
    queries: Pool,
}

impl Readers {
    /// Readers whose tasks run in this runtime. Connections are opened when needed.
    pub(crate) fn new(file: &Arc<File>, runtime: &Handle, tasks: &TaskTracker) -> Self {
        let pool = |role, count| Pool::new(file, role, count, runtime.clone(), tasks.clone());
        let count = file.options().readers();
        Self {
            any: pool(Role::Reader, count),
            live: pool(Role::Reader, 1),
            queries: pool(Role::Query, count),
        }
    }

    /// Reads a page of the log in one snapshot.
    pub(crate) async fn log_page(&self, read: ReadLog) -> Result<Page> {
        let pool = if read.is_live() { &self.live } else { &self.any };
        let page = pool.serve(|connection, names| {
            async move {
                let mark = read.after();
                let page =
                    async |snapshot: &mut Snapshot<'_>| log_page::read(snapshot, &read).await;
                in_snapshot(connection, names, mark, page).await
            }
            .boxed()
        });
        page.await
    }

    /// Reads a page of a stream in one snapshot.
    pub(crate) async fn stream_page(&self, read: ReadStream) -> Result<Page> {
        let page = self.any.serve(|connection, names| {
            async move {
                let page =
                    async |snapshot: &mut Snapshot<'_>| stream_page::read(snapshot, &read).await;
                in_snapshot(connection, names, None, page).await
            }
            .boxed()
        });
        page.await
    }

    /// Runs `work` on a connection.
    pub(crate) async fn serve<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(
            &'a mut SqliteConnection,
            &'a mut NameCache,
        ) -> BoxFuture<'a, Result<T>>
        + Send
        + 'static,
    ) -> Result<T> {
        self.any.serve(work).await
    }

    /// Runs `work` on a connection for queries.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut SqliteConnection) -> BoxFuture<'a, Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.queries.serve(|connection, _| work(connection)).await
    }

    /// Accepts no more calls, and closes the idle connections. The others are closed when they
    /// have answered.
    pub(crate) async fn close(&self) {
        self.any.close().await;
        self.live.close().await;
        self.queries.close().await;
    }
}

/// Serves callers in the order in which they arrive, each in a task that continues when its
/// caller is dropped, so that an open transaction is ended.
struct Pool {
    file: Arc<File>,
    role: Role,
    idle: Arc<Idle>,
    free: Arc<Semaphore>,
    runtime: Handle,
    tasks: TaskTracker,
}

/// Sessions that are not in use; `None` once the store is closed.
struct Idle(Mutex<Option<Vec<Session>>>);

impl Pool {
    fn new(
        file: &Arc<File>,
        role: Role,
        count: usize,
        runtime: Handle,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            idle: Arc::new(Idle(Mutex::new(Some(Vec::new())))),
            free: Arc::new(Semaphore::new(count)),
            file: Arc::clone(file),
            role,
            runtime,
            tasks,
        }
    }

    /// Runs `work` on a connection.
    async fn serve<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(
            &'a mut SqliteConnection,
            &'a mut NameCache,
        ) -> BoxFuture<'a, Result<T>>
        + Send
        + 'static,
    ) -> Result<T> {
        // The permit moves into the task: a caller that stops waiting does not release it.
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|_| closed())?;
        let idle = self.idle.sessions().as_mut().ok_or_else(closed)?.pop();
        let mut session = idle.unwrap_or_else(|| {
            Session::new(LazyConnection::new(Arc::clone(&self.file), self.role.clone()))
        });
        let idle = Arc::clone(&self.idle);
        let task = async move {
            let result = session.serve(work).await;
            if let Some(mut session) = idle.put(session) {
                session.connection.close().await;
            }
            drop(permit);
            result
        };
        // A panic loses its answer and the connection; the next call opens a new one.
        let served = self.tasks.spawn_on(task, &self.runtime).await;
        served.unwrap_or_else(|ended| {
            Err(if ended.is_panic() { panicked("reads") } else { closed() })
        })
    }

    async fn close(&self) {
        self.free.close();
        let idle = self.idle.sessions().take();
        for mut session in idle.into_iter().flatten() {
            session.connection.close().await;
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("free", &self.free.available_permits()).finish_non_exhaustive()
    }
}

impl Idle {
    fn sessions(&self) -> MutexGuard<'_, Option<Vec<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a session, or returns it if it must be closed.
    fn put(&self, session: Session) -> Option<Session> {
        match self.sessions().as_mut() {
            Some(idle) => {
                idle.push(session);
                None
            }
            None => Some(session),
        }
    }
}

/// A reading connection and what it remembers.
#[derive(Debug)]
struct Session {
    connection: LazyConnection,
    names: NameCache,
}

impl Session {
    fn new(connection: LazyConnection) -> Self {
        Self { connection, names: NameCache::default() }
    }

    async fn serve<T>(
        &mut self,
        work: impl for<'a> FnOnce(
            &'a mut SqliteConnection,
            &'a mut NameCache,
        ) -> BoxFuture<'a, Result<T>>,
    ) -> Result<T> {
        let Current { connection, is_new } = self.connection.current().await?;
        if is_new {
            self.names = NameCache::default();
        }
        let result = work(connection, &mut self.names).await;
        if result.as_ref().is_err_and(|error| !error.is_other_history()) {
            // The state of the connection is unknown, so the next read opens a new one.
            self.connection.close().await;
        }
        result
    }
}

/// Runs `read` in a transaction that begins with this mark, and ends the transaction in any
/// case.
async fn in_snapshot(
    connection: &mut SqliteConnection,
    names: &mut NameCache,
    mark: Option<Mark>,
    read: impl AsyncFnOnce(&mut Snapshot<'_>) -> Result<Page>,
) -> Result<Page> {
    let mut snapshot = Snapshot::of(&mut *connection, names, batch_sql::BEGIN_READ, mark).await?;
    let result = read(&mut snapshot).await;
    let ended = sqlx::query(sql::COMMIT).execute(connection).await;
    result.and_then(|page| ended.map(|_| page).map_err(failed("read a snapshot")))
}

#[cfg(test)]
mod tests {
    use downlink::{ErrorKind, EventStore, Read};
    use futures::FutureExt;

    use super::*;
    use crate::store::Options;

    #[tokio::test]
    async fn a_reader_survives_a_panic() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options::new().with_readers(1);
        let store = options.open(folder.path().join("flights.db")).await.expect("a store");
        for _ in 0..3 {
            let panics = store.ask(|_| async { panic!("for a test") }.boxed());
            let panics: Result<()> = panics.await;
            assert_eq!(panics.unwrap_err().kind(), ErrorKind::Backend);
            store.read_log(Read::log()).await.expect("the next read succeeds");
        }
        store.close().await;
    }
}
