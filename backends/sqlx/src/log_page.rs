//! Pages of the whole log.

use downlink::store::{Direction, Mark, Page, ReadLog};
use downlink::{Cursor, Position, Result};
use downlink_sqlite_schema::number::{position_from_sql, position_to_sql};
use downlink_sqlite_schema::{
    Condition, PageBuilder, PageLimit, SCAN_BUDGET, batch_sql, named_streams,
};

use crate::merge::Merge;
use crate::postings::{indexed_and_head, look_up};
use crate::snapshot::{Bounds, Snapshot};
use crate::span::Span;
use crate::statement::Values;
use crate::stream_page::offer_all;

/// From this number of events on, the streams that a filter names are read by their links
/// instead of the log.
const MERGE_FROM: u64 = 512;

/// How many events of named streams are fetched by one statement.
const MERGED: usize = 256;

/// Where a page stopped looking at events.
enum ScanEnd {
    /// No events are left.
    Exhausted,
    /// It looked at everything up to this event.
    At(Cursor),
    /// It looked at nothing, because the page has no room.
    NotStarted,
}

/// Reads a page of the log.
pub(crate) async fn read(snapshot: &mut Snapshot<'_>, read: &ReadLog) -> Result<Page> {
    let after = read.after();
    snapshot.verify()?;
    let mut page = PageBuilder::new(read);
    let forward = read.direction() == Direction::Forward;
    let span = Span::of(snapshot.head.position, forward, after);
    let end = if page.is_full() {
        ScanEnd::NotStarted
    } else if span.is_empty() {
        ScanEnd::Exhausted
    } else if read.filter().is_everything() {
        unfiltered(snapshot, &mut page, read, span).await?
    } else {
        filtered(snapshot, &mut page, read, span).await?
    };
    let (scanned, more) = if forward {
        forward_end(snapshot, &end, after).await?
    } else {
        backward_end(snapshot, &end, after).await?
    };
    Ok(Page { events: page.events, scanned, head: snapshot.head.cursor(), more, stream: None })
}

/// How far a forward page got, and whether events are left.
async fn forward_end(
    snapshot: &mut Snapshot<'_>,
    end: &ScanEnd,
    after: Option<Mark>,
) -> Result<(Cursor, bool)> {
    let head = snapshot.head.cursor();
    Ok(match end {
        ScanEnd::Exhausted => (head, false),
        ScanEnd::At(cursor) => (*cursor, cursor.position() < head.position()),
        ScanEnd::NotStarted => {
            let after = after.map_or(Position::ZERO, Mark::position);
            let scanned = snapshot.newest_up_to(after).await?;
            (scanned.unwrap_or(Cursor::START), after < head.position())
        }
    })
}

/// The same for a backward page.
async fn backward_end(
    snapshot: &mut Snapshot<'_>,
    end: &ScanEnd,
    before: Option<Mark>,
) -> Result<(Cursor, bool)> {
    let first = snapshot.oldest_from(Position::ZERO).await?;
    let is_below = |position: Position| first.is_some_and(|first| first.position() < position);
    Ok(match end {
        ScanEnd::Exhausted => (first.unwrap_or(Cursor::START), false),
        ScanEnd::At(cursor) => (*cursor, is_below(cursor.position())),
        ScanEnd::NotStarted => match before.map(Mark::position) {
            Some(before) => {
                let scanned = snapshot.oldest_from(before).await?;
                (scanned.unwrap_or(Cursor::START), is_below(before))
            }
            None => (Cursor::START, first.is_some()),
        },
    })
}

async fn unfiltered(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    read: &ReadLog,
    span: Span,
) -> Result<ScanEnd> {
    let mut left = span;
    while !left.is_empty() && !page.is_full() {
        let (window, count) = (left.first(read.limit()), page.events.len());
        offer_window(snapshot, page, read, window).await?;
        left = left.after(window.to);
        if page.events.len() == count {
            left = skip_gap(snapshot, left).await?;
        }
    }
    Ok(match page.last {
        Some((last, _)) if page.is_full() => ScanEnd::At(last),
        _ => ScanEnd::Exhausted,
    })
}

/// The rest of the span from its first event on. Positions are dense unless events were
/// deleted.
async fn skip_gap(snapshot: &mut Snapshot<'_>, left: Span) -> Result<Span> {
    if left.is_empty() {
        return Ok(left);
    }
    let from = position_from_sql(left.from)?;
    let next = if left.forward {
        snapshot.oldest_from(from).await?
    } else {
        snapshot.newest_up_to(from).await?
    };
    // Without one, nothing is left.
    let Some(next) = next else { return Ok(left.after(left.to)) };
    Ok(Span { from: position_to_sql(next.position()), ..left })
}

async fn filtered(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    read: &ReadLog,
    span: Span,
) -> Result<ScanEnd> {
    let window = match named_streams(read.filter()) {
        Some(streams) if span.len() > MERGE_FROM => {
            let mut merge = Merge::new(snapshot, &streams, span).await?;
            while !page.is_full() {
                let links = merge.next(snapshot, MERGED).await?;
                if links.is_empty() {
                    break;
                }
                offer_all(snapshot, page, read, &links).await?;
            }
            None
        }
        _ => indexed_and_scanned(snapshot, page, read, span).await?,
    };
    match (page.limit, window) {
        (None, None) => Ok(ScanEnd::Exhausted),
        (None, Some(edge)) => Ok(ScanEnd::At(edge)),
        (Some(PageLimit::Bytes(refused)), _) => {
            Ok(ScanEnd::At(event_before(snapshot, refused, span.forward).await?))
        }
        (Some(PageLimit::Events | PageLimit::Scan), _) => {
            Ok(page.last.map_or(ScanEnd::Exhausted, |(cursor, _)| ScanEnd::At(cursor)))
        }
    }
}

/// The event before the refused one in reading order, whether it matches or not.
async fn event_before(
    snapshot: &mut Snapshot<'_>,
    refused: Position,
    forward: bool,
) -> Result<Cursor> {
    let cursor = if forward {
        let below = Position::new(refused.get() - 1).unwrap_or(Position::ZERO);
        snapshot.newest_up_to(below).await?
    } else {
        snapshot.oldest_from(refused.next()).await?
    };
    Ok(cursor.unwrap_or(Cursor::START))
}

/// Looks events up in the index as far as it goes, and scans those after it. Returns the last
/// event looked at if there are more.
async fn indexed_and_scanned(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    read: &ReadLog,
    span: Span,
) -> Result<Option<Cursor>> {
    let (first, last) = if span.forward { (span.from, span.to) } else { (span.to, span.from) };
    let indexed = last.min(indexed_and_head(snapshot.connection).await?.0);
    let part = |first, last| {
        let (from, to) = if span.forward { (first, last) } else { (last, first) };
        Span { from, to, ..span }
    };
    if !span.forward && indexed < last {
        let edge = scan(snapshot, page, read, part(first.max(indexed + 1), last)).await?;
        if edge.is_some() || page.is_full() || indexed < first {
            return Ok(edge);
        }
    }
    if !look_up(snapshot, page, read, (first, indexed), span.forward).await? {
        let rest = if span.forward { span } else { part(first, indexed) };
        return scan(snapshot, page, read, rest).await;
    }
    if !span.forward || page.is_full() || indexed == last {
        return Ok(None);
    }
    scan(snapshot, page, read, part(first.max(indexed + 1), last)).await
}

/// Scans as many events as one page may, narrowed by SQL. Returns the last event looked at if
/// there are more.
async fn scan(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    read: &ReadLog,
    span: Span,
) -> Result<Option<Cursor>> {
    // A window has at least one event, so that the next page makes progress, however many
    // positions are missing.
    let span = skip_gap(snapshot, span).await?;
    let window = span.first(SCAN_BUDGET);
    offer_window(snapshot, page, read, window).await?;
    if window == span || span.is_empty() {
        return Ok(None);
    }
    let edge = position_from_sql(window.to)?;
    if span.forward { snapshot.newest_up_to(edge).await } else { snapshot.oldest_from(edge).await }
}

/// Offers the events of a window that may match, until the page is full.
async fn offer_window(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    read: &ReadLog,
    window: Span,
) -> Result<()> {
    let condition = Condition::of(read.filter())
        .unwrap_or_else(|| Condition { text: "1".into(), values: Vec::new() });
    let text = batch_sql::event_blocks(&condition.text, !window.forward);
    let mut left = window;
    while !left.is_empty() {
        let mut values = Values::default();
        values.push(left.from);
        values.push(left.to);
        condition.values.iter().cloned().for_each(|value| values.push_value(value));
        let wanted = read.limit() - page.events.len();
        let bounds = Bounds { events: wanted, bytes: read.max_bytes() };
        let fetched = snapshot.events(text.clone(), values, bounds).await?;
        for found in fetched.events {
            left = left.after(position_to_sql(found.event.position()));
            if !page.offer(found.event) {
                return Ok(());
            }
        }
        if fetched.is_all {
            return Ok(());
        }
    }
    Ok(())
}
