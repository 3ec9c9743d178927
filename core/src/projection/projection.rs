use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::{BoxError, Result};
use crate::event::Event;
use crate::filter::Filter;
use crate::id::ProjectionId;

/// Builds a read model: a view of a log's events that can be queried quickly.
///
/// An implementation writes [`prepare`](Self::prepare) and
/// [`apply`](Self::apply) with one database driver, and nothing else. The
/// [`ProjectionStore`](crate::projection::ProjectionStore) provides the
/// transaction and keeps track of which events were applied.
/// [`Hub::project`](crate::Hub::project) runs the projection.
///
/// # Versions
///
/// To change the form of the read model, raise [`version`](Self::version) and
/// give each version tables of its own, such as `board_1` and `board_2`. The
/// new version is built from the beginning of the log while the old one keeps
/// running, and replaces it once it has caught up. Queries ask
/// [`ProjectionStore::live`](crate::projection::ProjectionStore::live) which
/// version to read.
///
/// # Side effects
///
/// Write only to `tx` in `apply`, and do nothing that a rollback does not undo:
/// the same events are applied again after a rollback. Put anything that should
/// happen once for an event, such as sending mail or calling another service,
/// into
/// [`ProjectionBuilder::on_applied`](crate::projection::ProjectionBuilder::on_applied).
///
/// # Implementing it
///
/// The trait has `async` methods that work behind `dyn`, by the macro
/// `#[async_trait]` of the crate `async-trait`: add it to your dependencies, and put
/// the attribute on your `impl`.
#[async_trait]
pub trait Projection: fmt::Debug + Send + Sync + 'static {
    /// The driver's transaction, in which the read model is written. The
    /// [`ProjectionStore`](crate::projection::ProjectionStore) begins and
    /// commits it.
    type Tx: ?Sized + Send + 'static;

    /// The name of the projection, under which its checkpoint is stored.
    fn name(&self) -> &str;

    /// The version of the read model: 1 by default. Raise it when the read model
    /// changes, so that it is built again next to the current one.
    fn version(&self) -> u32 {
        1
    }

    /// The events of which the read model is made: all by default. The same at
    /// every call: a changed filter needs a new version.
    fn filter(&self) -> Filter {
        Filter::everything()
    }

    /// Creates the read model in its state before the first event: all its
    /// tables, emptied of whatever an earlier run has left in them. Called in
    /// the transaction of every step that begins at the start of the log, and
    /// of a reset.
    ///
    /// # Errors
    ///
    /// Any error rolls the transaction back.
    ///
    /// # Panics
    ///
    /// A panic is treated as an error.
    async fn prepare(&self, tx: &mut Self::Tx) -> Result<(), BoxError>;

    /// Applies these events to the read model. They come in log order, at least
    /// one per call. The result must not depend on how many events each call
    /// gets.
    ///
    /// # Errors
    ///
    /// Any error rolls the transaction back, and the checkpoint stays before
    /// these events. They are applied again in smaller batches until the
    /// failing event is found; then the
    /// [`FailurePolicy`](crate::projection::FailurePolicy) decides.
    ///
    /// # Panics
    ///
    /// A panic is treated as an error.
    async fn apply(&self, events: &[Event], tx: &mut Self::Tx) -> Result<(), BoxError>;
}

impl ProjectionId {
    /// The id of this projection: its name and version.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn of<Tx: ?Sized + Send + 'static>(projection: &dyn Projection<Tx = Tx>) -> Result<Self> {
        Self::new(projection.name(), projection.version())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<P: Projection + ?Sized> Projection for Arc<P> {
    type Tx = P::Tx;

    fn name(&self) -> &str {
        (**self).name()
    }

    fn version(&self) -> u32 {
        (**self).version()
    }

    fn filter(&self) -> Filter {
        (**self).filter()
    }

    async fn prepare(&self, tx: &mut P::Tx) -> Result<(), BoxError> {
        (**self).prepare(tx).await
    }

    async fn apply(&self, events: &[Event], tx: &mut P::Tx) -> Result<(), BoxError> {
        (**self).apply(events, tx).await
    }
}
