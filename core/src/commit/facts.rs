use std::collections::HashMap;

use crate::cursor::Cursor;
use crate::error::Error;
use crate::event::{Event, Timestamp};
use crate::filter::Filter;
use crate::id::{EventId, Position, StreamId, Version};

/// What a group needs to know of the log. Each thing is named once.
#[derive(Debug)]
pub struct Needs<'a> {
    /// Streams whose versions are needed.
    pub streams: Vec<&'a StreamId>,
    /// Ids that may be known.
    pub ids: Vec<EventId>,
    /// Boundaries, in the order in which [`Facts::boundaries`] answers them.
    pub boundaries: Vec<Boundary<'a>>,
}

/// A question of [`Check::NothingAfter`](crate::Check::NothingAfter).
#[derive(Clone, Copy, Debug)]
pub struct Boundary<'a> {
    /// Which events are not to come.
    pub filter: &'a Filter,
    /// After where.
    pub after: Cursor,
}

/// What a store found, all inside the transaction that will insert.
#[derive(Debug, Default)]
pub struct Facts {
    /// The versions of the needed streams; those without events may be left
    /// out.
    pub streams: HashMap<StreamId, Version>,
    /// The events that have one of the needed ids.
    pub events: HashMap<EventId, Event>,
    /// One answer for each boundary.
    pub boundaries: Vec<BoundaryFact>,
}

/// What a store found of one boundary.
#[derive(Clone, Debug)]
pub enum BoundaryFact {
    /// Nothing that matches came.
    Clear,
    /// The first event that matches.
    Found(Cursor),
    /// The cursor is not of this log: `CursorAhead` or `HistoryChanged`.
    OtherHistory(Error),
}

/// The end of the log: where the next event goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// The last event's cursor.
    pub cursor: Cursor,
    /// The position that the next event gets, above that of the cursor. Stores
    /// whose positions come from a sequence have gaps.
    pub next: Position,
    /// When it was recorded; the next is never earlier.
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
