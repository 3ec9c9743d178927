use std::sync::Arc;

use async_trait::async_trait;
use downlink::{Append, BoxError, EventStore, Result};

/// Opens stores in whose transactions an application stores rows of its own:
/// for [`transacting_store!`](crate::transacting_store). They tell what they
/// commit: [`commits`](EventStore::commits) is `Some`.
#[async_trait]
pub trait TransactingFixture: Send + Sync + 'static {
    /// Opens an empty store, and an application that has no rows yet.
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Arc<dyn Application>)>;
}

/// What an application does in a transaction, in this order.
#[derive(Clone, Debug)]
pub enum Doing {
    /// Stores a row of this name.
    Row(String),
    /// Appends.
    Append(Append),
    /// Appends, and goes on after an error as if nothing had happened.
    AppendAnyway(Append),
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
    async fn transact(&self, doing: Vec<Doing>) -> Result<bool, BoxError>;

    /// The names of all rows that are stored, sorted.
    async fn rows(&self) -> Result<Vec<String>>;
}
