//! Conversion of rows to and from numbers, names and events.

use bytes::Bytes;
use downlink::event::{ContentType, StoredParts, Timestamp};
use downlink::{
    Cursor, Error, ErrorKind, Event, EventId, EventType, NewEvent, Position, Result, StreamId, Tag,
    Version,
};
use sqlx::postgres::{PgRow, Postgres};
use sqlx::{Decode, Row, Type};
use uuid::Uuid;

use crate::error::failed;

/// The value of a column.
pub(crate) fn column<'r, T: Decode<'r, Postgres> + Type<Postgres>>(
    row: &'r PgRow,
    index: usize,
) -> Result<T> {
    row.try_get(index).map_err(failed("read a row"))
}

pub(crate) fn position_to_sql(position: Position) -> i64 {
    i64::try_from(position.get()).expect("positions fit what databases store")
}

pub(crate) fn position_from_sql(number: i64) -> Result<Position> {
    u64::try_from(number).ok().and_then(Position::new).ok_or_else(|| corrupt("position"))
}

pub(crate) fn version_to_sql(version: Version) -> i64 {
    i64::try_from(version.get()).expect("versions fit what databases store")
}

pub(crate) fn version_from_sql(number: i64) -> Result<Version> {
    u64::try_from(number).ok().and_then(Version::new).ok_or_else(|| corrupt("version"))
}

pub(crate) fn time_from_sql(micros: i64) -> Result<Timestamp> {
    u64::try_from(micros).map(Timestamp::from_micros).map_err(|_| corrupt("time"))
}

pub(crate) fn id_to_sql(id: EventId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

pub(crate) fn time_to_sql(time: Timestamp) -> i64 {
    i64::try_from(time.as_micros()).expect("times end with the year 9999")
}

/// A count of rows or bytes. A count that does not fit means no limit.
pub(crate) fn count_to_sql(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The cursor in two adjacent columns, position and id, if it is not NULL.
pub(crate) fn cursor(row: &PgRow, at: usize) -> Result<Option<Cursor>> {
    let Some(position) = column::<Option<i64>>(row, at)? else { return Ok(None) };
    let id = column::<Uuid>(row, at + 1)?;
    Ok(Some(Cursor::of(position_from_sql(position)?, EventId::from_bytes(id.into_bytes()))))
}

/// The end of the log, in the first row of a page.
pub(crate) fn end_of_log(row: &PgRow) -> Result<Option<Cursor>> {
    let Some(position) = column::<Option<i64>>(row, 5)? else { return Ok(None) };
    let id = EventId::from_bytes(column::<Uuid>(row, 1)?.into_bytes());
    Ok(Some(Cursor::of(position_from_sql(position)?, id)))
}

pub(crate) fn event(row: &PgRow) -> Result<Event> {
    let content_type = column::<Option<&str>>(row, 6)?;
    let tags: Vec<String> = column(row, 7)?;
    let content = NewEvent::from_stored(StoredParts {
        id: EventId::from_bytes(column::<Uuid>(row, 1)?.into_bytes()),
        event_type: EventType::new(column::<&str>(row, 4)?)?,
        content_type: content_type.map_or(Ok(ContentType::JSON), ContentType::new)?,
        payload: bytes(row, 9)?,
        metadata: bytes(row, 8)?,
        tags: tags.into_iter().map(Tag::new).collect::<Result<_>>()?,
    });
    Ok(Event::new(
        position_from_sql(column(row, 0)?)?,
        StreamId::new(column::<&str>(row, 2)?)?,
        version_from_sql(column(row, 3)?)?,
        time_from_sql(column(row, 5)?)?,
        content,
    ))
}

pub(crate) fn bytes(row: &PgRow, at: usize) -> Result<Bytes> {
    Ok(column::<Vec<u8>>(row, at)?.into())
}

pub(crate) fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("the tables have a {what} that no release writes"))
}

/// Events as columns, for the statement that stores them.
#[derive(Default)]
pub(crate) struct Columns<'a> {
    pub(crate) positions: Vec<i64>,
    pub(crate) ids: Vec<Uuid>,
    pub(crate) streams: Vec<&'a str>,
    pub(crate) versions: Vec<i64>,
    pub(crate) types: Vec<&'a str>,
    pub(crate) times: Vec<i64>,
    pub(crate) content_types: Vec<Option<&'a str>>,
    /// The tags of each event, joined by line feeds, which no tag contains.
    pub(crate) tags: Vec<String>,
    pub(crate) metadata: Vec<&'a [u8]>,
    pub(crate) payloads: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(rows: &'a [Event]) -> Self {
        let mut columns = Self::default();
        for event in rows {
            columns.push(event);
        }
        columns
    }

    fn push(&mut self, event: &'a Event) {
        let kind = event.content_type();
        let tags: Vec<_> = event.tags().iter().map(Tag::as_str).collect();
        self.positions.push(position_to_sql(event.position()));
        self.ids.push(id_to_sql(event.id()));
        self.streams.push(event.stream().as_str());
        self.versions.push(version_to_sql(event.version()));
        self.types.push(event.event_type().as_str());
        self.times.push(time_to_sql(event.recorded_at()));
        self.content_types.push((!kind.is_json()).then(|| kind.as_str()));
        self.tags.push(tags.join("\n"));
        self.metadata.push(event.metadata());
        self.payloads.push(event.payload());
    }
}
