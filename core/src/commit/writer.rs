use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{oneshot, watch};

use super::batch::Pending;
use super::engine::{Engine, address};
use super::job::Job;
use super::nested::refuse_nested;
use super::queue::{Entry, Queue, closed};
use super::room::Room;
use super::{CommitFeed, Commits, Driver, Ending, Transacted, Transaction, WriterOptions, scan};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Append, Appended, EventStore};

/// The one writer of a store handle: group commit over a [`Driver`].
///
/// Appends and jobs queue, bounded in count and bytes. The writer commits
/// whatever appends wait as one transaction; each of them wins or loses alone.
/// What it guarantees, whatever the driver:
///
/// - An append is admitted before any work is done for it. Beyond the bounds it
///   is [`Overloaded`](ErrorKind::Overloaded) at once.
/// - A caller that goes away changes nothing for an append that is queued.
/// - If a group fails, it is divided until only the guilty append fails.
/// - If a commit ends without a certain outcome, the ids of the events decide
///   what was stored. Only if that fails too, the answer is
///   [`OutcomeUnknown`](ErrorKind::OutcomeUnknown).
/// - Jobs have a transaction of their own and are not overtaken by appends.
/// - A panic under a transaction discards it and is an error of its append or
///   job; the writer goes on.
/// - What is stored is told to [`commits`](Self::commits), after the commit and
///   before the answers.
///
/// When the last handle is dropped, what waits is still stored, and the writer
/// ends by itself.
pub struct Writer<D: Driver> {
    queue: Arc<Queue<D>>,
    room: Arc<Room>,
    feed: Arc<CommitFeed>,
    transaction_deadline: Duration,
    ended: watch::Receiver<()>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl<D: Driver> Writer<D> {
    /// Opens the driver where it will run, on a thread of its own if it is
    /// [blocking](Driver::BLOCKING) and else in a task, and begins to serve.
    ///
    /// # Errors
    ///
    /// Those of `open`, and [`Unavailable`](ErrorKind::Unavailable) if the system
    /// gives no thread.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime if the driver is not blocking.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves nothing running.
    pub async fn start(
        open: impl Future<Output = Result<D>> + Send + 'static,
        options: WriterOptions,
    ) -> Result<Self> {
        let (queue, feed) = (Arc::new(Queue::new()), Arc::new(CommitFeed::new()));
        let room = Room::new(options.queue(), options.queue_bytes());
        let (opened, is_open) = oneshot::channel();
        let (ending, ended) = watch::channel(());
        // The handle exists from here on: if the caller goes away, its drop ends the writer.
        let writer = Self {
            queue: Arc::clone(&queue),
            room,
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
        let run = || serve.now_or_never().expect("a blocking driver never pends");
        let thread = thread::Builder::new().name("downlink-writer".into()).spawn(run);
        let thread = thread.map_err(|error| {
            Error::with_source(ErrorKind::Unavailable, "the system gives no more threads", error)
        })?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Stores an append; see [`EventStore::append`]. `store` is where boundaries
    /// are looked for before the append is queued, so that its transaction
    /// looks only at what came later.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before the append was queued, the future leaves nothing; after
    /// that the append takes its course, and its events are told.
    pub async fn append(&self, append: Append, store: &dyn EventStore) -> Result<Appended> {
        append.validate()?;
        refuse_nested(address(&self.queue))?;
        let ticket = self.room.enter(append.size())?;
        let scans = scan::scan(&append, store).await?;
        let (pending, answered) = Pending::new(append, scans, ticket);
        self.queue.push(Entry::Append(pending))?;
        answered.await.unwrap_or_else(|_| {
            let message =
                "the writer ended before it answered: repeat the append with the same event ids";
            Err(Error::new(ErrorKind::OutcomeUnknown, message))
        })
    }

    /// Runs `work` in a transaction of its own when its turn in the queue has
    /// come. `bytes` is what it counts in the queue.
    ///
    /// # Errors
    ///
    /// As [`transact`](Self::transact). It has no deadline.
    ///
    /// # Cancel safety
    ///
    /// Once it is queued, the work takes its course.
    pub async fn run<T, F>(&self, bytes: usize, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut D::Tx) -> BoxFuture<'t, Result<Ending<T>>> + Send + 'static,
    {
        let run = self.job(bytes, None, |mut transaction| {
            async move { work(transaction.tx().await?).await }.boxed()
        });
        match run.await? {
            Transacted::Committed(value) => Ok(value),
            Transacted::Duplicate(_) => Err(Error::new(ErrorKind::Backend, "nothing was appended")),
        }
    }

    /// Runs `work` in a transaction of its own when its turn in the queue has
    /// come: the application's rows and appends, stored together or not at all.
    /// `bytes` is what it counts in the queue.
    ///
    /// If it appends what had been stored before, it is rolled back, and the
    /// original is the answer. A commit without a certain outcome is resolved by
    /// the ids of the events that it appended. After
    /// [its deadline](WriterOptions::with_transaction_deadline) it is rolled back.
    ///
    /// # Errors
    ///
    /// Nothing was written after any of these, except for the last:
    ///
    /// - those of `work`, and the first error of its appends, whatever it answers;
    /// - [`Invalid`](ErrorKind::Invalid) from inside of a job of this writer: it
    ///   would wait for itself;
    /// - [`Overloaded`](ErrorKind::Overloaded) if the queue is full;
    /// - [`Unavailable`](ErrorKind::Unavailable) past the deadline, and after the
    ///   writer was closed;
    /// - [`OutcomeUnknown`](ErrorKind::OutcomeUnknown) if the commit ended without
    ///   a certain outcome and there are no events to tell.
    ///
    /// # Cancel safety
    ///
    /// Once it is queued, the work takes its course.
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
        refuse_nested(address(&self.queue))?;
        let ticket = self.room.enter(bytes)?;
        let (job, answered) = Job::new(work, deadline, ticket);
        self.queue.push(Entry::Job(Box::new(job)))?;
        answered.await.unwrap_or_else(|_| {
            let message = "the writer ended before it answered: repeat it to find out";
            Err(Error::new(ErrorKind::OutcomeUnknown, message))
        })
    }

    /// What this writer commits from now on.
    #[must_use]
    pub fn commits(&self) -> Commits {
        self.feed.subscribe()
    }

    /// Whether a transaction of the application is past its deadline and has not
    /// ended, so that everything waits for it. Rust code that blocks can be
    /// neither dropped nor interrupted: only a restart of the process helps.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.feed.is_stuck()
    }

    /// Lets no more calls in. What waits is still stored.
    pub fn close(&self) {
        self.queue.close();
    }

    /// Closes, and returns when everything that waited was answered and the
    /// driver is closed. From inside of a job of this writer, which is part of
    /// what it would wait for, it returns at once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not reopen the writer.
    pub async fn closed(&self) {
        self.close();
        if refuse_nested(address(&self.queue)).is_err() {
            return;
        }
        // The sender is dropped at the very end.
        let _ = self.ended.clone().changed().await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It has nothing left to do.
            drop(thread.join());
        }
    }
}

impl<D: Driver> Drop for Writer<D> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl<D: Driver> fmt::Debug for Writer<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("room", &self.room).finish_non_exhaustive()
    }
}
