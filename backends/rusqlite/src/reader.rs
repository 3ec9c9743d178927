use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use downlink::store::Page;
use downlink::{Error, ErrorKind, Read, Result, Scope};
use downlink_sqlite_schema::sql;
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use crate::connection::{Current, Role, Slot};
use crate::error::failed;
use crate::names::Names;
use crate::snapshot::Snapshot;
use crate::store::File;
use crate::tx::Tx;
use crate::{log, stream};

/// Threads that read, each on a connection of its own. One of them serves live
/// delivery alone, so that it never waits behind other reads, and some serve the
/// code of applications, which may be slow.
#[derive(Debug)]
pub(crate) struct Readers {
    any: Pool,
    live: Pool,
    queries: Pool,
}

impl Readers {
    /// Starts the threads. They end when the last clone of `Readers` is gone, and
    /// each keeps a clone of `reading` until it has closed.
    pub(crate) fn start(
        file: &Arc<File>,
        reading: &Reading,
    ) -> Result<(Self, Vec<JoinHandle<()>>)> {
        let count = file.options().readers();
        let pool = |role, count| Pool::start(file, role, count, reading);
        let (any, mut threads) = pool(Role::Reader, count)?;
        let (live, thread) = pool(Role::Reader, 1)?;
        threads.extend(thread);
        let (queries, more) = pool(Role::Query, count)?;
        threads.extend(more);
        Ok((Self { any, live, queries }, threads))
    }

    /// Reads a page in one snapshot.
    pub(crate) async fn page(&self, read: Read) -> Result<Page> {
        let pool = if read.is_live() { &self.live } else { &self.any };
        pool.snapshot(move |snapshot| page(snapshot, &read)).await
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

    /// Lets nothing in any more, and ends the threads when they have answered.
    pub(crate) fn close(&self) {
        self.any.close();
        self.live.close();
        self.queries.close();
    }
}

/// Of which the writer waits for the last before it closes.
pub(crate) type Reading = Sender<Infallible>;

/// Callers are served in the order in which they came, and no more of them
/// reach the threads than there are threads.
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
        reading: &Reading,
    ) -> Result<(Self, Vec<JoinHandle<()>>)> {
        let (jobs, queue) = bounded(count);
        let threads = (0..count)
            .map(|_| {
                let session = Session::new(Slot::new(Arc::clone(file), role), reading.clone());
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
        // The permit goes with the job: whoever stops waiting does not make room for one more.
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        let job = move |session: &mut Session| {
            let result = work(session);
            drop(permit);
            let _ = answer.send(result);
        };
        self.send(Box::new(job))?;
        // A job that was let in is run, also when the store is closed meanwhile.
        answered.await.unwrap_or_else(|_| Err(panicked("read")))
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

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the store is closed")
}

/// Code of this store has panicked while it did this.
pub(crate) fn panicked(doing: &str) -> Error {
    Error::new(
        ErrorKind::Backend,
        format!("a thread that {doing} has panicked: see the log of the panic"),
    )
}

pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(work).map_err(|error| {
        Error::with_source(ErrorKind::Unavailable, "the system gives no more threads", error)
    })
}

/// A reading connection and what it remembers.
#[derive(Debug)]
struct Session {
    slot: Slot,
    names: Names,
    /// Dropped when the connection is closed.
    _reading: Reading,
}

impl Session {
    fn new(slot: Slot, reading: Reading) -> Self {
        Self { slot, names: Names::default(), _reading: reading }
    }

    /// A job that panics costs its own answer and the connection, not the thread.
    fn serve(mut self, queue: &Receiver<Job>) {
        for job in queue {
            if catch_unwind(AssertUnwindSafe(|| job(&mut self))).is_err() {
                self.slot.close();
            }
        }
    }

    fn snapshot<T>(&mut self, work: impl FnOnce(&mut Snapshot<'_>) -> Result<T>) -> Result<T> {
        let Current { connection, is_new } = self.slot.current()?;
        if is_new {
            self.names = Names::default();
        }
        let result = in_transaction(connection.own(), &mut self.names, work);
        if result.as_ref().is_err_and(|error| !error.is_other_history()) {
            // Whatever state the connection is in, the next read has a new one.
            self.slot.close();
        }
        result
    }

    fn query<T>(&mut self, work: impl FnOnce(&mut Tx) -> Result<T>) -> Result<T> {
        let result = self.slot.current().and_then(|current| work(current.connection));
        if result.is_err() {
            // Whatever state the connection is in, the next query has a new one.
            self.slot.close();
        }
        result
    }
}

/// Runs `work` in a transaction that reads, and ends it whatever comes.
pub(crate) fn in_transaction<T>(
    connection: &Connection,
    names: &mut Names,
    work: impl FnOnce(&mut Snapshot<'_>) -> Result<T>,
) -> Result<T> {
    execute(connection, sql::BEGIN_READ)?;
    let result = Snapshot::of(connection, names).and_then(|mut snapshot| work(&mut snapshot));
    let ended = execute(connection, sql::COMMIT);
    result.and_then(|value| ended.map(|()| value))
}

fn execute(connection: &Connection, text: &str) -> Result<()> {
    connection
        .prepare_cached(text)
        .and_then(|mut statement| statement.execute(()))
        .map(drop)
        .map_err(failed("read a snapshot"))
}

/// Reads a page.
pub(crate) fn page(snapshot: &mut Snapshot<'_>, read: &Read) -> Result<Page> {
    match read.scope() {
        Scope::Log { after } => log::read(snapshot, read, *after),
        Scope::Stream { stream, after } => stream::read(snapshot, read, stream, *after),
    }
}

#[cfg(test)]
mod tests {
    use downlink::EventStore;

    use super::*;
    use crate::store::Options;

    #[tokio::test]
    async fn a_panic_costs_no_thread() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options::new().with_readers(1);
        let store = options.open(folder.path().join("flights.db")).await.expect("a store");
        for _ in 0..3 {
            let panics = store.snapshot(|_| -> Result<()> { panic!("for a test") });
            assert_eq!(panics.await.unwrap_err().kind(), ErrorKind::Backend);
            let read =
                tokio::time::timeout(std::time::Duration::from_mins(1), store.read(Read::log()));
            read.await.expect("an answer").expect("the thread serves on");
        }
        store.close().await;
    }
}
