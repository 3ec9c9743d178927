//! Pages of the whole log.

use downlink::store::{Direction, Mark, Page, ReadLog};
use downlink::{Cursor, Filter, Position, Result};
use downlink_sqlite_schema::number::{position_from_sql, position_to_sql};
use downlink_sqlite_schema::{Condition, PageBuilder, PageLimit, SCAN_BUDGET, named_streams, sql};
use rusqlite::types::Value;
use rusqlite::{Params, params_from_iter};

use crate::error::failed;
use crate::merge::Merge;
use crate::postings::{indexed_and_head, look_up};
use crate::row::event_row;
use crate::snapshot::Snapshot;
use crate::statement::value;

/// From this number of events on, the streams that a filter names are read by their links
/// instead of the log.
const MERGE_FROM: u64 = 512;

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
pub(crate) fn read(snapshot: &mut Snapshot<'_>, read: &ReadLog) -> Result<Page> {
    let after = read.after();
    after.map_or(Ok(()), |mark| snapshot.verify(mark))?;
    let mut page = PageBuilder::new(read);
    let forward = read.direction() == Direction::Forward;
    let end = if page.is_full() {
        ScanEnd::NotStarted
    } else if read.filter().is_everything() {
        unfiltered(snapshot, &mut page, forward, after)?
    } else {
        filtered(snapshot, &mut page, read, after)?
    };
    let (scanned, more) = if forward {
        forward_end(snapshot, &end, after)?
    } else {
        backward_end(snapshot, &end, after)?
    };
    Ok(Page { events: page.events, scanned, head: snapshot.head.cursor(), more, stream: None })
}

/// How far a forward page got, and whether events are left.
fn forward_end(
    snapshot: &Snapshot<'_>,
    end: &ScanEnd,
    after: Option<Mark>,
) -> Result<(Cursor, bool)> {
    let head = snapshot.head.cursor();
    Ok(match end {
        ScanEnd::Exhausted => (head, false),
        ScanEnd::At(cursor) => (*cursor, cursor.position() < head.position()),
        ScanEnd::NotStarted => {
            let after = after.map_or(Position::ZERO, Mark::position);
            (snapshot.newest_up_to(after)?.unwrap_or(Cursor::START), after < head.position())
        }
    })
}

/// The same for a backward page.
fn backward_end(
    snapshot: &Snapshot<'_>,
    end: &ScanEnd,
    before: Option<Mark>,
) -> Result<(Cursor, bool)> {
    let first = snapshot.oldest_from(Position::ZERO)?;
    let is_below = |position: Position| first.is_some_and(|first| first.position() < position);
    Ok(match end {
        ScanEnd::Exhausted => (first.unwrap_or(Cursor::START), false),
        ScanEnd::At(cursor) => (*cursor, is_below(cursor.position())),
        ScanEnd::NotStarted => match before.map(Mark::position) {
            Some(before) => {
                (snapshot.oldest_from(before)?.unwrap_or(Cursor::START), is_below(before))
            }
            None => (Cursor::START, first.is_some()),
        },
    })
}

/// The first and the last position to read, both included.
fn bounds(snapshot: &Snapshot<'_>, forward: bool, after: Option<Mark>) -> (i64, i64) {
    let head = position_to_sql(snapshot.head.position);
    match after.map(|mark| position_to_sql(mark.position())) {
        Some(after) if forward => (after + 1, head),
        Some(before) => (1, before - 1),
        None => (1, head),
    }
}

fn unfiltered(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    forward: bool,
    after: Option<Mark>,
) -> Result<ScanEnd> {
    let (first, last) = bounds(snapshot, forward, after);
    if first > last {
        return Ok(ScanEnd::Exhausted);
    }
    let limit = i64::try_from(page.max_events()).unwrap_or(i64::MAX);
    let (text, from) =
        if forward { (sql::EVENTS_AFTER, first - 1) } else { (sql::EVENTS_BEFORE, last + 1) };
    offer_rows(snapshot, page, text, [from, limit])?;
    Ok(match page.last {
        Some((last, _)) if page.is_full() => ScanEnd::At(last),
        _ => ScanEnd::Exhausted,
    })
}

fn filtered(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    read: &ReadLog,
    after: Option<Mark>,
) -> Result<ScanEnd> {
    let forward = read.direction() == Direction::Forward;
    let (first, last) = bounds(snapshot, forward, after);
    if first > last {
        return Ok(ScanEnd::Exhausted);
    }
    let is_long = (last - first).unsigned_abs() >= MERGE_FROM;
    let window = match named_streams(read.filter()) {
        Some(streams) if is_long => {
            let mut merge = Merge::new(snapshot, &streams, forward, (first, last))?;
            while let Some(event) = merge.next(snapshot)? {
                if !page.offer(event) {
                    break;
                }
            }
            None
        }
        _ => indexed_and_scanned(snapshot, page, read.filter(), forward, (first, last))?,
    };
    match (page.limit, window) {
        (None, None) => Ok(ScanEnd::Exhausted),
        (None, Some(edge)) => Ok(ScanEnd::At(edge)),
        (Some(PageLimit::Bytes(refused)), _) => {
            Ok(ScanEnd::At(event_before(snapshot, refused, forward)?))
        }
        (Some(PageLimit::Events | PageLimit::Scan), _) => {
            Ok(page.last.map_or(ScanEnd::Exhausted, |(cursor, _)| ScanEnd::At(cursor)))
        }
    }
}

/// The event before the refused one in reading order, whether it matches or not.
fn event_before(snapshot: &Snapshot<'_>, refused: Position, forward: bool) -> Result<Cursor> {
    let cursor = if forward {
        let below = Position::new(refused.get() - 1).unwrap_or(Position::ZERO);
        snapshot.newest_up_to(below)?
    } else {
        snapshot.oldest_from(refused.next())?
    };
    Ok(cursor.unwrap_or(Cursor::START))
}

/// Looks events up in the index as far as it goes, and scans those after it. Returns the last
/// event looked at if there are more.
fn indexed_and_scanned(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    filter: &Filter,
    forward: bool,
    (first, last): (i64, i64),
) -> Result<Option<Cursor>> {
    let indexed = last.min(indexed_and_head(snapshot.connection)?.0);
    if !forward && indexed < last {
        let edge = scan(snapshot, page, filter, forward, (first.max(indexed + 1), last))?;
        if edge.is_some() || page.is_full() || indexed < first {
            return Ok(edge);
        }
    }
    if !look_up(snapshot, page, filter, (first, indexed), forward)? {
        let (first, last) = if forward { (first, last) } else { (first, indexed) };
        return scan(snapshot, page, filter, forward, (first, last));
    }
    if !forward || page.is_full() || indexed == last {
        return Ok(None);
    }
    scan(snapshot, page, filter, forward, (first.max(indexed + 1), last))
}

/// Scans as many events as one page may, narrowed by SQL. Returns the last event looked at if
/// there are more.
fn scan(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    filter: &Filter,
    forward: bool,
    (first, last): (i64, i64),
) -> Result<Option<Cursor>> {
    let budget = i64::try_from(SCAN_BUDGET).unwrap_or(i64::MAX);
    // A window has at least one event, so that the next page makes progress, however many
    // positions are missing.
    let nearest = if forward {
        snapshot.oldest_from(position_from_sql(first)?)?
    } else {
        snapshot.newest_up_to(position_from_sql(last)?)?
    };
    let nearest = nearest.map(|cursor| position_to_sql(cursor.position()));
    let Some(nearest) = nearest.filter(|at| (first..=last).contains(at)) else { return Ok(None) };
    let (first, last) = if forward { (nearest, last) } else { (first, nearest) };
    let window = if forward {
        (first, last.min(first + budget - 1))
    } else {
        (first.max(last - budget + 1), last)
    };
    let condition =
        Condition::of(filter).unwrap_or_else(|| Condition { text: "1".into(), values: Vec::new() });
    let text = sql::events_between(&condition.text, !forward);
    let range = [Value::Integer(window.0), Value::Integer(window.1)];
    let parameters =
        params_from_iter(range.into_iter().chain(condition.values.into_iter().map(value)));
    offer_rows(snapshot, page, &text, parameters)?;
    let edge = if forward { window.1 } else { window.0 };
    if edge == if forward { last } else { first } {
        return Ok(None);
    }
    let edge = position_from_sql(edge)?;
    if forward { snapshot.newest_up_to(edge) } else { snapshot.oldest_from(edge) }
}

fn offer_rows(
    snapshot: &mut Snapshot<'_>,
    page: &mut PageBuilder<'_>,
    text: &str,
    parameters: impl Params,
) -> Result<()> {
    let doing = "read events";
    let mut statement = snapshot.connection.prepare_cached(text).map_err(failed(doing))?;
    let mut rows = statement.query(parameters).map_err(failed(doing))?;
    while let Some(row) = rows.next().map_err(failed(doing))? {
        let row = event_row(row).map_err(failed(doing))?;
        let event = snapshot.names.event(snapshot.connection, &row)?;
        if !page.offer(event) {
            break;
        }
    }
    Ok(())
}
