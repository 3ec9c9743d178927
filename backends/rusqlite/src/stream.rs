//! Pages of one stream, found by its links.

use downlink::{
    Direction, Error, ErrorKind, Page, Position, Read, Result, StreamId, StreamSpan, Version,
};
use downlink_sqlite_schema::number::{
    position_from_sql, position_to_sql, version_from_sql, version_to_sql,
};
use downlink_sqlite_schema::{Taking, sql};
use rusqlite::CachedStatement;

use crate::error::failed;
use crate::snapshot::{Linked, Snapshot};

/// How many events a filtered page walks over at once.
const STRIDE: u64 = 512;

/// The end of a stream, from where its links lead back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamEnd {
    pub(crate) key: i64,
    pub(crate) version: Version,
    pub(crate) position: Position,
}

/// Reads a page of one stream.
pub(crate) fn read(
    snapshot: &mut Snapshot<'_>,
    read: &Read,
    stream: &StreamId,
    after: Option<Version>,
) -> Result<Page> {
    let head = snapshot.head.cursor();
    let Some(end) = StreamEnd::of(snapshot, stream)? else {
        return Ok(Page { events: Vec::new(), scanned: head, head, more: false, stream: None });
    };
    let mut taking = Taking::new(read);
    let more = match read.direction() {
        Direction::Forward => forward(snapshot, &mut taking, read, end, after)?,
        Direction::Backward => backward(snapshot, &mut taking, end, after)?,
    };
    Ok(Page {
        scanned: taking.last.filter(|_| more).map_or(head, |(cursor, _)| cursor),
        head,
        more,
        stream: Some(StreamSpan {
            version: end.version,
            scanned: taking.last.map(|(_, version)| version).or(after),
        }),
        events: taking.events,
    })
}

/// Tells whether there is more.
fn forward(
    snapshot: &mut Snapshot<'_>,
    taking: &mut Taking<'_>,
    read: &Read,
    end: StreamEnd,
    after: Option<Version>,
) -> Result<bool> {
    let stride = if read.wanted().is_everything() { taking.wanted() } else { STRIDE };
    let mut next = after.map_or(1, |after| after.get() + 1);
    let mut statement = snapshot.prepare(sql::EVENT_AT)?;
    while next <= end.version.get() && !taking.is_full() {
        let to = end.version.get().min(next + stride - 1);
        for position in end.positions(snapshot, next, to)? {
            if !taking.offer(end.event_at(snapshot, &mut statement, position)?.event) {
                break;
            }
        }
        next = to + 1;
    }
    Ok(taking.last.map(|(_, version)| version).or(after) < Some(end.version))
}

/// Tells whether there is more.
fn backward(
    snapshot: &mut Snapshot<'_>,
    taking: &mut Taking<'_>,
    end: StreamEnd,
    before: Option<Version>,
) -> Result<bool> {
    let first = before.map_or(Some(end.version), |before| {
        before.previous().map(|version| version.min(end.version))
    });
    let Some(first) = first else { return Ok(false) };
    if !taking.is_full() {
        let mut position = end.seek(snapshot, first)?;
        let mut statement = snapshot.prepare(sql::EVENT_AT)?;
        while position > 0 {
            let Linked { event, prev, .. } = end.event_at(snapshot, &mut statement, position)?;
            if !taking.offer(event) {
                break;
            }
            position = prev;
        }
    }
    Ok(taking.last.is_none_or(|(_, version)| version > Version::FIRST))
}

impl StreamEnd {
    pub(crate) fn of(snapshot: &Snapshot<'_>, stream: &StreamId) -> Result<Option<Self>> {
        let row = snapshot.one(sql::STREAM_HEAD, [stream.as_str()], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        })?;
        row.map(|(key, version, position)| {
            Ok(Self {
                key,
                version: version_from_sql(version)?,
                position: position_from_sql(position)?,
            })
        })
        .transpose()
    }

    /// The position of a version, which is not after the last.
    fn seek(&self, snapshot: &Snapshot<'_>, version: Version) -> Result<i64> {
        if version == self.version {
            return Ok(position_to_sql(self.position));
        }
        let parameters = [position_to_sql(self.position), version_to_sql(version)];
        snapshot.one(sql::SEEK_VERSION, parameters, |row| row.get(0))?.ok_or_else(|| self.broken())
    }

    /// The positions of the versions from `from` to `to`, in their order.
    pub(crate) fn positions(
        &self,
        snapshot: &Snapshot<'_>,
        from: u64,
        to: u64,
    ) -> Result<Vec<i64>> {
        let count = i64::try_from(to - from + 1).unwrap_or(i64::MAX);
        let at = self.seek(snapshot, Version::new(to).ok_or_else(|| self.broken())?)?;
        let mut statement = snapshot.prepare(sql::WALK_BACK)?;
        let mut positions: Vec<i64> = statement
            .query_map([at, count], |row| row.get(0))
            .and_then(Iterator::collect)
            .map_err(failed("read a stream"))?;
        positions.reverse();
        Ok(positions)
    }

    /// Position and version of the stream's first event after a position that
    /// its last event is after.
    pub(crate) fn first_after(&self, snapshot: &Snapshot<'_>, after: i64) -> Result<(i64, u64)> {
        let parameters = [position_to_sql(self.position), after];
        let found = snapshot
            .one(sql::SEEK_FIRST_AFTER, parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (position, version) = found.ok_or_else(|| self.broken())?;
        Ok((position, version_from_sql(version)?.get()))
    }

    /// The event that a link of this stream points to.
    pub(crate) fn event_at(
        &self,
        snapshot: &mut Snapshot<'_>,
        statement: &mut CachedStatement<'_>,
        position: i64,
    ) -> Result<Linked> {
        match snapshot.event_at(statement, position)? {
            Some(linked) if linked.stream == self.key => Ok(linked),
            _ => Err(self.broken()),
        }
    }

    fn broken(&self) -> Error {
        let message =
            format!("a link of stream {} leads to no event of it: verify the file", self.key);
        Error::new(ErrorKind::Corrupt, message)
    }
}
