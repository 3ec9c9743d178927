use std::future::Future;
use std::time::Instant;

use super::{Facts, LogHead, Needs, Plan};
use crate::error::{Error, Result};
use crate::store::{Page, ReadLog};

/// What a backend does for the engine: the steps of one transaction.
///
/// The [`Writer`](super::Writer) owns the driver and calls it from one place at
/// a time, in this order:
///
/// ```text
/// begin  (facts read* insert?)+                  commit | discard    for appends
/// begin  (tx | check facts read* insert?)* check commit | discard    for jobs
/// begin  keep_up                                commit | discard    for upkeep
/// ```
///
/// With [`Linger::InTransaction`], appends that arrive while a transaction is
/// open join it as further batches, so `facts` and `read` have to see what an
/// earlier `insert` of the same transaction wrote. With [`Linger::BeforeBegin`] a
/// transaction of appends has one batch, and `facts` and `read` need not see what
/// a job has inserted before: the engine adds it to what they answer.
///
/// A driver keeps its connection, its statements and its caches; whatever it
/// remembers of a transaction is forgotten by [`discard`](Self::discard).
///
/// Calls are dispatched statically, and nothing is boxed for a statement.
pub trait Driver: Send + Sized + 'static {
    /// What a job gets: the transaction as the application may use it.
    type Tx: ?Sized + Send;

    /// Whether every future of this driver is ready when it is first polled. The
    /// engine then runs on a thread of its own and blocks in its queue;
    /// otherwise it is a task of the runtime in which it was started.
    const BLOCKING: bool;

    /// Where the engine waits a moment for more appends, and with that whether a
    /// transaction may have several batches.
    const LINGER: Linger;

    /// Connects if need be, begins a transaction that excludes every other
    /// writer of the log, and reads the end of the log inside it.
    ///
    /// # Errors
    ///
    /// Nothing happened: every append of the group is answered with this error.
    /// [`Busy`](crate::ErrorKind::Busy) if others hold the lock past `by`.
    fn begin(&mut self, by: Instant) -> impl Future<Output = Result<LogHead>> + Send;

    /// Looks up streams and ids. The engine answers the boundaries by
    /// [`read`](Self::read), so [`Facts::boundaries`] stays empty.
    ///
    /// # Errors
    ///
    /// The transaction is discarded.
    fn facts(&mut self, needs: &Needs<'_>) -> impl Future<Output = Result<Facts>> + Send;

    /// Reads a page inside the transaction, as
    /// [`EventStore::read`](crate::EventStore::read) does.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read`](crate::EventStore::read). Any but `CursorAhead` and
    /// `HistoryChanged` discards the transaction.
    fn read_log(&mut self, read: ReadLog) -> impl Future<Output = Result<Page>> + Send;

    /// Inserts the rows of a plan, which has some, and moves the ends of the
    /// streams and of the log.
    ///
    /// # Errors
    ///
    /// The transaction is discarded.
    fn insert(&mut self, plan: &Plan) -> impl Future<Output = Result<()>> + Send;

    /// Whether another writer waits for the lock, so that this transaction
    /// should end soon. Asked before each further batch; `false` if unknown.
    fn is_wanted(&mut self) -> bool {
        false
    }

    /// Hands the open transaction to a job, guarded so that the job can neither
    /// end it nor write to the tables of the log.
    ///
    /// # Errors
    ///
    /// The transaction is discarded.
    fn tx(&mut self) -> impl Future<Output = Result<&mut Self::Tx>> + Send;

    /// Checks that the transaction which began is still open, and that the log
    /// ends in it at `head`. A job may have ended the transaction, an error may
    /// have rolled it back silently, and a savepoint of the job's may have taken
    /// an insert back. Asked before each append of a job, and before its commit.
    ///
    /// # Errors
    ///
    /// The transaction is discarded.
    fn check(&mut self, head: LogHead) -> impl Future<Output = Result<()>> + Send;

    /// Commits, durably when this returns [`CommitOutcome::Committed`].
    fn commit(&mut self) -> impl Future<Output = CommitOutcome> + Send;

    /// Rolls back whatever is open and brings the connection into a known state,
    /// if need be by closing it. Follows every error, every panic and every
    /// future that was dropped. Calling it twice does no harm.
    fn discard(&mut self) -> impl Future<Output = ()> + Send;

    /// Whether the driver has work of its own to do, such as bringing an index up
    /// to date. Cheap; asked between transactions.
    fn upkeep(&self) -> Upkeep {
        Upkeep::None
    }

    /// Does a piece of that work, of some milliseconds at most, in the
    /// transaction that was begun for it. [`commit`](Self::commit) follows.
    ///
    /// # Errors
    ///
    /// The transaction is discarded, and the engine tries again a second later.
    fn keep_up(&mut self) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Ends for good, after the last transaction.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// Whether a driver has work of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upkeep {
    /// There is nothing to do.
    None,
    /// For when the queue is empty, or for a tenth of the time.
    Wanted,
    /// It comes before the next append.
    Overdue,
}

/// How a commit ended.
#[derive(Clone, Debug)]
pub enum CommitOutcome {
    /// It is stored.
    Committed,
    /// It is certain that nothing is stored.
    NotCommitted(Error),
    /// It may be stored: the engine finds out by the event ids.
    Unknown(Error),
}

/// Where a writer waits for more appends if fewer came than last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linger {
    /// With the transaction open, after what has arrived is inserted: for an
    /// embedded database, whose lock costs other writers little.
    InTransaction,
    /// Before the transaction begins, which then has one batch: for a server,
    /// where others wait for the lock meanwhile, and for drivers that only write
    /// when they commit.
    BeforeBegin,
}
