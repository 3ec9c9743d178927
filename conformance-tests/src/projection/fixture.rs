use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use downlink::{BoxError, EventStore, ProjectionStore, Result};

use crate::Guard;

/// Opens stores of read models, and writes the suite's sample into them: a list
/// of lines for each read model. For [`projection_store!`](crate::projection_store)
/// and [`projection!`](crate::projection!).
#[async_trait]
pub trait ProjectionFixture: Send + Sync + 'static {
    /// What projections of the store write in.
    type Tx: Send + 'static;

    /// Opens an empty log and an empty store of read models, which share
    /// nothing with any other.
    async fn open(&self) -> Result<Opened<Self::Tx>>;

    /// Makes the list with this name, a word, as an empty one, whatever is
    /// there.
    async fn make_list(&self, list: &str, tx: &mut Self::Tx) -> Result<(), BoxError>;

    /// Adds a line to the end of a list.
    async fn add_line(&self, list: &str, line: &str, tx: &mut Self::Tx) -> Result<(), BoxError>;

    /// The lines of a list in their order, as a query reads them; none if there
    /// is no such list.
    async fn lines(&self, opened: &Opened<Self::Tx>, list: &str) -> Result<Vec<String>>;
}

/// A log and the read models that are made of it.
pub struct Opened<Tx> {
    /// The log.
    pub log: Arc<dyn EventStore>,
    /// Where its read models are.
    pub models: Arc<dyn ProjectionStore<Tx = Tx>>,
    /// What both need.
    pub guard: Guard,
}

impl<Tx> fmt::Debug for Opened<Tx> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("log", &self.log).finish_non_exhaustive()
    }
}

/// Opens stores of read models that outlive a process: for
/// [`durable_projection!`](crate::durable_projection).
#[async_trait]
pub trait DurableProjectionFixture: ProjectionFixture {
    /// Makes a place for a log and its read models: an address, and what has
    /// to be kept as long as it is used.
    async fn create(&self) -> Result<(String, Guard)>;

    /// Opens what is at this address, also in another process than the one that
    /// has made it.
    async fn open_at(&self, address: &str) -> Result<Opened<Self::Tx>>;
}
