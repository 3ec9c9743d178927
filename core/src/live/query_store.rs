use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;

use super::Model;
use crate::cursor::Cursor;
use crate::error::{BoxError, Result};
use crate::projection::ProjectionStore;

/// What a store runs on one snapshot of a read model.
pub type Work<Tx> =
    Box<dyn for<'a> FnOnce(Model<'a, Tx>) -> BoxFuture<'a, Result<(), BoxError>> + Send>;

/// The snapshot on which some work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evaluated {
    /// The version that was live in the snapshot.
    pub version: u32,
    /// The checkpoint of this version in the snapshot.
    pub checkpoint: Cursor,
}

/// A store whose read models can be queried in one snapshot with their checkpoint, so that
/// [live queries](crate::live) can run on it. For backends.
///
/// The trait is apart from [`ProjectionStore`], because a store that only keeps read models
/// for others to read needs none of it.
#[async_trait]
pub trait QueryStore: ProjectionStore {
    /// How many queries run at the same time. Live queries use at most half of them.
    fn query_readers(&self) -> usize;

    /// Runs `work` on one snapshot of the live version of this projection, without a change,
    /// and returns which version and checkpoint the snapshot has. `work` has at most this
    /// time, without the time for which it waits for its turn.
    ///
    /// # Errors
    ///
    /// - [`TooLarge`](crate::ErrorKind::TooLarge) if the time is over;
    /// - [`Unavailable`](crate::ErrorKind::Unavailable) or
    ///   [`Invalid`](crate::ErrorKind::Invalid) while no version is complete;
    /// - any other kind if `work` fails or panics, or the store does.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    async fn evaluate(
        &self,
        projection: &str,
        limit: Duration,
        work: Work<Self::Tx>,
    ) -> Result<Evaluated>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: QueryStore + ?Sized> QueryStore for Arc<S> {
    fn query_readers(&self) -> usize {
        (**self).query_readers()
    }

    async fn evaluate(
        &self,
        projection: &str,
        limit: Duration,
        work: Work<S::Tx>,
    ) -> Result<Evaluated> {
        (**self).evaluate(projection, limit, work).await
    }
}
