use super::{Boundary, BoundaryFact, Driver, Facts, Linger};
use crate::cursor::Cursor;
use crate::event::Event;

/// What the open transaction has inserted and its driver does not show before
/// it commits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unseen<'a>(&'a [Event]);

impl<'a> Unseen<'a> {
    pub(super) const NOTHING: Self = Self(&[]);

    /// Of these rows, those that this driver need not show.
    pub(super) fn of<D: Driver>(rows: &'a [Event]) -> Self {
        match D::LINGER {
            Linger::InTransaction => Self::NOTHING,
            Linger::BeforeBegin => Self(rows),
        }
    }

    /// Adds streams and ids to what the driver has found.
    pub(super) fn add_to(self, facts: &mut Facts) {
        for event in self.0 {
            facts.streams.insert(event.stream().clone(), event.version());
            facts.events.insert(event.id(), event.clone());
        }
    }

    /// The answer to a boundary that begins at one of these, which the driver
    /// cannot know.
    pub(super) fn answer(self, boundary: &Boundary<'_>) -> Option<BoundaryFact> {
        let place = self.0.iter().position(|event| event.cursor() == boundary.after)?;
        Some(
            Self(&self.0[place + 1..])
                .found(boundary)
                .map_or(BoundaryFact::Clear, BoundaryFact::Found),
        )
    }

    /// What the driver has answered, and these after it.
    pub(super) fn after(self, fact: BoundaryFact, boundary: &Boundary<'_>) -> BoundaryFact {
        match fact {
            BoundaryFact::Clear => self.found(boundary).map_or(fact, BoundaryFact::Found),
            fact => fact,
        }
    }

    fn found(self, boundary: &Boundary<'_>) -> Option<Cursor> {
        self.0.iter().find(|event| boundary.filter.matches_event(event)).map(Event::cursor)
    }
}
