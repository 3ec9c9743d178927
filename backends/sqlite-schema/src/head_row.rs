use downlink::commit::LogHead;
use downlink::event::Timestamp;
use downlink::{Cursor, EventId, Position, Result};

use crate::event_row::id_from_sql;
use crate::number::{from_sql, position_from_sql};

/// The end of the log: the one row of `head`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadRow {
    /// The position of the last event; zero for an empty log.
    pub position: Position,
    /// The id of the last event.
    pub id: Option<EventId>,
    /// When the last event was recorded.
    pub recorded_at: Timestamp,
    /// How many transactions have appended.
    pub generation: u64,
}

impl HeadRow {
    /// The row from the columns of [`HEAD`](crate::HEAD).
    ///
    /// # Errors
    ///
    /// [`Corrupt`](downlink::ErrorKind::Corrupt) if a value is invalid.
    pub fn from_sql(
        position: i64,
        id: Option<&[u8]>,
        recorded_at: i64,
        generation: i64,
    ) -> Result<Self> {
        Ok(Self {
            position: position_from_sql(position)?,
            id: id.map(id_from_sql).transpose()?,
            recorded_at: Timestamp::from_micros(from_sql(recorded_at)?),
            generation: from_sql(generation)?,
        })
    }

    /// The cursor of the last event.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.id.map_or(Cursor::START, |id| Cursor::of(self.position, id))
    }

    /// The part of it that the planner needs.
    #[must_use]
    pub fn log_head(&self) -> LogHead {
        LogHead::after(self.cursor(), self.recorded_at)
    }

    /// The row after a transaction that appended up to `last`.
    #[must_use]
    pub fn after(&self, last: &downlink::Event) -> Self {
        Self {
            position: last.position(),
            id: Some(last.id()),
            recorded_at: last.recorded_at(),
            generation: self.generation + 1,
        }
    }
}
