use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::cursor::Cursor;
use crate::error::Result;
use crate::id::{Position, ProjectionId};
use crate::projection::{DeadLetter, Projection, Step, Stepped};

/// Keeps read models, and for each the checkpoint up to which it was made.
///
/// This trait is what a backend implements and nothing more. What drives it is
/// [`Hub::project`](crate::Hub::project).
///
/// # Contract
///
/// Every store keeps these promises, and the conformance suite holds it to
/// them; the names in brackets are its laws.
///
/// 1. **Effectively once.** A read model and its checkpoint move in one
///    transaction, so that the model is the fold of exactly the events up to
///    the checkpoint, for every reader at every moment
///    \[`a_model_is_the_fold_up_to_its_checkpoint`\].
/// 2. **Compare and set.** Of two who step from the same checkpoint one does;
///    the other learns where the checkpoint is
///    \[`one_of_two_workers_commits_a_step`\].
/// 3. **Any size of steps gives the same model,** and so does a rebuild
///    \[`any_size_of_steps_gives_the_same_model`\].
/// 4. **All or nothing.** A projection that fails or panics leaves model,
///    checkpoint and dead letters as they were, and stops nobody else
///    \[`a_failed_step_leaves_no_trace`\]; so does a dropped future, or the
///    step was made \[`a_dropped_step_is_all_or_nothing`\].
/// 5. **A checkpoint goes back only by a reset** \[`a_checkpoint_never_goes_back`\],
///    which makes the model anew in the same transaction
///    \[`a_reset_starts_over`\].
/// 6. **Dead letters** are stored with the step that passes over them, and
///    listed in the order of the log \[`dead_letters_move_with_the_checkpoint`\].
/// 7. **Versions** share nothing but their name \[`versions_are_isolated`\], and
///    only a higher one takes the place of the live one
///    \[`only_a_higher_version_becomes_live`\].
/// 8. **Announced once.** A position is told as unannounced to one step of the
///    live version only, whatever versions, resets and workers there are
///    \[`an_event_is_announced_at_most_once`\]; and what the version before has
///    not announced when another one takes its place is left to that one
///    \[`every_event_is_announced_once`\].
///
/// *If the read models outlive the store*
///
/// 9. After a crash at any moment, and when it is opened again, all of this
///    still holds \[`a_killed_projection_resumes_exactly`\].
///
/// # Where the log is
///
/// In the same database, if read models and log are to be restored together;
/// the contract does not ask for it. A read model in another database than the
/// log is effectively once, too, since its checkpoint is beside it.
///
/// # Cancel safety
///
/// Dropping the future of [`step`](Self::step), [`reset`](Self::reset),
/// [`make_live`](Self::make_live) or [`announce`](Self::announce) leaves it done
/// or not done, and nothing half open. Repeating a step is safe: it is `Lost` if
/// it was done. The other methods have no effects.
#[async_trait]
pub trait ProjectionStore: fmt::Debug + Send + Sync + 'static {
    /// The transaction that projections of this store write in.
    type Tx: Send + 'static;

    /// Up to where this read model was made; [`Cursor::START`] if it never was.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable), [`Corrupt`](crate::ErrorKind::Corrupt) and
    /// [`Backend`](crate::ErrorKind::Backend).
    async fn checkpoint(&self, id: &ProjectionId) -> Result<Cursor>;

    /// In one transaction: compares the checkpoint with where the step begins,
    /// has the projection [write](Step::write) the step, stores the dead letter
    /// if there is one, and moves the checkpoint. Durable when this returns, as
    /// an append is.
    ///
    /// # Errors
    ///
    /// What the projection does wrong is no error but [`Stepped::Failed`].
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
    ) -> Result<Stepped>;

    /// In one transaction: has the projection make its read model anew, forgets
    /// its dead letters, and sets the checkpoint to [`Cursor::START`]. Whether
    /// this version is the live one stays as it was, and what was announced
    /// stays announced.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step), and [`Backend`](crate::ErrorKind::Backend) if the projection
    /// cannot prepare, with what it said as the source.
    async fn reset(&self, projection: &Arc<dyn Projection<Tx = Self::Tx>>) -> Result<()>;

    /// The version of the projection with this name that queries should read;
    /// `None` if none was ever complete.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Self::checkpoint), and [`Invalid`](crate::ErrorKind::Invalid) for what is no
    /// name.
    async fn live(&self, name: &str) -> Result<Option<u32>>;

    /// Makes this version the live one if none is or a lower one is, in one
    /// transaction. What the version before has announced counts as announced; if
    /// there was none, events up to the checkpoint. Returns the version that is
    /// live now.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step), and [`Invalid`](crate::ErrorKind::Invalid) if this version has
    /// never made a step.
    async fn make_live(&self, id: &ProjectionId) -> Result<u32>;

    /// Up to where events were announced, by whatever version of this name;
    /// `None` if this version is not the live one.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Self::checkpoint).
    async fn announced(&self, id: &ProjectionId) -> Result<Option<Cursor>>;

    /// Counts events up to `to` as announced if this version is the live one and
    /// they did up to `from`, in one transaction; tells whether it did. `to` may
    /// be before `from`, if the log is another one.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    async fn announce(&self, id: &ProjectionId, from: Cursor, to: Cursor) -> Result<bool>;

    /// The events that this read model passed over, after this position, in
    /// the order of the log: at most `limit`, and at most 1,000.
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
    ) -> Result<Stepped> {
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
}
