use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use downlink::Result;
use downlink::store::{Page, ReadLog, ReadStream};
use tokio::sync::{Semaphore, oneshot};

use crate::connection::{Current, LazyConnection, Role};
use crate::error::{closed, panicked};
use crate::file::File;
use crate::name_cache::NameCache;
use crate::snapshot::{Snapshot, in_transaction};
use crate::thread::spawn;
use crate::tx::Tx;
use crate::{log_page, stream_page};

/// Threads that read, each on a connection of its own. One of them serves only live delivery,
/// which therefore never waits behind other reads, and some serve queries of applications,
/// which may be slow.
#[derive(Debug)]
pub(crate) struct Readers {
    any: Pool,
    live: Pool,
    queries: Pool,
}

impl Readers {
    /// Starts the threads. They end when `Readers` is dropped, and each keeps a clone of
    /// `alive` until its connection is closed.
    pub(crate) fn start(
        file: &Arc<File>,
        alive: &AliveToken,
    ) -> Result<(Self, Vec<JoinHandle<()>>)> {
        let count = file.options().readers();
        let pool = |role, count| Pool::start(file, role, count, alive);
        let (any, mut threads) = pool(Role::Reader, count)?;
        let (live, thread) = pool(Role::Reader, 1)?;
        threads.extend(thread);
        let (queries, more) = pool(Role::Query, count)?;
        threads.extend(more);
        Ok((Self { any, live, queries }, threads))
    }

    /// Reads a page of the log in one snapshot.
    pub(crate) async fn log_page(&self, read: ReadLog) -> Result<Page> {
        let pool = if read.is_live() { &self.live } else { &self.any };
        pool.snapshot(move |snapshot| log_page::read(snapshot, &read)).await
    }

    /// Reads a page of a stream in one snapshot.
    pub(crate) async fn stream_page(&self, read: ReadStream) -> Result<Page> {
        self.any.snapshot(move |snapshot| stream_page::read(snapshot, &read)).await
    }

    /// Runs `work` in one snapshot.
    pub(crate) async fn snapshot<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Snapshot<'_>) -> Result<T> + Send + 'static,
    {
        self.any.snapshot(work).await
    }

    /// Runs `work` with a connection for queries. It must not panic.
    pub(crate) async fn query<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx) -> Result<T> + Send + 'static,
    {
        self.queries.serve(|session| session.query(work)).await
    }

    /// Accepts no more calls, and ends the threads when they have answered.
    pub(crate) fn close(&self) {
        self.any.close();
        self.live.close();
        self.queries.close();
    }
}

/// Held by each reader until its connection is closed. The writer waits for the last one
/// before it closes.
pub(crate) type AliveToken = Sender<Infallible>;

/// Serves callers in the order in which they arrive. Only as many jobs as there are threads are
/// sent to them.
struct Pool {
    /// `None` once the store is closed.
    jobs: RwLock<Option<Sender<Job>>>,
    free: Arc<Semaphore>,
}

type Job = Box<dyn FnOnce(&mut Session) + Send>;

impl Pool {
    fn start(
        file: &Arc<File>,
        role: Role,
        count: usize,
        alive: &AliveToken,
    ) -> Result<(Self, Vec<JoinHandle<()>>)> {
        let (jobs, queue) = bounded(count);
        let threads = (0..count)
            .map(|_| {
                let session =
                    Session::new(LazyConnection::new(Arc::clone(file), role), alive.clone());
                let queue = queue.clone();
                spawn("downlink-reader", move || session.serve(&queue))
            })
            .collect::<Result<_>>()?;
        let jobs = RwLock::new(Some(jobs));
        Ok((Self { jobs, free: Arc::new(Semaphore::new(count)) }, threads))
    }

    async fn snapshot<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Snapshot<'_>) -> Result<T> + Send + 'static,
    {
        self.serve(|session| session.snapshot(work)).await
    }

    async fn serve<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Session) -> Result<T> + Send + 'static,
    {
        // The permit moves into the job: a caller that stops waiting does not release it.
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        let job = move |session: &mut Session| {
            let result = work(session);
            drop(permit);
            let _ = answer.send(result);
        };
        self.send(Box::new(job))?;
        // A job that was accepted runs, even if the store is closed in the meantime.
        answered.await.unwrap_or_else(|_| Err(panicked("reads")))
    }

    fn send(&self, job: Job) -> Result<()> {
        let jobs = self.jobs.read().unwrap_or_else(PoisonError::into_inner);
        jobs.as_ref().and_then(|jobs| jobs.try_send(job).ok()).ok_or_else(closed)
    }

    fn close(&self) {
        self.free.close();
        *self.jobs.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("free", &self.free.available_permits()).finish_non_exhaustive()
    }
}

/// A connection that reads, and its cache of names.
#[derive(Debug)]
struct Session {
    connection: LazyConnection,
    names: NameCache,
    /// Dropped after the connection is closed.
    _alive: AliveToken,
}

impl Session {
    fn new(connection: LazyConnection, alive: AliveToken) -> Self {
        Self { connection, names: NameCache::default(), _alive: alive }
    }

    /// Runs jobs. A panic in one loses its answer and the connection, not the thread.
    fn serve(mut self, queue: &Receiver<Job>) {
        for job in queue {
            if catch_unwind(AssertUnwindSafe(|| job(&mut self))).is_err() {
                self.connection.close();
            }
        }
    }

    fn snapshot<T>(&mut self, work: impl FnOnce(&mut Snapshot<'_>) -> Result<T>) -> Result<T> {
        let Current { tx, is_new } = self.connection.current()?;
        if is_new {
            self.names = NameCache::default();
        }
        let result = in_transaction(tx.raw(), &mut self.names, work);
        if result.as_ref().is_err_and(|error| !error.is_other_history()) {
            // The state of the connection is unknown, so the next read opens a new one.
            self.connection.close();
        }
        result
    }

    fn query<T>(&mut self, work: impl FnOnce(&mut Tx) -> Result<T>) -> Result<T> {
        let result = self.connection.current().and_then(|current| work(current.tx));
        if result.is_err() {
            // The state of the connection is unknown, so the next query opens a new one.
            self.connection.close();
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use downlink::{ErrorKind, EventStore, Read};

    use super::*;
    use crate::store::Options;

    #[tokio::test]
    async fn a_thread_survives_a_panic() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options::new().with_readers(1);
        let store = options.open(folder.path().join("flights.db")).await.expect("a store");
        for _ in 0..3 {
            let panics = store.snapshot(|_| -> Result<()> { panic!("for a test") });
            assert_eq!(panics.await.unwrap_err().kind(), ErrorKind::Backend);
            let read = tokio::time::timeout(
                std::time::Duration::from_mins(1),
                store.read_log(Read::log()),
            );
            read.await.expect("an answer").expect("the thread still serves");
        }
        store.close().await;
    }
}
