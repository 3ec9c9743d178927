//! Pages of the whole log.

use downlink::store::{Direction, Mark, Page};
use downlink::{Cursor, Filter, Position, Read, Result};
use downlink_sqlite_schema::number::{position_from_sql, position_to_sql};
use downlink_sqlite_schema::{Condition, Full, SCAN_BUDGET, Taking, named_streams, sql};
use rusqlite::types::Value;
use rusqlite::{Params, params_from_iter};

use crate::error::failed;
use crate::merge::Merge;
use crate::postings::{indexed_and_head, look_up};
use crate::row::{event_row, value};
use crate::snapshot::Snapshot;

/// From this many events on, the streams that a filter names are read by their
/// links, and not the log.
const MERGE_FROM: u64 = 512;

/// Where looking at events ended.
enum End {
    /// There is nothing left.
    Exhausted,
    /// Everything up to this event was looked at.
    At(Cursor),
    /// Nothing was looked at, since nothing was wanted.
    Nowhere,
}

/// Reads a page of the log.
pub(crate) fn read(snapshot: &mut Snapshot<'_>, read: &Read, after: Option<Mark>) -> Result<Page> {
    after.map_or(Ok(()), |mark| snapshot.verify(mark))?;
    let mut taking = Taking::new(read);
    let forward = read.direction() == Direction::Forward;
    let end = if taking.is_full() {
        End::Nowhere
    } else if read.wanted().is_everything() {
        plain(snapshot, &mut taking, forward, after)?
    } else {
        filtered(snapshot, &mut taking, read, after)?
    };
    let (scanned, more) =
        if forward { newest(snapshot, &end, after)? } else { oldest(snapshot, &end, after)? };
    Ok(Page { events: taking.events, scanned, head: snapshot.head.cursor(), more, stream: None })
}

/// How far a forward page got, and whether something is left.
fn newest(snapshot: &Snapshot<'_>, end: &End, after: Option<Mark>) -> Result<(Cursor, bool)> {
    let head = snapshot.head.cursor();
    Ok(match end {
        End::Exhausted => (head, false),
        End::At(cursor) => (*cursor, cursor.position() < head.position()),
        End::Nowhere => {
            let after = after.map_or(Position::ZERO, Mark::position);
            (snapshot.newest_up_to(after)?.unwrap_or(Cursor::START), after < head.position())
        }
    })
}

/// The same for a backward page.
fn oldest(snapshot: &Snapshot<'_>, end: &End, before: Option<Mark>) -> Result<(Cursor, bool)> {
    let first = snapshot.oldest_from(Position::ZERO)?;
    let is_below = |position: Position| first.is_some_and(|first| first.position() < position);
    Ok(match end {
        End::Exhausted => (first.unwrap_or(Cursor::START), false),
        End::At(cursor) => (*cursor, is_below(cursor.position())),
        End::Nowhere => match before.map(Mark::position) {
            Some(before) => {
                (snapshot.oldest_from(before)?.unwrap_or(Cursor::START), is_below(before))
            }
            None => (Cursor::START, first.is_some()),
        },
    })
}

/// The positions between which events are wanted, both included.
fn bounds(snapshot: &Snapshot<'_>, forward: bool, after: Option<Mark>) -> (i64, i64) {
    let head = position_to_sql(snapshot.head.position);
    match after.map(|mark| position_to_sql(mark.position())) {
        Some(after) if forward => (after + 1, head),
        Some(before) => (1, before - 1),
        None => (1, head),
    }
}

fn plain(
    snapshot: &mut Snapshot<'_>,
    taking: &mut Taking<'_>,
    forward: bool,
    after: Option<Mark>,
) -> Result<End> {
    let (first, last) = bounds(snapshot, forward, after);
    if first > last {
        return Ok(End::Exhausted);
    }
    let limit = i64::try_from(taking.wanted()).unwrap_or(i64::MAX);
    let (text, beside) =
        if forward { (sql::EVENTS_AFTER, first - 1) } else { (sql::EVENTS_BEFORE, last + 1) };
    offer_rows(snapshot, taking, text, [beside, limit])?;
    Ok(match taking.last {
        Some((last, _)) if taking.is_full() => End::At(last),
        _ => End::Exhausted,
    })
}

fn filtered(
    snapshot: &mut Snapshot<'_>,
    taking: &mut Taking<'_>,
    read: &Read,
    after: Option<Mark>,
) -> Result<End> {
    let forward = read.direction() == Direction::Forward;
    let (first, last) = bounds(snapshot, forward, after);
    if first > last {
        return Ok(End::Exhausted);
    }
    let many = (last - first).unsigned_abs() >= MERGE_FROM;
    let window = match named_streams(read.wanted()) {
        Some(streams) if many => {
            let mut merge = Merge::new(snapshot, &streams, forward, (first, last))?;
            while let Some(event) = merge.next(snapshot)? {
                if !taking.offer(event) {
                    break;
                }
            }
            None
        }
        _ => narrowed(snapshot, taking, read.wanted(), forward, (first, last))?,
    };
    match (taking.full, window) {
        (None, None) => Ok(End::Exhausted),
        (None, Some(edge)) => Ok(End::At(edge)),
        (Some(Full::Bytes(refused)), _) => Ok(End::At(beside(snapshot, refused, forward)?)),
        (Some(Full::Events | Full::Budget), _) => {
            Ok(taking.last.map_or(End::Exhausted, |(cursor, _)| End::At(cursor)))
        }
    }
}

/// The event that was looked at before the refused one, wanted or not.
fn beside(snapshot: &Snapshot<'_>, refused: Position, forward: bool) -> Result<Cursor> {
    let cursor = if forward {
        let below = Position::new(refused.get() - 1).unwrap_or(Position::ZERO);
        snapshot.newest_up_to(below)?
    } else {
        snapshot.oldest_from(refused.next())?
    };
    Ok(cursor.unwrap_or(Cursor::START))
}

/// Looks events up as far as the index goes, and at those after it. Tells the
/// last that was looked at if there are more.
fn narrowed(
    snapshot: &mut Snapshot<'_>,
    taking: &mut Taking<'_>,
    filter: &Filter,
    forward: bool,
    (first, last): (i64, i64),
) -> Result<Option<Cursor>> {
    let indexed = last.min(indexed_and_head(snapshot.connection)?.0);
    if !forward && indexed < last {
        let edge = scan(snapshot, taking, filter, forward, (first.max(indexed + 1), last))?;
        if edge.is_some() || taking.is_full() || indexed < first {
            return Ok(edge);
        }
    }
    if !look_up(snapshot, taking, filter, (first, indexed), forward)? {
        let (first, last) = if forward { (first, last) } else { (first, indexed) };
        return scan(snapshot, taking, filter, forward, (first, last));
    }
    if !forward || taking.is_full() || indexed == last {
        return Ok(None);
    }
    scan(snapshot, taking, filter, forward, (first.max(indexed + 1), last))
}

/// Looks at as many events as one page may, narrowed by SQL. Tells the last of
/// them if there are more.
fn scan(
    snapshot: &mut Snapshot<'_>,
    taking: &mut Taking<'_>,
    filter: &Filter,
    forward: bool,
    (first, last): (i64, i64),
) -> Result<Option<Cursor>> {
    let budget = i64::try_from(SCAN_BUDGET).unwrap_or(i64::MAX);
    // A window has at least one event, so that the next page begins behind this one, however many
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
    offer_rows(snapshot, taking, &text, parameters)?;
    let edge = if forward { window.1 } else { window.0 };
    if edge == if forward { last } else { first } {
        return Ok(None);
    }
    let edge = position_from_sql(edge)?;
    if forward { snapshot.newest_up_to(edge) } else { snapshot.oldest_from(edge) }
}

fn offer_rows(
    snapshot: &mut Snapshot<'_>,
    taking: &mut Taking<'_>,
    text: &str,
    parameters: impl Params,
) -> Result<()> {
    let doing = "read events";
    let mut statement = snapshot.connection.prepare_cached(text).map_err(failed(doing))?;
    let mut rows = statement.query(parameters).map_err(failed(doing))?;
    while let Some(row) = rows.next().map_err(failed(doing))? {
        let row = event_row(row).map_err(failed(doing))?;
        let event = snapshot.names.event(snapshot.connection, &row)?;
        if !taking.offer(event) {
            break;
        }
    }
    Ok(())
}
