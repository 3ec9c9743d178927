use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::BoxError;
use crate::event::Event;
use crate::filter::Filter;

/// A read model: what the events of a log amount to, in a form that is quick
/// to ask.
///
/// An author writes [`prepare`](Self::prepare) and [`apply`](Self::apply) with
/// the means of one driver, and nothing else. Which events were applied, in
/// which transaction and how often is the business of the
/// [`ProjectionStore`](crate::projection::ProjectionStore); when, of
/// [`Hub::project`](crate::Hub::project).
///
/// # Versions
///
/// Whoever changes what the model looks like raises [`version`](Self::version),
/// and gives each version tables of its own (`board_2` beside `board_1`). The
/// new version is built from the beginning of the log beside the old one, which
/// goes on, and takes its place when it has caught up. A query asks
/// [`ProjectionStore::live`](crate::projection::ProjectionStore::live) which version to
/// read.
///
/// # What belongs into `apply`
///
/// Writes to `tx`, and nothing that a rollback does not take back: the same
/// events may come again after one. What should happen once because of an event
/// (a mail, a call of another service) belongs into
/// [`ProjectionBuilder::after`](crate::projection::ProjectionBuilder::after).
#[async_trait]
pub trait Projection: fmt::Debug + Send + Sync + 'static {
    /// What the read model is written in: the transaction of the driver. It is
    /// begun and committed by the [`ProjectionStore`](crate::projection::ProjectionStore).
    type Tx: Send + 'static;

    /// The name under which the checkpoint is kept.
    fn name(&self) -> &str;

    /// The version of the read model's form.
    fn version(&self) -> u32;

    /// Which events it is made of. The same at every call; another one is
    /// another version.
    fn filter(&self) -> Filter;

    /// Makes the read model as it is before the first event: its tables, all
    /// of them empty, whatever an earlier run has left in them. Called in the
    /// transaction of every step from the beginning of the log, and of a reset.
    ///
    /// # Errors
    ///
    /// Any: the transaction is rolled back.
    ///
    /// # Panics
    ///
    /// May panic, which is an error.
    async fn prepare(&self, tx: &mut Self::Tx) -> Result<(), BoxError>;

    /// Writes what these events change. They come in the order of the log, at
    /// least one at a time; how many at a time is not to make a difference.
    ///
    /// # Errors
    ///
    /// Any: the transaction is rolled back, and the checkpoint stays before
    /// these events. They come again, fewer at a time, until it is known which
    /// of them is guilty; then the [`FailurePolicy`](crate::projection::FailurePolicy)
    /// decides.
    ///
    /// # Panics
    ///
    /// May panic, which is an error.
    async fn apply(&self, events: &[Event], tx: &mut Self::Tx) -> Result<(), BoxError>;
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
