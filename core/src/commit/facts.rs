use std::collections::HashMap;

use crate::cursor::Cursor;
use crate::error::Error;
use crate::event::{Event, Timestamp};
use crate::filter::Filter;
use crate::id::{EventId, Position, StreamId, Version};

/// The parts of the log that a group needs to know, each listed once.
#[derive(Debug)]
pub struct Needs<'a> {
    /// Streams whose versions are needed.
    pub streams: Vec<&'a StreamId>,
    /// Event ids that may be stored already.
    pub ids: Vec<EventId>,
    /// Boundaries, in the order of [`Facts::boundaries`].
    pub boundaries: Vec<Boundary<'a>>,
}

/// The boundary of a [`Check::NothingAfter`](crate::Check::NothingAfter).
#[derive(Clone, Copy, Debug)]
pub struct Boundary<'a> {
    /// The events that must not exist.
    pub filter: &'a Filter,
    /// The cursor after which they must not exist.
    pub after: Cursor,
}

/// What a store has found, all inside the transaction that will insert.
#[derive(Debug, Default)]
pub struct Facts {
    /// The versions of the needed streams. Streams without events may be left
    /// out.
    pub streams: HashMap<StreamId, Version>,
    /// The stored events that have one of the needed ids.
    pub events: HashMap<EventId, Event>,
    /// One fact for each boundary.
    pub boundaries: Vec<BoundaryFact>,
}

/// What a store has found for one boundary.
#[derive(Clone, Debug)]
pub enum BoundaryFact {
    /// No event matches.
    Clear,
    /// The first matching event.
    Found(Cursor),
    /// The cursor does not belong to this log: `CursorAhead` or
    /// `HistoryChanged`.
    OtherHistory(Error),
}

/// The end of the log: where the next event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// The cursor of the last event.
    pub cursor: Cursor,
    /// The position of the next event, above that of the cursor. There are gaps
    /// if a store takes positions from a sequence.
    pub next: Position,
    /// When the last event was recorded. The next one is never earlier.
    pub recorded_at: Timestamp,
}

impl LogHead {
    /// The end of a log without events.
    pub const EMPTY: Self = Self::after(Cursor::START, Timestamp::EPOCH);

    /// The end of a log whose positions have no gaps.
    #[must_use]
    pub const fn after(cursor: Cursor, recorded_at: Timestamp) -> Self {
        Self { cursor, next: cursor.position().next(), recorded_at }
    }
}
