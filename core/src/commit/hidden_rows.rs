use super::{Boundary, BoundaryFact, Driver, Facts, Linger};
use crate::cursor::Cursor;
use crate::event::Event;

/// Rows that the open transaction has inserted but that its driver does not
/// show before the commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct HiddenRows<'a>(&'a [Event]);

impl<'a> HiddenRows<'a> {
    pub(super) const NONE: Self = Self(&[]);

    /// Those of the inserted rows that this driver need not show.
    pub(super) fn of<D: Driver>(rows: &'a [Event]) -> Self {
        match D::LINGER {
            Linger::InTransaction => Self::NONE,
            Linger::BeforeBegin => Self(rows),
        }
    }

    /// Adds the streams and ids of these rows to what the driver has found.
    pub(super) fn add_to(self, facts: &mut Facts) {
        for event in self.0 {
            facts.streams.insert(event.stream().clone(), event.version());
            facts.events.insert(event.id(), event.clone());
        }
    }

    /// The fact for a boundary that begins at one of these rows, which the
    /// driver cannot check.
    pub(super) fn fact(self, boundary: &Boundary<'_>) -> Option<BoundaryFact> {
        let place = self.0.iter().position(|event| event.cursor() == boundary.after)?;
        Some(
            Self(&self.0[place + 1..])
                .found(boundary)
                .map_or(BoundaryFact::Clear, BoundaryFact::Found),
        )
    }

    /// Completes the fact that the driver has found with these rows, which come
    /// after it.
    pub(super) fn complete(self, fact: BoundaryFact, boundary: &Boundary<'_>) -> BoundaryFact {
        match fact {
            BoundaryFact::Clear => self.found(boundary).map_or(fact, BoundaryFact::Found),
            fact => fact,
        }
    }

    fn found(self, boundary: &Boundary<'_>) -> Option<Cursor> {
        self.0.iter().find(|event| boundary.filter.matches_event(event)).map(Event::cursor)
    }
}
