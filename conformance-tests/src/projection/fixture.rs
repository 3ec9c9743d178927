use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use downlink::projection::ProjectionStore;
use downlink::{BoxError, EventStore, Result};

use crate::fixture::Guard;

/// Opens projection stores, and writes the suite's sample projection into them,
/// in which each read model is a list of lines. For
/// [`projection_store!`](crate::projection_store) and
/// [`projection!`](crate::projection!).
#[async_trait]
pub trait ProjectionFixture: Send + Sync + 'static {
    /// The transaction in which projections of the store write.
    type Tx: ?Sized + Send + 'static;

    /// Opens an empty log and an empty projection store, which share nothing
    /// with any other.
    async fn open(&self) -> Result<Opened<Self::Tx>>;

    /// Creates an empty list with this name, which is one word, in place of any
    /// list that exists.
    async fn make_list(&self, list: &str, tx: &mut Self::Tx) -> Result<(), BoxError>;

    /// Adds a line to the end of a list.
    async fn add_line(&self, list: &str, line: &str, tx: &mut Self::Tx) -> Result<(), BoxError>;

    /// Returns the lines of a list in order, as a query reads them; none if the
    /// list does not exist.
    async fn lines(&self, opened: &Opened<Self::Tx>, list: &str) -> Result<Vec<String>>;
}

/// A log and the store of its read models.
pub struct Opened<Tx: ?Sized> {
    /// The log.
    pub log: Arc<dyn EventStore>,
    /// The store of its read models.
    pub models: Arc<dyn ProjectionStore<Tx = Tx>>,
    /// What both need while they are used.
    pub guard: Guard,
}

impl<Tx: ?Sized> fmt::Debug for Opened<Tx> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("log", &self.log).finish_non_exhaustive()
    }
}

/// Opens projection stores that outlive a process: for
/// [`durable_projection!`](crate::durable_projection).
#[async_trait]
pub trait DurableProjectionFixture: ProjectionFixture {
    /// Creates an address for a log and its read models, and what has to be
    /// kept while it is used.
    async fn create(&self) -> Result<(String, Guard)>;

    /// Opens what is at this address, also in another process than the one that
    /// created it.
    async fn open_at(&self, address: &str) -> Result<Opened<Self::Tx>>;
}
