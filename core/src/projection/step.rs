use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use crate::cursor::Cursor;
use crate::error::{BoxError, Error, Result};
use crate::event::Event;
use crate::projection::{DeadLetter, Projection};
use crate::supervise::text_of;

/// Events for a read model, and how far the checkpoint moves with them.
///
/// Exhaustive: a [`ProjectionStore`](crate::projection::ProjectionStore) has to obey all of
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where the checkpoint has to be.
    pub from: Cursor,
    /// Where it is afterwards. The same as `from` for a step that only prepares
    /// a new read model.
    pub to: Cursor,
    /// The events between the two that match, in the order of the log; none if
    /// nothing matched.
    pub events: Vec<Event>,
    /// An event between the two that is passed over.
    pub skipped: Option<DeadLetter>,
}

impl Step {
    /// Moves the checkpoint over these events.
    #[must_use]
    pub fn new(from: Cursor, to: Cursor, events: Vec<Event>) -> Self {
        Self { from, to, events, skipped: None }
    }

    /// Moves the checkpoint over an event that is passed over.
    #[must_use]
    pub fn skip(from: Cursor, skipped: DeadLetter) -> Self {
        Self { from, to: skipped.cursor, events: Vec::new(), skipped: Some(skipped) }
    }

    /// Up to where events count as announced after this step of the live version,
    /// if they did up to `announced` before. For backends.
    ///
    /// A step that begins beyond leaves a gap to [`ProjectionStore::announce`](crate::projection::ProjectionStore::announce).
    #[must_use]
    pub fn announced_after(&self, announced: Cursor) -> Cursor {
        let has_gap = announced.position() < self.from.position();
        if has_gap || announced.position() >= self.to.position() { announced } else { self.to }
    }

    /// Checks what can be known without the store. Every store calls this
    /// first.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) for a step back, and for events
    /// that are not between its ends or not in the order of the log.
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
                    "the event at {position} is out of place in a step from {from} to {to}"
                )));
            }
            before = position;
        }
        Ok(())
    }

    /// Has the projection write this step, within the transaction of the
    /// store: prepares the read model if the step is the first, and applies the
    /// events. For backends.
    ///
    /// # Errors
    ///
    /// What the projection said, or its panic. The store takes the transaction
    /// back and answers [`Stepped::Failed`].
    pub async fn write<Tx: Send + 'static>(
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

/// Has the projection make its read model anew, within the transaction of the
/// store. A panic is an error.
async fn prepare<Tx: Send + 'static>(
    projection: &dyn Projection<Tx = Tx>,
    tx: &mut Tx,
) -> Result<(), BoxError> {
    let prepared = AssertUnwindSafe(projection.prepare(tx)).catch_unwind().await;
    prepared.unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> BoxError {
    format!("the projection panicked: {}", text_of(panic)).into()
}

/// What became of a step.
///
/// Exhaustive: whoever drives a projection has to mind all of it.
#[derive(Debug)]
pub enum Stepped {
    /// The events were applied and the checkpoint is at the step's end.
    Applied {
        /// If this version is the live one: up to where events had been
        /// announced before, by whatever version of this name. If that is not
        /// before the step, those of its events that come later count as
        /// announced from now on; if it is before, none does until they are
        /// [announced](crate::projection::ProjectionStore::announce).
        unannounced_after: Option<Cursor>,
    },
    /// The checkpoint was not where the step begins: it is here. Nothing was
    /// written.
    Lost(Cursor),
    /// The projection could not prepare or apply. Nothing was written.
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
