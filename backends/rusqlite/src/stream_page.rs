//! Pages of one stream, found by its links.

use downlink::store::{Direction, Page, ReadStream, StreamSpan};
use downlink::{Error, Position, Result, StreamId, Version};
use downlink_sqlite_schema::number::{
    position_from_sql, position_to_sql, version_from_sql, version_to_sql,
};
use downlink_sqlite_schema::{PageBuilder, links, sql};
use rusqlite::CachedStatement;

use crate::error::failed;
use crate::snapshot::{Linked, Snapshot};

/// How many events a page with a filter reads at once.
const STRIDE: u64 = 512;

/// The end of a stream, where its links begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamEnd {
    pub(crate) key: i64,
    pub(crate) version: Version,
    pub(crate) position: Position,
}

/// The position of an event, and the version that it must have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) position: i64,
    pub(crate) version: Version,
}

impl Link {
    /// The link to the event before this one, which has this `prev`.
    pub(crate) fn back(self, prev: i64) -> Option<Self> {
        self.version.previous().map(|version| Self { position: prev, version })
    }
}

/// Reads a page of one stream.
pub(crate) fn read(snapshot: &mut Snapshot<'_>, read: &ReadStream) -> Result<Page> {
    let (stream, after) = (read.stream_id(), read.after());
    let head = snapshot.head.cursor();
    let Some(end) = StreamEnd::of(snapshot, stream)? else {
        return Ok(Page { events: Vec::new(), scanned: head, head, more: false, stream: None });
    };
    let mut page = PageBuilder::new(read);
    let more = match read.direction() {
        Direction::Forward => forward(snapshot, &mut page, read, end, after)?,
        Direction::Backward => backward(snapshot, &mut page, end, after)?,
    };
    Ok(Page {
        scanned: page.last.filter(|_| more).map_or(head, |(cursor, _)| cursor),
        head,
        more,
        stream: Some(StreamSpan {
            version: end.version,
            scanned: page.last.map(|(_, version)| version).or(after),
        }),
        events: page.events,
    })
}

/// Returns whether there is more.
fn forward(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    read: &ReadStream,
    end: StreamEnd,
    after: Option<Version>,
) -> Result<bool> {
    let stride = if read.filter().is_everything() { page.max_events() } else { STRIDE };
    let mut next = after.map_or(1, |after| after.get() + 1);
    let mut statement = snapshot.prepare(sql::EVENT_AT)?;
    while next <= end.version.get() && !page.is_full() {
        let to = end.version.get().min(next + stride - 1);
        for link in end.links(snapshot, next, to)? {
            if !page.offer(end.event_at(snapshot, &mut statement, link)?.event) {
                break;
            }
        }
        next = to + 1;
    }
    Ok(page.last.map(|(_, version)| version).or(after) < Some(end.version))
}

/// Returns whether there is more.
fn backward(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    end: StreamEnd,
    before: Option<Version>,
) -> Result<bool> {
    let first = before.map_or(Some(end.version), |before| {
        before.previous().map(|version| version.min(end.version))
    });
    let Some(first) = first else { return Ok(false) };
    if !page.is_full() {
        let mut next = Some(end.seek(snapshot, first)?);
        let mut statement = snapshot.prepare(sql::EVENT_AT)?;
        while let Some(link) = next {
            let Linked { event, prev, .. } = end.event_at(snapshot, &mut statement, link)?;
            if !page.offer(event) {
                break;
            }
            next = link.back(prev);
        }
    }
    Ok(page.last.is_none_or(|(_, version)| version > Version::FIRST))
}

impl StreamEnd {
    pub(crate) fn of(snapshot: &Snapshot<'_>, stream: &StreamId) -> Result<Option<Self>> {
        let row = snapshot.one(sql::STREAM_HEAD, [stream.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        row.map(Self::from_sql).transpose()
    }

    /// The columns of [`STREAM_HEAD`](sql::STREAM_HEAD).
    pub(crate) fn from_sql(row: (i64, Option<i64>, Option<i64>)) -> Result<Self> {
        let (key, Some(version), Some(position)) = row else { return Err(links::broken(row.0)) };
        Ok(Self {
            key,
            version: version_from_sql(version)?,
            position: position_from_sql(position)?,
        })
    }

    /// The last event.
    pub(crate) fn last(&self) -> Link {
        Link { position: position_to_sql(self.position), version: self.version }
    }

    /// The link to a version, which is not after the last one.
    fn seek(&self, snapshot: &Snapshot<'_>, version: Version) -> Result<Link> {
        if version == self.version {
            return Ok(self.last());
        }
        let parameters = [position_to_sql(self.position), version_to_sql(version)];
        let position = snapshot.one(sql::SEEK_VERSION, parameters, |row| row.get(0))?;
        Ok(Link { position: position.ok_or_else(|| self.broken())?, version })
    }

    /// The links to the versions from `from` to `to`, in order.
    pub(crate) fn links(&self, snapshot: &Snapshot<'_>, from: u64, to: u64) -> Result<Vec<Link>> {
        let count = i64::try_from(to - from + 1).unwrap_or(i64::MAX);
        let last = self.seek(snapshot, Version::new(to).ok_or_else(|| self.broken())?)?;
        let mut statement = snapshot.prepare(sql::WALK_BACK)?;
        let positions: Vec<i64> = statement
            .query_map([last.position, count], |row| row.get(0))
            .and_then(Iterator::collect)
            .map_err(failed("read a stream"))?;
        if i64::try_from(positions.len()) != Ok(count) {
            return Err(self.broken());
        }
        let versions = (from..=to).filter_map(Version::new);
        let linked = versions.zip(positions.into_iter().rev());
        Ok(linked.map(|(version, position)| Link { position, version }).collect())
    }

    /// The stream's first event after a position, and its `prev`. The last event is after that
    /// position.
    pub(crate) fn first_after(&self, snapshot: &Snapshot<'_>, after: i64) -> Result<(Link, i64)> {
        let parameters = [position_to_sql(self.position), after];
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let found = snapshot.one(sql::SEEK_FIRST_AFTER, parameters, read)?;
        let (position, version, prev) = found.ok_or_else(|| self.broken())?;
        Ok((Link { position, version: version_from_sql(version)? }, prev))
    }

    /// The event that a link of this stream points to.
    pub(crate) fn event_at(
        &self,
        snapshot: &mut Snapshot<'_>,
        statement: &mut CachedStatement<'_>,
        link: Link,
    ) -> Result<Linked> {
        match snapshot.event_at(statement, link.position)? {
            Some(linked) if (linked.stream, linked.event.version()) == (self.key, link.version) => {
                Ok(linked)
            }
            _ => Err(self.broken()),
        }
    }

    fn broken(&self) -> Error {
        links::broken(self.key)
    }
}
