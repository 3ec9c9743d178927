use std::fmt;

use async_trait::async_trait;

use crate::{BoxError, Cursor, Event, Filter, Result};

/// A read model: what the events of a log amount to, kept beside a checkpoint.
///
/// An author writes [`apply`](Self::apply) with the means of one driver, and
/// nothing else: which events were applied, in which transaction and how often
/// is the [`ProjectionStore`]'s business.
pub trait Projection: fmt::Debug + Send + Sync + 'static {
    /// The transaction of the driver in which the read model is written.
    type Tx;

    /// The name under which the checkpoint is kept.
    fn name(&self) -> &str;

    /// The version of the read model's form. A new one is built beside the old
    /// one, from the beginning of the log.
    fn version(&self) -> u32;

    /// Which events it is made of.
    fn filter(&self) -> Filter;

    /// Writes what these events change, within `tx`. The same events may come
    /// again only if the transaction was rolled back.
    ///
    /// # Errors
    ///
    /// Any: the transaction is rolled back, and the checkpoint stays before
    /// these events.
    fn apply(&self, events: &[Event], tx: &mut Self::Tx) -> Result<(), BoxError>;
}

/// Keeps read models and their checkpoints in one transaction each.
///
/// # Contract
///
/// 1. **Effectively once.** The read model and the checkpoint move in one
///    transaction, so that after any crash the model is the fold of exactly
///    the events up to the checkpoint.
/// 2. **Compare and set.** Of two workers one commits a step; the other learns
///    the checkpoint that is.
/// 3. A checkpoint goes back only by [`reset`](Self::reset).
#[async_trait]
pub trait ProjectionStore: fmt::Debug + Send + Sync + 'static {
    /// The transaction that projections of this store write in.
    type Tx;

    /// The checkpoint of this version of a projection; [`Cursor::START`] if it
    /// never ran.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable), [`Backend`](crate::ErrorKind::Backend).
    async fn load(&self, name: &str, version: u32) -> Result<Cursor>;

    /// Applies events and moves the checkpoint from `from` to `to`, in one
    /// transaction.
    ///
    /// # Errors
    ///
    /// [`Backend`](crate::ErrorKind::Backend) with the source that [`Projection::apply`] returned;
    /// nothing moved. [`Busy`](crate::ErrorKind::Busy), [`StorageFull`](crate::ErrorKind::StorageFull)
    /// and [`Unavailable`](crate::ErrorKind::Unavailable) as for appends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the step done or not done;
    /// [`load`](Self::load) tells.
    async fn step(
        &self,
        projection: &dyn Projection<Tx = Self::Tx>,
        events: &[Event],
        from: Cursor,
        to: Cursor,
    ) -> Result<Step>;

    /// Forgets the checkpoint, so that the projection begins again.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    async fn reset(&self, name: &str, version: u32) -> Result<()>;
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The events were applied and the checkpoint is at the step's end.
    Applied,
    /// Another worker moved the checkpoint, which is here now; nothing was
    /// applied.
    Lost(Cursor),
}
