use bytes::Bytes;
use downlink::event::{ContentType, StoredParts, Timestamp};
use downlink::{
    Cursor, Error, ErrorKind, Event, EventId, EventType, NewEvent, Position, Result, StreamId,
    Version,
};

use crate::number::{from_sql, position_from_sql, version_from_sql};
use crate::tag_cache::TagCache;
use crate::tags;

/// A row of `events`: the columns of [`EVENT_COLUMNS`](crate::EVENT_COLUMNS).
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "each is a column that the schema describes")]
pub struct EventRow<'a> {
    pub position: i64,
    pub id: &'a [u8],
    pub stream: i64,
    pub version: i64,
    pub prev: i64,
    pub jump: i64,
    pub event_type: i64,
    pub recorded_at: i64,
    pub content_type: Option<&'a str>,
    pub tags: Option<&'a [u8]>,
    pub metadata: Option<&'a [u8]>,
    pub payload: &'a [u8],
}

const NO_METADATA: &[u8] = b"{}";

impl EventRow<'_> {
    /// The event of this row, with the names for its keys, and its tags from the cache.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if a column is invalid.
    pub fn to_event(
        &self,
        stream: StreamId,
        event_type: EventType,
        tags: &mut TagCache,
    ) -> Result<Event> {
        let content_type = match self.content_type {
            None => ContentType::JSON,
            Some(name) => {
                ContentType::new(name).map_err(|error| self.corrupt("content type", error))?
            }
        };
        let metadata = match self.metadata {
            None => Bytes::from_static(NO_METADATA),
            Some(metadata) => Bytes::copy_from_slice(metadata),
        };
        let content = NewEvent::from_stored(StoredParts {
            id: id_from_sql(self.id)?,
            event_type,
            content_type,
            payload: Bytes::copy_from_slice(self.payload),
            metadata,
            tags: tags.decode(self.tags)?,
        });
        Ok(Event::new(self.position()?, stream, self.version()?, self.recorded_at()?, content))
    }

    /// The position in the log.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if it is negative.
    pub fn position(&self) -> Result<Position> {
        position_from_sql(self.position)
    }

    /// The version in the stream.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if it is not positive.
    pub fn version(&self) -> Result<Version> {
        version_from_sql(self.version)
    }

    /// When it was recorded.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if it is negative.
    pub fn recorded_at(&self) -> Result<Timestamp> {
        from_sql(self.recorded_at).map(Timestamp::from_micros)
    }

    fn corrupt(&self, what: &str, error: Error) -> Error {
        let message = format!("the event at position {} has an invalid {what}", self.position);
        Error::with_source(ErrorKind::Corrupt, message, error)
    }
}

/// The values of the nullable columns for an event to insert.
#[derive(Debug)]
pub struct NullableColumns<'a> {
    /// NULL for JSON.
    pub content_type: Option<&'a str>,
    /// NULL for none.
    pub tags: Option<Vec<u8>>,
    /// NULL for `{}`.
    pub metadata: Option<&'a [u8]>,
}

impl<'a> NullableColumns<'a> {
    /// The columns of this content.
    #[must_use]
    pub fn of(content: &'a NewEvent) -> Self {
        let content_type = content.content_type();
        Self {
            content_type: (!content_type.is_json()).then(|| content_type.as_str()),
            tags: tags::encode(content.tags()),
            metadata: (**content.metadata() != *NO_METADATA).then_some(&**content.metadata()),
        }
    }
}

/// The id that SQLite stored.
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if it does not have 16 bytes.
pub fn id_from_sql(id: &[u8]) -> Result<EventId> {
    let bytes = id.try_into().map_err(|error| {
        Error::with_source(
            ErrorKind::Corrupt,
            format!("the file has an event id of {} bytes instead of 16", id.len()),
            error,
        )
    })?;
    Ok(EventId::from_bytes(bytes))
}

/// The cursor of the event with this id at this position.
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if the position or the id is invalid.
pub fn cursor_from_sql(position: i64, id: &[u8]) -> Result<Cursor> {
    Ok(Cursor::of(position_from_sql(position)?, id_from_sql(id)?))
}
