//! Pages of the whole log.

use downlink::store::{Direction, Mark, Page};
use downlink::{Cursor, Position, Read, Result};
use downlink_sqlite_schema::number::{position_from_sql, position_to_sql};
use downlink_sqlite_schema::{Condition, Full, SCAN_BUDGET, Taking, many, named_streams};

use crate::merge::Merge;
use crate::postings::{indexed_and_head, look_up};
use crate::row::Values;
use crate::snapshot::{Bounds, Snapshot};
use crate::span::Span;
use crate::stream::offer_all;

/// From this many events on, the streams that a filter names are read by their
/// links, and not the log.
const MERGE_FROM: u64 = 512;

/// How many events of named streams are fetched by one statement.
const MERGED: usize = 256;

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
pub(crate) async fn read(
    snapshot: &mut Snapshot<'_>,
    read: &Read,
    after: Option<Mark>,
) -> Result<Page> {
    snapshot.verify()?;
    let mut taking = Taking::new(read);
    let forward = read.direction() == Direction::Forward;
    let span = Span::of(snapshot.head.position, forward, after);
    let end = if taking.is_full() {
        End::Nowhere
    } else if span.is_empty() {
        End::Exhausted
    } else if read.wanted().is_everything() {
        plain(snapshot, &mut taking, read, span).await?
    } else {
        filtered(snapshot, &mut taking, read, span).await?
    };
    let (scanned, more) = if forward {
        newest(snapshot, &end, after).await?
    } else {
        oldest(snapshot, &end, after).await?
    };
    Ok(Page { events: taking.events, scanned, head: snapshot.head.cursor(), more, stream: None })
}

/// How far a forward page got, and whether something is left.
async fn newest(
    snapshot: &mut Snapshot<'_>,
    end: &End,
    after: Option<Mark>,
) -> Result<(Cursor, bool)> {
    let head = snapshot.head.cursor();
    Ok(match end {
        End::Exhausted => (head, false),
        End::At(cursor) => (*cursor, cursor.position() < head.position()),
        End::Nowhere => {
            let after = after.map_or(Position::ZERO, Mark::position);
            let scanned = snapshot.newest_up_to(after).await?;
            (scanned.unwrap_or(Cursor::START), after < head.position())
        }
    })
}

/// The same for a backward page.
async fn oldest(
    snapshot: &mut Snapshot<'_>,
    end: &End,
    before: Option<Mark>,
) -> Result<(Cursor, bool)> {
    let first = snapshot.oldest_from(Position::ZERO).await?;
    let is_below = |position: Position| first.is_some_and(|first| first.position() < position);
    Ok(match end {
        End::Exhausted => (first.unwrap_or(Cursor::START), false),
        End::At(cursor) => (*cursor, is_below(cursor.position())),
        End::Nowhere => match before.map(Mark::position) {
            Some(before) => {
                let scanned = snapshot.oldest_from(before).await?;
                (scanned.unwrap_or(Cursor::START), is_below(before))
            }
            None => (Cursor::START, first.is_some()),
        },
    })
}

async fn plain(
    snapshot: &mut Snapshot<'_>,
    taking: &mut Taking<'_>,
    read: &Read,
    span: Span,
) -> Result<End> {
    let mut left = span;
    while !left.is_empty() && !taking.is_full() {
        let (window, taken) = (left.first(read.max_events()), taking.events.len());
        offer_window(snapshot, taking, read, window).await?;
        left = left.after(window.to);
        if taking.events.len() == taken {
            left = skip_hole(snapshot, left).await?;
        }
    }
    Ok(match taking.last {
        Some((last, _)) if taking.is_full() => End::At(last),
        _ => End::Exhausted,
    })
}

/// What is left from its first event on. Positions are dense, unless somebody
/// has deleted events.
async fn skip_hole(snapshot: &mut Snapshot<'_>, left: Span) -> Result<Span> {
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
    taking: &mut Taking<'_>,
    read: &Read,
    span: Span,
) -> Result<End> {
    let window = match named_streams(read.wanted()) {
        Some(streams) if span.len() > MERGE_FROM => {
            let mut merge = Merge::new(snapshot, &streams, span).await?;
            while !taking.is_full() {
                let links = merge.next(snapshot, MERGED).await?;
                if links.is_empty() {
                    break;
                }
                offer_all(snapshot, taking, read, &links).await?;
            }
            None
        }
        _ => narrowed(snapshot, taking, read, span).await?,
    };
    match (taking.full, window) {
        (None, None) => Ok(End::Exhausted),
        (None, Some(edge)) => Ok(End::At(edge)),
        (Some(Full::Bytes(refused)), _) => {
            Ok(End::At(beside(snapshot, refused, span.forward).await?))
        }
        (Some(Full::Events | Full::Budget), _) => {
            Ok(taking.last.map_or(End::Exhausted, |(cursor, _)| End::At(cursor)))
        }
    }
}

/// The event that was looked at before the refused one, wanted or not.
async fn beside(snapshot: &mut Snapshot<'_>, refused: Position, forward: bool) -> Result<Cursor> {
    let cursor = if forward {
        let below = Position::new(refused.get() - 1).unwrap_or(Position::ZERO);
        snapshot.newest_up_to(below).await?
    } else {
        snapshot.oldest_from(refused.next()).await?
    };
    Ok(cursor.unwrap_or(Cursor::START))
}

/// Looks events up as far as the index goes, and at those after it. Tells the
/// last that was looked at if there are more.
async fn narrowed(
    snapshot: &mut Snapshot<'_>,
    taking: &mut Taking<'_>,
    read: &Read,
    span: Span,
) -> Result<Option<Cursor>> {
    let (first, last) = if span.forward { (span.from, span.to) } else { (span.to, span.from) };
    let indexed = last.min(indexed_and_head(snapshot.connection).await?.0);
    let part = |first, last| {
        let (from, to) = if span.forward { (first, last) } else { (last, first) };
        Span { from, to, ..span }
    };
    if !span.forward && indexed < last {
        let edge = scan(snapshot, taking, read, part(first.max(indexed + 1), last)).await?;
        if edge.is_some() || taking.is_full() || indexed < first {
            return Ok(edge);
        }
    }
    if !look_up(snapshot, taking, read, (first, indexed), span.forward).await? {
        let rest = if span.forward { span } else { part(first, indexed) };
        return scan(snapshot, taking, read, rest).await;
    }
    if !span.forward || taking.is_full() || indexed == last {
        return Ok(None);
    }
    scan(snapshot, taking, read, part(first.max(indexed + 1), last)).await
}

/// Looks at as many events as one page may, narrowed by SQL. Tells the last of
/// them if there are more.
async fn scan(
    snapshot: &mut Snapshot<'_>,
    taking: &mut Taking<'_>,
    read: &Read,
    span: Span,
) -> Result<Option<Cursor>> {
    // A window has at least one event, so that the next page begins behind this one, however many
    // positions are missing.
    let span = skip_hole(snapshot, span).await?;
    let window = span.first(SCAN_BUDGET);
    offer_window(snapshot, taking, read, window).await?;
    if window == span || span.is_empty() {
        return Ok(None);
    }
    let edge = position_from_sql(window.to)?;
    if span.forward { snapshot.newest_up_to(edge).await } else { snapshot.oldest_from(edge).await }
}

/// Offers the events of a window that may be wanted, until no more can be
/// taken.
async fn offer_window(
    snapshot: &mut Snapshot<'_>,
    taking: &mut Taking<'_>,
    read: &Read,
    window: Span,
) -> Result<()> {
    let condition = Condition::of(read.wanted())
        .unwrap_or_else(|| Condition { text: "1".into(), values: Vec::new() });
    let text = many::event_blocks(&condition.text, !window.forward);
    let mut left = window;
    while !left.is_empty() {
        let mut values = Values::default();
        values.push(left.from);
        values.push(left.to);
        condition.values.iter().cloned().for_each(|value| values.push_value(value));
        let wanted = read.max_events() - taking.events.len();
        let bounds = Bounds { events: wanted, bytes: read.byte_budget() };
        let fetched = snapshot.events(text.clone(), values, bounds).await?;
        for found in fetched.events {
            left = left.after(position_to_sql(found.event.position()));
            if !taking.offer(found.event) {
                return Ok(());
            }
        }
        if fetched.is_all {
            return Ok(());
        }
    }
    Ok(())
}
