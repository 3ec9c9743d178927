use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use crate::cursor::Cursor;
use crate::error::{BoxError, Error, Result};
use crate::event::Event;
use crate::projection::{DeadLetter, Lease, Projection};
use crate::supervise::text_of;

/// One step of a projection: events to apply, and how far the checkpoint moves
/// with them.
///
/// Exhaustive, since a [`ProjectionStore`](crate::projection::ProjectionStore)
/// has to support every part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where the checkpoint has to be before the step.
    pub from: Cursor,
    /// Where the checkpoint is after the step. The same as `from` for a step
    /// that only prepares a new read model.
    pub to: Cursor,
    /// The matching events between the two, in log order; empty if nothing
    /// matched.
    pub events: Vec<Event>,
    /// An event between the two that is skipped.
    pub skipped: Option<DeadLetter>,
    /// The lease that has to be the stored one, and that is prolonged with the step; `None` for
    /// a worker without one.
    pub lease: Option<Lease>,
}

impl Step {
    /// Creates a step that applies these events.
    #[must_use]
    pub fn new(from: Cursor, to: Cursor, events: Vec<Event>) -> Self {
        Self { from, to, events, skipped: None, lease: None }
    }

    /// Creates a step that skips one event.
    #[must_use]
    pub fn skip(from: Cursor, skipped: DeadLetter) -> Self {
        let to = skipped.cursor;
        Self { from, to, events: Vec::new(), skipped: Some(skipped), lease: None }
    }

    /// The same step by a worker with this lease, or by one without.
    #[must_use]
    pub fn with_lease(self, lease: Option<Lease>) -> Self {
        Self { lease, ..self }
    }

    /// Up to where events count as announced after this step of the live
    /// version, if they counted as announced up to `announced` before. For
    /// backends.
    ///
    /// If the step begins after that, it leaves a gap, which is closed by
    /// [`ProjectionStore::announce`](crate::projection::ProjectionStore::announce).
    #[must_use]
    pub fn announced_after(&self, announced: Cursor) -> Cursor {
        let has_gap = announced.position() < self.from.position();
        if has_gap || announced.position() >= self.to.position() { announced } else { self.to }
    }

    /// Checks everything that can be checked without the store. Every store
    /// calls this first.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a step that goes back, and
    /// for events that are outside the step or not in log order.
    pub fn validate(&self) -> Result<()> {
        let (from, to) = (self.from.position(), self.to.position());
        if to < from || (to == from && self.to != self.from) {
            return Err(Error::invalid(format!(
                "a step from {} to {} goes back: reset the projection instead",
                self.from, self.to
            )));
        }
        let mut before = from;
        let passed_over = self.skipped.as_ref().map(|skipped| skipped.cursor.position());
        for position in self.events.iter().map(Event::position).chain(passed_over) {
            if position <= before || position > to {
                return Err(Error::invalid(format!(
                    "the event at position {position} is outside or out of order in a step from {from} to {to}"
                )));
            }
            before = position;
        }
        Ok(())
    }

    /// Has the projection write this step in the store's transaction: prepares
    /// the read model if this is the first step, and applies the events. For
    /// backends.
    ///
    /// # Errors
    ///
    /// The projection's error, or its panic as an error. The store then rolls
    /// the transaction back and returns [`StepOutcome::Failed`].
    pub async fn write<Tx: ?Sized + Send + 'static>(
        &self,
        projection: &dyn Projection<Tx = Tx>,
        tx: &mut Tx,
    ) -> Result<(), BoxError> {
        if self.from == Cursor::START {
            prepare(projection, tx).await?;
        }
        if self.events.is_empty() {
            return Ok(());
        }
        let applied = AssertUnwindSafe(projection.apply(&self.events, tx)).catch_unwind().await;
        applied.unwrap_or_else(|panic| Err(panicked(&*panic)))
    }
}

/// Has the projection prepare its read model in the store's transaction. A
/// panic becomes an error.
async fn prepare<Tx: ?Sized + Send + 'static>(
    projection: &dyn Projection<Tx = Tx>,
    tx: &mut Tx,
) -> Result<(), BoxError> {
    let prepared = AssertUnwindSafe(projection.prepare(tx)).catch_unwind().await;
    prepared.unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> BoxError {
    format!("the projection panicked: {}", text_of(panic)).into()
}

/// The outcome of a step.
///
/// Exhaustive, since callers have to handle every variant.
#[derive(Debug)]
pub enum StepOutcome {
    /// The events were applied and the checkpoint is at the step's end.
    Applied {
        /// `Some` only for the live version: the cursor up to which events were
        /// announced before this step, by any version of this name.
        ///
        /// - At or after the step's `from`: the step has marked the rest of its
        ///   events as announced.
        /// - Before `from`: there is a gap, and the step has marked nothing.
        ///   [Announce](crate::projection::ProjectionStore::announce) the gap
        ///   first.
        unannounced_after: Option<Cursor>,
    },
    /// The checkpoint was not at the step's beginning but here. Nothing was
    /// written.
    CheckpointMoved(Cursor),
    /// The step's lease is not the stored one: another worker has taken it over, or it was
    /// released. Nothing was written.
    LeaseLost,
    /// The projection failed to prepare or apply. Nothing was written.
    Failed(BoxError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::event::sample::event;

    #[test]
    fn a_step_goes_forward_over_its_own_events() {
        let [one, two, three] = [1, 2, 3].map(event);
        let of = |from: &Event, to: &Event, events: &[&Event]| {
            let events = events.iter().copied().cloned().collect();
            Step::new(from.cursor(), to.cursor(), events).validate()
        };
        let invalid = |outcome: Result<()>| outcome.unwrap_err().kind() == ErrorKind::Invalid;
        assert!(of(&one, &three, &[&two, &three]).is_ok());
        assert!(of(&one, &one, &[]).is_ok());
        assert!(of(&one, &two, &[]).is_ok());
        assert!(invalid(of(&two, &one, &[])));
        assert!(invalid(of(&one, &event(1), &[])));
        assert!(invalid(of(&one, &three, &[&one])));
        assert!(invalid(of(&one, &two, &[&three])));
        assert!(invalid(of(&one, &three, &[&three, &two])));
    }
}
