use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::cursor::Cursor;
use crate::error::Result;
use crate::id::{Position, ProjectionId};
use crate::projection::{
    DeadLetter, Lease, LeaseOutcome, LeaseToken, Projection, Step, StepOutcome,
};

/// Stores read models, each with the checkpoint up to which it was built.
///
/// A backend implements this trait and nothing more.
/// [`Hub::project`](crate::Hub::project) drives it.
///
/// # Contract
///
/// Every store guarantees the following. The names in brackets are the laws of
/// the conformance suite that check it.
///
/// 1. **Effectively once.** A read model and its checkpoint move in one
///    transaction, so that every reader at every moment sees the fold of
///    exactly the events up to the checkpoint
///    \[`a_model_is_the_fold_up_to_its_checkpoint`\].
/// 2. **Compare and set.** Of two workers that step from the same checkpoint,
///    one succeeds; the other learns where the checkpoint is
///    \[`one_of_two_workers_commits_a_step`\].
/// 3. **Any step size yields the same model,** and so does a rebuild
///    \[`any_size_of_steps_gives_the_same_model`\].
/// 4. **All or nothing.** A projection that fails or panics leaves model,
///    checkpoint and dead letters unchanged, and does not affect others
///    \[`a_failed_step_leaves_no_trace`\]. After a dropped future, the step was
///    made completely or not at all \[`a_dropped_step_is_all_or_nothing`\].
/// 5. **A checkpoint moves back only by a reset**
///    \[`a_checkpoint_never_goes_back`\], which prepares the model again in the
///    same transaction \[`a_reset_starts_over`\].
/// 6. **Dead letters** are stored with the step that skips them, and listed in
///    log order \[`dead_letters_move_with_the_checkpoint`\].
/// 7. **Versions** share only their name \[`versions_are_isolated`\], and only a
///    higher version replaces the live one
///    \[`only_a_higher_version_becomes_live`\].
/// 8. **Announced once.** A position is returned as unannounced to only one
///    step of the live version, across all versions, resets and workers
///    \[`an_event_is_announced_at_most_once`\]; and events that a version has
///    not announced when another one replaces it are left to the new one
///    \[`every_event_is_announced_once`\].
///
/// 9. **One lease.** Of many workers that ask for the lease of a read model, one gets it, and
///    keeps it for its duration after it has last asked for it or made a step
///    \[`one_of_many_workers_has_the_lease`\], \[`a_step_prolongs_its_lease`\]. Then another gets
///    it \[`an_expired_lease_is_taken_over`\]. A step with another lease than the stored one is
///    refused, whatever the checkpoint and the clocks are
///    \[`a_step_without_the_lease_is_refused`\].
///
/// *If the read models outlive the store*
///
/// 10. All of this still holds after a crash at any moment, once the store is
///     reopened \[`a_killed_projection_resumes_exactly`\], and a worker of another process that
///     stands by replaces one that is killed \[`a_killed_worker_is_replaced`\].
///
/// # Location of the log
///
/// Read models may be in the same database as the log, so that both are
/// restored together, but the contract does not require it. A read model in
/// another database is updated effectively once as well, since its checkpoint
/// is stored with it.
///
/// # Cancel safety
///
/// Dropping the future of [`step`](Self::step), [`reset`](Self::reset),
/// [`make_live`](Self::make_live), [`announce`](Self::announce), [`lease`](Self::lease) or
/// [`release`](Self::release) leaves the operation done or not done, and no transaction open.
/// Repeating a step is safe: it is `CheckpointMoved` if it was done before. The other methods
/// have no effects.
#[async_trait]
pub trait ProjectionStore: fmt::Debug + Send + Sync + 'static {
    /// The transaction in which projections of this store write.
    type Tx: ?Sized + Send + 'static;

    /// The checkpoint up to which this read model was built; [`Cursor::START`]
    /// if it was never built.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable), [`Corrupt`](crate::ErrorKind::Corrupt) and
    /// [`Backend`](crate::ErrorKind::Backend).
    async fn checkpoint(&self, id: &ProjectionId) -> Result<Cursor>;

    /// Makes one step. In one transaction: compares the lease with the stored one, if the step
    /// has one, and prolongs it; compares the checkpoint with the step's beginning; has the
    /// projection [write](Step::write) the step,
    /// stores the dead letter if there is one, and moves the checkpoint. When
    /// this returns, the step is as durable as an append.
    ///
    /// # Errors
    ///
    /// A failure of the projection is not an error but [`StepOutcome::Failed`].
    ///
    /// - [`Invalid`](crate::ErrorKind::Invalid) as in [`Step::validate`];
    /// - [`Overloaded`](crate::ErrorKind::Overloaded), [`Busy`](crate::ErrorKind::Busy),
    ///   [`StorageFull`](crate::ErrorKind::StorageFull), [`Unavailable`](crate::ErrorKind::Unavailable),
    ///   [`Corrupt`](crate::ErrorKind::Corrupt) and [`Backend`](crate::ErrorKind::Backend): nothing
    ///   was written;
    /// - [`OutcomeUnknown`](crate::ErrorKind::OutcomeUnknown): repeat the step to find out.
    async fn step(
        &self,
        projection: &Arc<dyn Projection<Tx = Self::Tx>>,
        step: Step,
    ) -> Result<StepOutcome>;

    /// Resets a read model. In one transaction: has the projection
    /// [prepare](Projection::prepare) its read model again, deletes its dead
    /// letters, and sets the checkpoint to [`Cursor::START`]. Whether this
    /// version is the live one does not change, and what was announced stays
    /// announced.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step), and [`Backend`](crate::ErrorKind::Backend) if
    /// the projection fails to prepare, with its error as the source.
    async fn reset(&self, projection: &Arc<dyn Projection<Tx = Self::Tx>>) -> Result<()>;

    /// The version of the projection with this name that queries should read;
    /// `None` if no version was ever complete.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Self::checkpoint), and
    /// [`Invalid`](crate::ErrorKind::Invalid) for an invalid name.
    async fn live(&self, name: &str) -> Result<Option<u32>>;

    /// Makes this version the live one if there is none or a lower one, in one
    /// transaction. If an earlier version was live, this one takes over its
    /// announced cursor; if none was, everything up to the checkpoint counts as
    /// announced. Returns the version that is live now.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step), and [`Invalid`](crate::ErrorKind::Invalid) if this version has
    /// never made a step.
    async fn make_live(&self, id: &ProjectionId) -> Result<u32>;

    /// Up to where events were announced, by any version of this name; `None`
    /// if this version is not the live one.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Self::checkpoint).
    async fn announced(&self, id: &ProjectionId) -> Result<Option<Cursor>>;

    /// Marks events up to `to` as announced if this version is the live one and
    /// events are marked up to `from`, in one transaction. Returns whether it
    /// did. `to` may be before `from` if the log was replaced.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    async fn announce(&self, id: &ProjectionId, from: Cursor, to: Cursor) -> Result<bool>;

    /// Reads the events after this position that this read model has skipped,
    /// in log order: at most `limit`, and at most 1,000.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Self::checkpoint).
    async fn dead_letters(
        &self,
        id: &ProjectionId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>>;

    /// Takes the lease of this read model if it is free or has expired, and prolongs it if it is
    /// the worker's own: it then lasts for its duration from now, by the store's clock. Does not
    /// wait for appends and steps if the store can avoid it.
    ///
    /// A clock that is set back must not make a lease last for longer than its duration. A store
    /// with such a clock treats a lease that would last for longer than the one that is asked for
    /// as expired; all workers of a projection should use the same duration.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    async fn lease(&self, id: &ProjectionId, lease: Lease) -> Result<LeaseOutcome>;

    /// Gives up the lease of this read model, if it is that of this worker.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    async fn release(&self, id: &ProjectionId, token: LeaseToken) -> Result<()>;
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ProjectionStore + ?Sized> ProjectionStore for Arc<S> {
    type Tx = S::Tx;

    async fn checkpoint(&self, id: &ProjectionId) -> Result<Cursor> {
        (**self).checkpoint(id).await
    }

    async fn step(
        &self,
        projection: &Arc<dyn Projection<Tx = S::Tx>>,
        step: Step,
    ) -> Result<StepOutcome> {
        (**self).step(projection, step).await
    }

    async fn reset(&self, projection: &Arc<dyn Projection<Tx = S::Tx>>) -> Result<()> {
        (**self).reset(projection).await
    }

    async fn live(&self, name: &str) -> Result<Option<u32>> {
        (**self).live(name).await
    }

    async fn make_live(&self, id: &ProjectionId) -> Result<u32> {
        (**self).make_live(id).await
    }

    async fn announced(&self, id: &ProjectionId) -> Result<Option<Cursor>> {
        (**self).announced(id).await
    }

    async fn announce(&self, id: &ProjectionId, from: Cursor, to: Cursor) -> Result<bool> {
        (**self).announce(id, from, to).await
    }

    async fn dead_letters(
        &self,
        id: &ProjectionId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        (**self).dead_letters(id, after, limit).await
    }

    async fn lease(&self, id: &ProjectionId, lease: Lease) -> Result<LeaseOutcome> {
        (**self).lease(id, lease).await
    }

    async fn release(&self, id: &ProjectionId, token: LeaseToken) -> Result<()> {
        (**self).release(id, token).await
    }
}
