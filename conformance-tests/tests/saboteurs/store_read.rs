use downlink::filter::Pattern;
use downlink::store::{Direction, Mark, Page, ReadLog, ReadStream, StreamSpan};
use downlink::{Cursor, Error, Event, Filter, Read, Result};

use crate::store_bug::Bug;

fn verify_mark(events: &[Event], mark: Mark, bug: Option<Bug>) -> Result<()> {
    match mark {
        Mark::Cursor(cursor) => verify(events, cursor, bug),
        Mark::Position(position) => {
            let head = events.iter().map(Event::cursor).max().unwrap_or(Cursor::START);
            let ahead = position > head.position() && !forgives(bug, true);
            if ahead { Err(Error::cursor_ahead(position, head)) } else { Ok(()) }
        }
    }
}

/// Whether the store with this bug accepts cursors that it should refuse.
fn forgives(bug: Option<Bug>, ahead: bool) -> bool {
    match bug {
        Some(
            Bug::WaitsPastTheHead
            | Bug::AssignsPositionsBeforeTheCommit
            | Bug::HidesWhatIsNewerThanRunning
            | Bug::SkipsAHoleAfterAWhile,
        ) => ahead,
        Some(
            Bug::ReportsTheHighestAssignedAsHead
            | Bug::ReadsAnOldSnapshot
            | Bug::OrdersByTime
            | Bug::ReusesPositions,
        ) => true,
        Some(Bug::ComparesThePositionAlone) => !ahead,
        _ => false,
    }
}

/// Refuses a cursor that does not belong to this log.
pub(crate) fn verify(events: &[Event], cursor: Cursor, bug: Option<Bug>) -> Result<()> {
    let head = events.last().map_or(Cursor::START, Event::cursor);
    if cursor.position() > head.position() {
        if forgives(bug, true) {
            return Ok(());
        }
        return Err(Error::cursor_ahead(cursor.position(), head));
    }
    let known = cursor == Cursor::START || events.iter().any(|event| event.cursor() == cursor);
    if known || forgives(bug, false) { Ok(()) } else { Err(Error::history_changed(cursor)) }
}

/// Reads a page of these events.
pub(crate) fn read_log(events: &[Event], read: &ReadLog, bug: Option<Bug>) -> Result<Page> {
    let head = events.last().map_or(Cursor::START, Event::cursor);
    if let Some(mark) = read.after() {
        verify_mark(events, mark, bug)?;
    }
    let place = read.after().map(Mark::position);
    let forward = read.direction() == Direction::Forward;
    let inclusive = bug == Some(Bug::ReadsBackwardInclusively);
    let inside = |event: &&Event| match (forward, place) {
        (_, None) => true,
        (true, Some(place)) => event.position() > place,
        (false, Some(place)) => {
            event.position() < place || (inclusive && event.position() == place)
        }
    };
    let mut rows: Vec<&Event> = events.iter().filter(inside).collect();
    if !forward {
        rows.reverse();
    }
    if bug == Some(Bug::MovesTheIndexMarkBeforeThePostings) && !read.filter().is_everything() {
        // The events of the last step count as indexed, but have no postings yet.
        let step = |event: &Event| event.position().get() / 4;
        let last = events.last().map(step);
        rows.retain(|event| Some(step(event)) != last);
    }
    let taken = take(&rows, read, bug);
    let more = match bug {
        Some(Bug::EndsPagesInsideFilteredEvents) => taken.events.len() >= read.limit(),
        _ => taken.looked_at < rows.len(),
    };
    let skips = bug == Some(Bug::SkipsOneBetweenPages) && more && read.limit() < 100;
    let looked_at = taken.looked_at + usize::from(skips);
    let nearest = |forward: bool| {
        let place = place?;
        if forward {
            events.iter().rev().find(|event| event.position() <= place)
        } else {
            events.iter().find(|event| event.position() >= place)
        }
    };
    let scanned = match looked_at.checked_sub(1) {
        Some(last) => rows.get(last).map_or(head, |event| event.cursor()),
        None => nearest(forward).map_or(Cursor::START, Event::cursor),
    };
    let scanned = if forward && !more { head } else { scanned };
    Ok(Page { events: taken.events, scanned, head, more, stream: None })
}

/// Reads a page of one stream of these events.
pub(crate) fn read_stream(events: &[Event], read: &ReadStream, bug: Option<Bug>) -> Page {
    let head = events.last().map_or(Cursor::START, Event::cursor);
    let (stream, after) = (read.stream_id(), read.after());
    let all: Vec<&Event> = events.iter().filter(|event| event.stream() == stream).collect();
    let forward = read.direction() == Direction::Forward;
    let inside = |event: &&&Event| match after {
        None => true,
        Some(after) if forward => event.version() > after,
        Some(after) => event.version() < after,
    };
    let mut rows: Vec<&Event> = all.iter().filter(inside).copied().collect();
    if !forward {
        rows.reverse();
    }
    let taken = take(&rows, read, bug);
    let last = taken.looked_at.checked_sub(1).map(|last| rows[last]);
    let more = taken.looked_at < rows.len();
    Page {
        events: taken.events,
        scanned: last.filter(|_| more).map_or(head, Event::cursor),
        head,
        more,
        stream: all.last().map(|newest| StreamSpan {
            version: newest.version(),
            scanned: last.map(Event::version).or(after),
        }),
    }
}

struct Taken {
    events: Vec<Event>,
    looked_at: usize,
}

fn take<S>(rows: &[&Event], read: &Read<S>, bug: Option<Bug>) -> Taken {
    let mut taken = Taken { events: Vec::new(), looked_at: 0 };
    let mut bytes = 0;
    for event in rows {
        let counted = match bug {
            Some(Bug::EndsPagesInsideFilteredEvents) => taken.looked_at,
            _ => taken.events.len(),
        };
        if counted >= read.limit() {
            break;
        }
        if matches(read.filter(), event, bug) {
            bytes += event.size();
            let full = bytes > read.max_bytes() && bug != Some(Bug::IgnoresTheByteLimit);
            if full && !taken.events.is_empty() {
                break;
            }
            taken.events.push((*event).clone());
        }
        taken.looked_at += 1;
    }
    taken
}

fn matches(filter: &Filter, event: &Event, bug: Option<Bug>) -> bool {
    let item = |item: &downlink::FilterItem| {
        let group = |patterns: &[Pattern], name: &str| {
            let absent = patterns.is_empty() && bug != Some(Bug::TreatsAnAbsentGroupAsNoMatch);
            absent || patterns.iter().any(|pattern| matches_name(pattern, name, bug))
        };
        let item = item.parts();
        group(item.streams, event.stream().as_str())
            && group(item.types, event.event_type().as_str())
            && !item.not_types.contains(event.event_type())
            && item.tags.iter().all(|tag| event.tags().contains(tag))
    };
    let queries = filter.queries();
    match bug {
        Some(Bug::MergesSets) if queries.len() > 1 => queries.iter().flatten().any(item),
        Some(Bug::TreatsAnEmptySetAsNoFilter) if queries.len() > 1 && no_common(queries) => true,
        _ => queries.iter().all(|query| query.iter().any(item)),
    }
}

/// Whether no name is in all queries.
fn no_common(queries: &[Vec<downlink::FilterItem>]) -> bool {
    let names = |query: &Vec<downlink::FilterItem>| -> Vec<Pattern> {
        query.iter().flat_map(|item| item.parts().types.to_vec()).collect()
    };
    let first = names(&queries[0]);
    !queries[1..].iter().any(|query| names(query).iter().any(|name| first.contains(name)))
}

fn matches_name(pattern: &Pattern, name: &str, bug: Option<Bug>) -> bool {
    match (bug, pattern) {
        (Some(Bug::MatchesPrefixesByLike), Pattern::StartsWith(prefix)) => {
            like(&format!("{}%", prefix.to_lowercase()), &name.to_lowercase())
        }
        _ => pattern.matches(name),
    }
}

/// SQL's `LIKE`.
fn like(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('%') => {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| like(rest.as_str(), &text[at..]))
        }
        Some(wanted) => {
            let mut left = text.chars();
            let found = left.next();
            found.is_some_and(|found| wanted == '_' || wanted == found)
                && like(rest.as_str(), left.as_str())
        }
    }
}
