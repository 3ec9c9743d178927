use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{oneshot, watch};

use super::batch::PendingAppend;
use super::engine::{Engine, writer_id};
use super::job::Job;
use super::nested::refuse_nested;
use super::queue::{Entry, Queue, closed};
use super::queue_limit::QueueLimit;
use super::{
    CommitFeed, Commits, Driver, Ending, ImportDriver, Transacted, Transaction, WriterOptions, scan,
};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Append, Appended, EventStore, Import};

/// The single writer of a store handle: group commit with a [`Driver`].
///
/// Appends and jobs wait in a queue that is bounded in count and bytes. The
/// writer commits all waiting appends in one transaction; each of them succeeds
/// or fails on its own. With every driver, it guarantees:
///
/// - An append is admitted before any work is done for it. Beyond the bounds,
///   it fails with [`Overloaded`](ErrorKind::Overloaded) at once.
/// - Dropping the caller's future does not affect an append that is queued.
/// - If a group fails, it is divided until only the append that causes the
///   failure fails.
/// - If a commit has an unknown outcome, the writer looks up the event ids to
///   find out what was stored. Only if that fails too, the append fails with
///   [`OutcomeUnknown`](ErrorKind::OutcomeUnknown).
/// - Jobs have a transaction of their own and are not overtaken by appends.
/// - A panic during a transaction discards it and becomes the error of its
///   append or job; the writer continues.
/// - Stored events are reported to [`commits`](Self::commits), after the commit
///   and before the callers get their outcomes.
///
/// When the writer is dropped, waiting appends are still stored, and its task
/// or thread ends by itself.
pub struct Writer<D: Driver> {
    queue: Arc<Queue<D>>,
    queue_limit: Arc<QueueLimit>,
    feed: Arc<CommitFeed>,
    transaction_deadline: Duration,
    ended: watch::Receiver<()>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl<D: Driver> Writer<D> {
    /// Opens the driver where it will run, on a thread of its own if it is
    /// [blocking](Driver::BLOCKING) and in a task otherwise, and starts
    /// serving.
    ///
    /// # Errors
    ///
    /// Those of `open`, and [`Unavailable`](ErrorKind::Unavailable) if no
    /// thread could be started.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime if the driver is not blocking.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing keeps running.
    pub async fn start(
        open: impl Future<Output = Result<D>> + Send + 'static,
        options: WriterOptions,
    ) -> Result<Self> {
        let (queue, feed) = (Arc::new(Queue::new()), Arc::new(CommitFeed::new()));
        let queue_limit = QueueLimit::new(options.queue(), options.queue_bytes());
        let (opened, is_open) = oneshot::channel();
        let (ending, ended) = watch::channel(());
        // The handle exists from here on: if this future is dropped, dropping the handle ends the
        // writer.
        let writer = Self {
            queue: Arc::clone(&queue),
            queue_limit,
            feed: Arc::clone(&feed),
            transaction_deadline: options.transaction_deadline(),
            ended,
            thread: Mutex::new(None),
        };
        let serve = async move {
            let _ending = ending;
            match open.await {
                Ok(driver) => {
                    let _ = opened.send(Ok(()));
                    Engine::new(driver, queue, feed, options).run().await;
                }
                Err(error) => drop(opened.send(Err(error))),
            }
        };
        writer.spawn(serve)?;
        is_open.await.map_err(|_| closed())??;
        Ok(writer)
    }

    fn spawn(&self, serve: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        if !D::BLOCKING {
            tokio::spawn(serve);
            return Ok(());
        }
        let run = || serve.now_or_never().expect("a blocking driver's futures are always ready");
        let thread = thread::Builder::new().name("downlink-writer".into()).spawn(run);
        let thread = thread.map_err(|error| {
            Error::with_source(ErrorKind::Unavailable, "could not start the writer's thread", error)
        })?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Stores an append; see [`EventStore::append`]. Boundaries are first
    /// scanned in `store`, before the append is queued, so that its transaction
    /// has to scan only later events.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the append is queued, nothing is stored.
    /// After that, the append completes anyway, and its events are reported.
    pub async fn append(&self, append: Append, store: &dyn EventStore) -> Result<Appended> {
        append.validate()?;
        refuse_nested(writer_id(&self.queue))?;
        let permit = self.queue_limit.acquire(append.size())?;
        let scans = scan::scan(&append, store).await?;
        let (pending, answered) = PendingAppend::new(append, scans, permit);
        self.queue.push(Entry::Append(pending))?;
        answered.await.unwrap_or_else(|_| {
            let message =
                "the writer ended before the append completed: repeat it with the same event ids";
            Err(Error::new(ErrorKind::OutcomeUnknown, message))
        })
    }

    /// Runs `work` in a transaction of its own when its turn in the queue has
    /// come. It counts as `bytes` in the queue.
    ///
    /// # Errors
    ///
    /// As [`transact`](Self::transact), but without a deadline.
    ///
    /// # Cancel safety
    ///
    /// Once it is queued, the work runs to completion even if the future is
    /// dropped.
    pub async fn run<T, F>(&self, bytes: usize, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut D::Tx) -> BoxFuture<'t, Result<Ending<T>>> + Send + 'static,
    {
        let run = self.job(bytes, None, |mut transaction| {
            async move { work(transaction.tx().await?).await }.boxed()
        });
        only_committed(run.await?)
    }

    /// Runs `work` in a transaction of its own when its turn in the queue has
    /// come: the application's rows and appends are stored together or not at
    /// all. It counts as `bytes` in the queue.
    ///
    /// If it appends events that had been stored before, it is rolled back, and
    /// the original is returned. If the commit has an unknown outcome, the
    /// writer looks up the ids of the appended events. After [its
    /// deadline](WriterOptions::with_transaction_deadline), it is rolled back.
    ///
    /// # Errors
    ///
    /// Nothing was written after any of these except the last:
    ///
    /// - those of `work`, and the first error of its appends, whatever it
    ///   returns;
    /// - [`Invalid`](ErrorKind::Invalid) from inside a job of this writer,
    ///   where it would wait forever;
    /// - [`Overloaded`](ErrorKind::Overloaded) if the queue is full;
    /// - [`Unavailable`](ErrorKind::Unavailable) after the deadline, and after
    ///   the writer was closed;
    /// - [`OutcomeUnknown`](ErrorKind::OutcomeUnknown) if the commit has an
    ///   unknown outcome and there are no events to look up.
    ///
    /// # Cancel safety
    ///
    /// Once it is queued, the work runs to completion even if the future is
    /// dropped.
    pub async fn transact<T, F>(&self, bytes: usize, work: F) -> Result<Transacted<T>>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(Transaction<'t, D>) -> BoxFuture<'t, Result<Ending<T>>> + Send + 'static,
    {
        let deadline = self.transaction_deadline;
        self.job(bytes, Some(deadline), work).await
    }

    async fn job<T, F>(
        &self,
        bytes: usize,
        deadline: Option<Duration>,
        work: F,
    ) -> Result<Transacted<T>>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(Transaction<'t, D>) -> BoxFuture<'t, Result<Ending<T>>> + Send + 'static,
    {
        refuse_nested(writer_id(&self.queue))?;
        let permit = self.queue_limit.acquire(bytes)?;
        let (job, answered) = Job::new(work, deadline, permit);
        self.queue.push(Entry::Job(Box::new(job)))?;
        answered.await.unwrap_or_else(|_| {
            let message =
                "the writer ended before the transaction completed: repeat it to find out";
            Err(Error::new(ErrorKind::OutcomeUnknown, message))
        })
    }

    /// Subscribes to the commits of this writer from now on.
    #[must_use]
    pub fn commits(&self) -> Commits {
        self.feed.subscribe()
    }

    /// Reports that something may be stored by a transaction that does not run
    /// in this writer; see [`PreparedAppend`](super::PreparedAppend).
    pub fn hint(&self) {
        self.feed.hint();
    }

    /// Whether a transaction of the application is past its deadline and has
    /// not ended, so that everything waits for it. Blocking Rust code can be
    /// neither dropped nor interrupted: only a restart of the process helps.
    #[must_use]
    pub fn has_overdue_transaction(&self) -> bool {
        self.feed.has_overdue_transaction()
    }

    /// Refuses further calls. Waiting appends are still stored.
    pub fn close(&self) {
        self.queue.close();
    }

    /// Closes the writer, and returns when all waiting calls have completed and
    /// the driver is closed. From inside a job of this writer, which it would
    /// have to wait for, it returns at once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the writer.
    pub async fn shutdown(&self) {
        self.close();
        if refuse_nested(writer_id(&self.queue)).is_err() {
            return;
        }
        // The sender is dropped when the writer has ended.
        let _ = self.ended.clone().changed().await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // The thread has nothing left to do.
            drop(thread.join());
        }
    }
}

impl<D: ImportDriver> Writer<D> {
    /// Writes events as they are, in a transaction of its own; see
    /// [`ImportStore::import`](crate::store::ImportStore::import).
    ///
    /// # Errors
    ///
    /// As [`ImportStore::import`](crate::store::ImportStore::import).
    ///
    /// # Cancel safety
    ///
    /// Once it is queued, it runs to completion even if the future is dropped.
    pub async fn import(&self, import: Import) -> Result<Cursor> {
        import.validate()?;
        let run = self.job(import.size(), None, |mut transaction| {
            async move { transaction.import(import).await.map(Ending::Commit) }.boxed()
        });
        only_committed(run.await?)
    }
}

/// The result of a job that does not append.
fn only_committed<T>(transacted: Transacted<T>) -> Result<T> {
    match transacted {
        Transacted::Committed(value) => Ok(value),
        Transacted::Duplicate(_) => Err(Error::new(ErrorKind::Backend, "nothing was appended")),
    }
}

impl<D: Driver> Drop for Writer<D> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl<D: Driver> fmt::Debug for Writer<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("queue_limit", &self.queue_limit).finish_non_exhaustive()
    }
}
