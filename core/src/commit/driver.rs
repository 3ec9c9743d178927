use std::collections::HashMap;
use std::future::Future;
use std::time::Instant;

use super::{Facts, LogHead, Needs, Plan};
use crate::error::{Error, Result};
use crate::id::{StreamId, Version};
use crate::store::{Moved, Page, ReadLog};

/// The backend's part of the engine: the steps of one transaction.
///
/// The [`Writer`](super::Writer) owns the driver and calls it sequentially, in
/// this order:
///
/// ```text
/// begin  (facts read_log* insert?)+                  commit | discard    for appends
/// begin  heads (insert_new | facts insert?)          commit | discard    for appends
/// begin  (tx | check facts read_log* insert?)* check commit | discard    for jobs
/// begin  keep_up                                     commit | discard    for upkeep
/// ```
///
/// With [`Linger::InTransaction`], appends that arrive while a transaction is
/// open join it as further batches, so `facts` and `read_log` have to see what
/// an earlier `insert` of the same transaction wrote. With
/// [`Linger::BeforeBegin`], a transaction of appends has one batch, and `facts`
/// and `read_log` need not see what a job has inserted before: the engine adds
/// it to their results.
///
/// A driver may keep its connection, statements and caches.
/// [`discard`](Self::discard) has to drop everything that it has cached from
/// the open transaction.
///
/// Calls are dispatched statically, without boxed futures.
pub trait Driver: Send + Sized + 'static {
    /// The transaction that a job gets, as the application may use it.
    type Tx: ?Sized + Send;

    /// Whether every future of this driver is ready when it is first polled. The
    /// engine then runs on a thread of its own and blocks in its queue;
    /// otherwise it is a task of the runtime in which it was started.
    const BLOCKING: bool;

    /// Where the engine waits briefly for more appends. This also determines
    /// whether a transaction may have several batches.
    const LINGER: Linger;

    /// Whether the driver has [`heads`](Self::heads) and [`insert_new`](Self::insert_new), so that
    /// groups are stored without a lookup of their ids. Only with [`Linger::BeforeBegin`].
    const STORES_BLINDLY: bool = false;

    /// Connects if necessary, begins a transaction that excludes every other
    /// writer of the log, and reads the end of the log inside it.
    ///
    /// # Errors
    ///
    /// Nothing was written: every append of the group fails with this error.
    /// [`Busy`](crate::ErrorKind::Busy) if another writer holds the lock past
    /// `by`.
    fn begin(&mut self, by: Instant) -> impl Future<Output = Result<LogHead>> + Send;

    /// Looks up streams and ids. Leaves [`Facts::boundaries`] empty: the engine
    /// fills it by [`read_log`](Self::read_log).
    ///
    /// # Errors
    ///
    /// The transaction is discarded.
    fn facts(&mut self, needs: &Needs<'_>) -> impl Future<Output = Result<Facts>> + Send;

    /// Reads a page inside the transaction, as
    /// [`EventStore::read_log`](crate::EventStore::read_log) does.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read_log`](crate::EventStore::read_log). The
    /// transaction is discarded, except after `CursorAhead` and
    /// `HistoryChanged`.
    fn read_log(&mut self, read: ReadLog) -> impl Future<Output = Result<Page>> + Send;

    /// Inserts the rows of a plan, of which there is at least one, and updates
    /// the ends of the streams and of the log.
    ///
    /// # Errors
    ///
    /// The transaction is discarded.
    fn insert(&mut self, plan: &Plan) -> impl Future<Output = Result<()>> + Send;

    /// The versions of these streams, as of the beginning of the transaction, for a
    /// group whose events are stored by [`insert_new`](Self::insert_new). Streams
    /// without events may be left out. Called only if the driver
    /// [`STORES_BLINDLY`](Self::STORES_BLINDLY).
    ///
    /// # Errors
    ///
    /// The transaction is discarded.
    fn heads(
        &mut self,
        _streams: &[&StreamId],
    ) -> impl Future<Output = Result<HashMap<StreamId, Version>>> + Send {
        std::future::ready(Ok(HashMap::new()))
    }

    /// As [`insert`](Self::insert), unless an id of the plan is stored already: then it returns
    /// `false`, and the transaction is discarded. The group is tried again with
    /// [`facts`](Self::facts).
    ///
    /// # Errors
    ///
    /// The transaction is discarded.
    fn insert_new(&mut self, plan: &Plan) -> impl Future<Output = Result<bool>> + Send {
        async { self.insert(plan).await.map(|()| true) }
    }

    /// Whether another writer waits for the lock, so that this transaction
    /// should end soon. Called before each further batch; `false` by default,
    /// for a driver that does not know.
    fn has_waiters(&mut self) -> bool {
        false
    }

    /// Returns the open transaction for a job, guarded so that the job can
    /// neither end it nor write to the tables of the log.
    ///
    /// # Errors
    ///
    /// The transaction is discarded.
    fn tx(&mut self) -> impl Future<Output = Result<&mut Self::Tx>> + Send;

    /// Checks that the transaction is still the one that was begun, and that
    /// the log ends at `head` inside it. A job may have ended the transaction,
    /// an error may have rolled it back silently, and a savepoint of the job
    /// may have undone an insert. Called before each append of a job, and
    /// before its commit.
    ///
    /// # Errors
    ///
    /// The transaction is discarded.
    fn check(&mut self, head: LogHead) -> impl Future<Output = Result<()>> + Send;

    /// Commits, durably when this returns [`CommitOutcome::Committed`].
    fn commit(&mut self) -> impl Future<Output = CommitOutcome> + Send;

    /// Rolls back any open transaction and brings the connection into a known
    /// state, if necessary by closing it. Called after every error, every panic
    /// and every dropped future. Has to be idempotent.
    fn discard(&mut self) -> impl Future<Output = ()> + Send;

    /// Whether the driver has maintenance work to do, such as updating an
    /// index. Has to be cheap, since it is called between transactions.
    /// [`Upkeep::None`] by default.
    fn upkeep(&self) -> Upkeep {
        Upkeep::None
    }

    /// Does a piece of that work, of a few milliseconds at most, in a
    /// transaction that was begun for it. [`commit`](Self::commit) follows.
    ///
    /// # Errors
    ///
    /// The transaction is discarded, and the engine retries one second later.
    fn keep_up(&mut self) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Closes the driver, after the last transaction.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// The driver of a store that [imports](crate::store::ImportStore).
pub trait ImportDriver: Driver {
    /// Stores where events of another log are, inside the transaction. Replaces
    /// the row with the same source and `old_from`.
    ///
    /// # Errors
    ///
    /// The transaction is discarded.
    fn record(&mut self, moved: &Moved) -> impl Future<Output = Result<()>> + Send;
}

/// Whether a driver has maintenance work to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upkeep {
    /// There is nothing to do.
    None,
    /// There is work. Done while the queue is empty; under load it gets at most
    /// a tenth of the writer's time.
    Wanted,
    /// There is work that should be done before the next append.
    Overdue,
}

/// The outcome of a commit.
#[derive(Clone, Debug)]
pub enum CommitOutcome {
    /// Everything is stored.
    Committed,
    /// Certainly nothing is stored.
    NotCommitted(Error),
    /// It may be stored: the engine finds out by looking up the event ids.
    Unknown(Error),
}

/// Where a writer waits for more appends if fewer have arrived than in the last
/// transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linger {
    /// In the open transaction, after inserting the appends that have arrived:
    /// for an embedded database, whose lock costs other writers little.
    InTransaction,
    /// Before the transaction begins, which then has one batch: for a database
    /// server, where other writers would wait for the lock meanwhile, and for
    /// drivers that write only at commit.
    BeforeBegin,
}
