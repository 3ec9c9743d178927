use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use downlink::{Append, BoxError, Bus, EventStore, EventType, Filter, Result, Transport};

/// Keeps what a store or a bus needs (a folder, a server) until it is dropped.
pub struct Guard(Box<dyn Any + Send + Sync>);

impl Guard {
    /// Nothing has to be kept.
    #[must_use]
    pub fn none() -> Self {
        Self::new(())
    }

    /// Keeps this.
    #[must_use]
    pub fn new(kept: impl Any + Send + Sync) -> Self {
        Self(Box::new(kept))
    }

    /// What is kept, if it is a `T`: for a bus that has to find the store that
    /// it belongs to.
    #[must_use]
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// Opens fresh stores for the suite.
#[async_trait]
pub trait StoreFixture: Send + Sync + 'static {
    /// Opens an empty store that shares nothing with any other.
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Guard)>;
}

/// Opens stores whose log survives them: for
/// [`durable_store!`](crate::durable_store).
#[async_trait]
pub trait DurableFixture: Send + Sync + 'static {
    /// Makes a place for one log.
    async fn create(&self) -> Result<Box<dyn DurableLog>>;
}

/// Where a log is kept while no store has it open; gone when dropped.
#[async_trait]
pub trait DurableLog: Send + Sync {
    /// Opens the log, which is empty at first. Called again only when the
    /// store before was dropped.
    async fn open(&self) -> Result<Arc<dyn EventStore>>;
}

/// Opens stores whose log can be replaced under them: for
/// [`replaceable_store!`](crate::replaceable_store).
#[async_trait]
pub trait ReplaceableFixture: Send + Sync + 'static {
    /// Opens an empty store, and what is done behind its back.
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Box<dyn Backups>)>;
}

/// What an operator does to a log while the store runs.
#[async_trait]
pub trait Backups: Send + Sync {
    /// Copies the log as it is now, in place of the copy made before.
    async fn back_up(&self) -> Result<()>;

    /// Puts the copy in the place of the log.
    async fn restore(&self) -> Result<()>;
}

/// Opens stores with a short queue of appends that can be held: for
/// [`bounded_store!`](crate::bounded_store).
#[async_trait]
pub trait BoundedFixture: Send + Sync + 'static {
    /// Opens an empty store whose queue holds about this many appends, and what
    /// stops its writer.
    async fn open(&self, queue: usize) -> Result<(Arc<dyn EventStore>, Box<dyn WriteLock>)>;
}

/// Holds back what a store commits, as another program does that has its lock.
#[async_trait]
pub trait WriteLock: Send + Sync {
    /// From when this returns, no append is committed.
    async fn hold(&self) -> Result<()>;

    /// Appends are committed again.
    async fn release(&self) -> Result<()>;
}

/// Opens stores that commit appends in groups, and in which some fail: for
/// [`group_commit_store!`](crate::group_commit_store).
#[async_trait]
pub trait GroupCommitFixture: Send + Sync + 'static {
    /// Opens an empty store in which inserting an event of the type `poison`
    /// fails, as one does that breaks a constraint, and what makes appends wait
    /// so that they are committed together.
    async fn open(&self, poison: &EventType) -> Result<(Arc<dyn EventStore>, Box<dyn WriteLock>)>;
}

/// Opens stores in whose transactions an application stores rows of its own:
/// for [`transactional_store!`](crate::transactional_store). They tell what they
/// commit: [`commits`](EventStore::commits) is `Some`.
#[async_trait]
pub trait TransactionalFixture: Send + Sync + 'static {
    /// Opens an empty store, and an application that has no rows yet.
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Arc<dyn Application>)>;
}

/// What an application does in a transaction, in this order.
#[derive(Clone, Debug)]
pub enum TransactionStep {
    /// Stores a row of this name.
    InsertRow(String),
    /// Appends.
    Append(Append),
    /// Appends, and goes on after an error as if nothing had happened.
    AppendIgnoringErrors(Append),
    /// Returns an error.
    Fail,
    /// Panics.
    Panic,
}

/// An application with a store.
#[async_trait]
pub trait Application: Send + Sync {
    /// Does all of it in one transaction. Answers whether it was a repetition of
    /// what had been stored before.
    async fn transact(&self, steps: Vec<TransactionStep>) -> Result<bool, BoxError>;

    /// The names of all rows that are stored, sorted.
    async fn rows(&self) -> Result<Vec<String>>;
}

/// Opens logs that several processes share: for
/// [`cross_process!`](crate::cross_process!).
#[async_trait]
pub trait CrossProcessFixture: Send + Sync + 'static {
    /// Makes an empty log. The text is all that another process gets to find
    /// it: a path, an address.
    async fn create(&self) -> Result<(String, Guard)>;

    /// Opens this log and a bus that tells of its appends. Others may have it
    /// open, in this process, too.
    async fn open(&self, address: &str) -> Result<(Arc<dyn EventStore>, Arc<dyn Bus>)>;

    /// The same in the other process: like [`open`](Self::open), or by another
    /// driver for the same log.
    async fn open_in_child(&self, address: &str) -> Result<(Arc<dyn EventStore>, Arc<dyn Bus>)>;

    /// Opens an empty log that waits for a lock for a moment only, and what
    /// holds its lock as a program does that knows nothing of Downlink.
    async fn open_with_short_timeout(&self) -> Result<(Arc<dyn EventStore>, Box<dyn WriteLock>)>;

    /// Walks through the log: an error says what is wrong with it.
    async fn verify(&self, address: &str) -> Result<()>;
}

/// Opens fresh buses for the suite.
#[async_trait]
pub trait BusFixture: Send + Sync + 'static {
    /// Opens a bus that shares nothing with any other. `store` is the guard of
    /// the store whose appends it tells of; most buses need not know.
    async fn open(&self, store: &Guard) -> Result<Arc<dyn Bus>>;
}

/// Makes transports for the suite.
pub trait TransportFixture: Send + Sync + 'static {
    /// A transport that serves on any listener of the loopback interface to
    /// anybody.
    fn transport(&self) -> Arc<dyn Transport>;
}

/// Makes transports that soon give up on who is silent: for
/// [`short_timeout_transport!`](crate::short_timeout_transport!).
pub trait ShortTimeoutFixture: Send + Sync + 'static {
    /// A transport that serves as that of a [`TransportFixture`] does, but gives a
    /// sign of life after so much silence and lets a peer go that has read
    /// nothing for `stall`; and whose client leaves a server that gives no sign
    /// of life, within some seconds at most.
    fn transport(&self, heartbeat: Duration, stall: Duration) -> Arc<dyn Transport>;
}

/// Makes transports that ask what a client may see: for
/// [`authorizing_transport!`](crate::authorizing_transport!).
pub trait AuthorizingFixture: Send + Sync + 'static {
    /// A transport that serves as that of a [`TransportFixture`] does, and shows
    /// everybody what this says at the time of the request.
    fn transport(&self, sight: Visibility) -> Arc<dyn Transport>;
}

/// What clients may see, from the next connection on. Clones are the same.
#[derive(Clone, Debug)]
pub struct Visibility(Arc<Mutex<Filter>>);

impl Visibility {
    /// What matches this.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        Self(Arc::new(Mutex::new(filter)))
    }

    /// What may be seen now.
    #[must_use]
    pub fn filter(&self) -> Filter {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows what matches this from now on.
    pub fn set(&self, filter: Filter) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = filter;
    }
}
