//! Pages of one stream, found by its links.

use downlink::store::{Direction, Page, ReadStream, StreamSpan};
use downlink::{Position, Read, Result, StreamId, Version};
use downlink_sqlite_schema::links::broken;
use downlink_sqlite_schema::number::{
    position_from_sql, position_to_sql, version_from_sql, version_to_sql,
};
use downlink_sqlite_schema::{PageBuilder, batch_sql, sql};

use crate::row::column;
use crate::snapshot::{Bounds, Snapshot};
use crate::statement::{Values, list};

/// How many events a page with a filter reads at once.
const STRIDE: u64 = 512;

/// The end of a stream, where its links begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamEnd {
    pub(crate) key: i64,
    pub(crate) version: Version,
    pub(crate) position: Position,
}

/// The position of an event, and the key of the stream and the version that it must have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) position: i64,
    pub(crate) stream: i64,
    pub(crate) version: Version,
}

/// Reads a page of one stream.
pub(crate) async fn read(snapshot: &mut Snapshot<'_>, read: &ReadStream) -> Result<Page> {
    let (stream, after) = (read.stream_id(), read.after());
    let head = snapshot.head.cursor();
    let Some(end) = StreamEnd::of(snapshot, stream).await? else {
        return Ok(Page { events: Vec::new(), scanned: head, head, more: false, stream: None });
    };
    let mut page = PageBuilder::new(read);
    let more = match read.direction() {
        Direction::Forward => forward(snapshot, &mut page, read, end, after).await?,
        Direction::Backward => backward(snapshot, &mut page, read, end, after).await?,
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

fn stride(read: &ReadStream, page: &PageBuilder<'_>) -> u64 {
    if read.filter().is_everything() { page.max_events() } else { STRIDE }
}

/// Returns whether there is more.
async fn forward(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    read: &ReadStream,
    end: StreamEnd,
    after: Option<Version>,
) -> Result<bool> {
    let stride = stride(read, page);
    let mut next = after.map_or(1, |after| after.get() + 1);
    while next <= end.version.get() && !page.is_full() {
        let to = end.version.get().min(next + stride - 1);
        let mut links = end.walk(snapshot, to, to - next + 1).await?;
        links.reverse();
        offer_all(snapshot, page, read, &links).await?;
        next = to + 1;
    }
    Ok(page.last.map(|(_, version)| version).or(after) < Some(end.version))
}

/// Returns whether there is more.
async fn backward(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    read: &ReadStream,
    end: StreamEnd,
    before: Option<Version>,
) -> Result<bool> {
    let first = before.map_or(Some(end.version), |before| {
        before.previous().map(|version| version.min(end.version))
    });
    let Some(first) = first else { return Ok(false) };
    let stride = stride(read, page);
    let mut next = first.get();
    while next > 0 && !page.is_full() {
        let links = end.walk(snapshot, next, stride.min(next)).await?;
        offer_all(snapshot, page, read, &links).await?;
        next = next.saturating_sub(stride);
    }
    Ok(page.last.is_none_or(|(_, version)| version > Version::FIRST))
}

/// Offers the events of these links, until the page is full.
pub(crate) async fn offer_all<S>(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    read: &Read<S>,
    links: &[Link],
) -> Result<()> {
    let mut left = links;
    while !left.is_empty() && !page.is_full() {
        let mut values = Values::default();
        values.push(list(left.iter().map(|link| link.position)));
        let bounds = Bounds { events: usize::MAX, bytes: read.max_bytes() };
        let fetched = snapshot.events(batch_sql::EVENTS_AT.into(), values, bounds).await?;
        if fetched.events.is_empty() {
            return Err(broken(left[0].stream));
        }
        for (found, link) in fetched.events.into_iter().zip(left) {
            let event = &found.event;
            if (position_to_sql(event.position()), found.stream, event.version())
                != (link.position, link.stream, link.version)
            {
                return Err(broken(link.stream));
            }
            left = &left[1..];
            if !page.offer(found.event) {
                break;
            }
        }
    }
    Ok(())
}

impl StreamEnd {
    pub(crate) async fn of(snapshot: &mut Snapshot<'_>, stream: &StreamId) -> Result<Option<Self>> {
        let mut values = Values::default();
        values.push(stream.as_str());
        let row = snapshot.one(sql::STREAM_HEAD, values).await?;
        row.map(|row| Self::from_sql(column(&row, 0)?, column(&row, 1)?, column(&row, 2)?))
            .transpose()
    }

    /// The columns of [`STREAM_HEAD`](sql::STREAM_HEAD).
    pub(crate) fn from_sql(key: i64, version: Option<i64>, position: Option<i64>) -> Result<Self> {
        let (Some(version), Some(position)) = (version, position) else { return Err(broken(key)) };
        Ok(Self {
            key,
            version: version_from_sql(version)?,
            position: position_from_sql(position)?,
        })
    }

    /// The links of `count` events from a version backwards, which is not after the last.
    pub(crate) async fn walk(
        &self,
        snapshot: &mut Snapshot<'_>,
        version: u64,
        count: u64,
    ) -> Result<Vec<Link>> {
        let version = Version::new(version).ok_or_else(|| broken(self.key))?;
        let mut values = Values::default();
        values.push(position_to_sql(self.position));
        values.push(version_to_sql(version));
        values.push(i64::try_from(count).unwrap_or(i64::MAX));
        let rows = snapshot.rows(batch_sql::WALK_FROM, values).await?;
        if u64::try_from(rows.len()) != Ok(count) {
            return Err(broken(self.key));
        }
        let versions = std::iter::successors(Some(version), |version| version.previous());
        let link =
            |(row, version)| Ok(Link { position: column(row, 0)?, stream: self.key, version });
        rows.iter().zip(versions).map(link).collect()
    }

    /// The version of the stream's first event after a position. The last event is after that
    /// position.
    pub(crate) async fn first_after(&self, snapshot: &mut Snapshot<'_>, after: i64) -> Result<u64> {
        let mut values = Values::default();
        values.push(position_to_sql(self.position));
        values.push(after);
        let row = snapshot.one(sql::SEEK_FIRST_AFTER, values).await?;
        let row = row.ok_or_else(|| broken(self.key))?;
        Ok(version_from_sql(column(&row, 1)?)?.get())
    }
}
