use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use downlink::decider::SnapshotStore;
use downlink::{Append, BoxError, Bus, EventStore, EventType, Filter, Result, Transport};

/// Keeps what a store or a bus needs, such as a folder or a server, until it is
/// dropped.
pub struct Guard(Box<dyn Any + Send + Sync>);

impl Guard {
    /// A guard that keeps nothing.
    #[must_use]
    pub fn none() -> Self {
        Self::new(())
    }

    /// A guard that keeps this.
    #[must_use]
    pub fn new(kept: impl Any + Send + Sync) -> Self {
        Self(Box::new(kept))
    }

    /// Returns what is kept, if it is a `T`: for a bus that has to find its
    /// store.
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

/// Opens empty stores: for [`event_store!`](crate::event_store).
#[async_trait]
pub trait StoreFixture: Send + Sync + 'static {
    /// Opens an empty store that shares nothing with any other.
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Guard)>;
}

/// Opens stores whose log outlives them: for
/// [`durable_store!`](crate::durable_store).
#[async_trait]
pub trait DurableFixture: Send + Sync + 'static {
    /// Creates an empty log, which no store has open yet.
    async fn create(&self) -> Result<Box<dyn DurableLog>>;
}

/// A log that can be opened again after its store was dropped. Dropping this
/// value deletes it.
#[async_trait]
pub trait DurableLog: Send + Sync {
    /// Opens the log, which is empty at first. Called again only after the
    /// previous store was dropped.
    async fn open(&self) -> Result<Arc<dyn EventStore>>;
}

/// Opens stores whose log can be restored from a backup while they run: for
/// [`replaceable_store!`](crate::replaceable_store).
#[async_trait]
pub trait ReplaceableFixture: Send + Sync + 'static {
    /// Opens an empty store, and a way to back up and restore its log.
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Box<dyn Backups>)>;
}

/// Backs up and restores a log while its store runs.
#[async_trait]
pub trait Backups: Send + Sync {
    /// Copies the log as it is now, and replaces the previous copy.
    async fn back_up(&self) -> Result<()>;

    /// Replaces the log by the copy.
    async fn restore(&self) -> Result<()>;
}

/// Opens stores with a short queue of appends that can be blocked: for
/// [`bounded_store!`](crate::bounded_store).
#[async_trait]
pub trait BoundedFixture: Send + Sync + 'static {
    /// Opens an empty store whose queue holds about this many appends, and a
    /// lock that blocks its writer.
    async fn open(&self, queue: usize) -> Result<(Arc<dyn EventStore>, Box<dyn WriteLock>)>;
}

/// Blocks the commits of a store, as another program does that holds its lock.
#[async_trait]
pub trait WriteLock: Send + Sync {
    /// After this returns, no append is committed.
    async fn hold(&self) -> Result<()>;

    /// Lets appends be committed again.
    async fn release(&self) -> Result<()>;
}

/// Opens stores that commit appends in groups, and in which some appends fail:
/// for [`group_commit_store!`](crate::group_commit_store).
#[async_trait]
pub trait GroupCommitFixture: Send + Sync + 'static {
    /// Opens an empty store in which inserting an event of the type `poison`
    /// fails, as it does when a constraint is violated, and a lock that makes
    /// appends wait so that they are committed together.
    async fn open(&self, poison: &EventType) -> Result<(Arc<dyn EventStore>, Box<dyn WriteLock>)>;
}

/// Opens stores in whose transactions an application stores rows of its own:
/// for [`transactional_store!`](crate::transactional_store).
/// [`commits`](EventStore::commits) of these stores has to be `Some`.
#[async_trait]
pub trait TransactionalFixture: Send + Sync + 'static {
    /// Opens an empty store, and an application that has no rows yet.
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Arc<dyn Application>)>;
}

/// One thing that an application does in a transaction.
#[derive(Clone, Debug)]
pub enum TransactionStep {
    /// Stores a row with this name.
    InsertRow(String),
    /// Appends.
    Append(Append),
    /// Appends, and continues after an error as if nothing had happened.
    AppendIgnoringErrors(Append),
    /// Returns an error.
    Fail,
    /// Panics.
    Panic,
}

/// An application with a store.
#[async_trait]
pub trait Application: Send + Sync {
    /// Makes all steps in one transaction, in this order. Returns whether the
    /// transaction was a repeat of one that was stored before.
    async fn transact(&self, steps: Vec<TransactionStep>) -> Result<bool, BoxError>;

    /// The names of all stored rows, sorted.
    async fn rows(&self) -> Result<Vec<String>>;
}

/// Opens stores of snapshots: for [`snapshot_store!`](crate::snapshot_store!).
#[async_trait]
pub trait SnapshotFixture: Send + Sync + 'static {
    /// Creates a place for snapshots, which has none yet.
    async fn create(&self) -> Result<Box<dyn SnapshotPlace>>;
}

/// A place for snapshots that can be opened again after its store was dropped.
/// Dropping this value deletes it.
#[async_trait]
pub trait SnapshotPlace: Send + Sync {
    /// Opens the store of this place. Called again only after the previous one
    /// was dropped. A store that keeps snapshots in memory is the same again.
    async fn open(&self) -> Result<Arc<dyn SnapshotStore>>;
}

/// Opens logs that several processes share: for
/// [`cross_process!`](crate::cross_process!).
#[async_trait]
pub trait CrossProcessFixture: Send + Sync + 'static {
    /// Creates an empty log. The text, such as a path or an address, is all
    /// that another process gets to find it.
    async fn create(&self) -> Result<(String, Guard)>;

    /// Opens this log and a bus that announces its appends. Others may have it
    /// open, also in this process.
    async fn open(&self, address: &str) -> Result<(Arc<dyn EventStore>, Arc<dyn Bus>)>;

    /// Opens the log in the other process: as [`open`](Self::open) does, or
    /// with another driver for the same log.
    async fn open_in_child(&self, address: &str) -> Result<(Arc<dyn EventStore>, Arc<dyn Bus>)>;

    /// Opens an empty log that waits for a lock only briefly, and a lock that
    /// is held as by a program that knows nothing of Downlink.
    async fn open_with_short_timeout(&self) -> Result<(Arc<dyn EventStore>, Box<dyn WriteLock>)>;

    /// Checks the whole log; an error says what is wrong with it.
    async fn verify(&self, address: &str) -> Result<()>;
}

/// Opens buses: for [`bus!`](crate::bus!) and
/// [`subscription!`](crate::subscription!).
#[async_trait]
pub trait BusFixture: Send + Sync + 'static {
    /// Opens a bus that shares nothing with any other. `store` is the guard of
    /// the store whose appends it announces; most buses can ignore it.
    async fn open(&self, store: &Guard) -> Result<Arc<dyn Bus>>;
}

/// Makes transports: for [`transport!`](crate::transport!).
pub trait TransportFixture: Send + Sync + 'static {
    /// A transport that serves every client on any listener of the loopback
    /// interface.
    fn transport(&self) -> Arc<dyn Transport>;
}

/// Makes transports with short timeouts for silent peers: for
/// [`short_timeout_transport!`](crate::short_timeout_transport!).
pub trait ShortTimeoutFixture: Send + Sync + 'static {
    /// A transport like that of a [`TransportFixture`], whose server sends a
    /// heartbeat after this much silence and disconnects a client that has read
    /// nothing for `stall`, and whose client disconnects within a few seconds
    /// from a server that sends no heartbeats.
    fn transport(&self, heartbeat: Duration, stall: Duration) -> Arc<dyn Transport>;
}

/// Makes transports that check what a client may see: for
/// [`authorizing_transport!`](crate::authorizing_transport!).
pub trait AuthorizingFixture: Send + Sync + 'static {
    /// A transport like that of a [`TransportFixture`], which shows every
    /// client what `visibility` allows at the time of the request.
    fn transport(&self, visibility: Visibility) -> Arc<dyn Transport>;
}

/// Makes transports that follow changes of what a client may see: for
/// [`reauthorizing_transport!`](crate::reauthorizing_transport!).
pub trait ReauthorizingFixture: Send + Sync + 'static {
    /// A transport like that of an [`AuthorizingFixture`], whose server also decides again
    /// what all clients may see after each event that matches `changes`.
    fn transport(&self, visibility: Visibility, changes: Filter) -> Arc<dyn Transport>;
}

/// What clients may see, from the next connection on. Clones share it.
#[derive(Clone, Debug)]
pub struct Visibility(Arc<Mutex<Filter>>);

impl Visibility {
    /// Clients may see what matches this filter.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        Self(Arc::new(Mutex::new(filter)))
    }

    /// The current filter.
    #[must_use]
    pub fn filter(&self) -> Filter {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the filter.
    pub fn set(&self, filter: Filter) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = filter;
    }
}
