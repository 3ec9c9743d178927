use super::shared::Shared;
use super::subscribe::After;
use super::translate::translate;
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::filter::Filter;
use crate::limits;
use crate::store::{Direction, Mark, Page, Read, ReadLog};

/// The cursor after which to begin, and the head as far as it is known. The store
/// is read only for what memory cannot answer.
pub(super) async fn start_cursor(
    shared: &Shared,
    after: After,
    filter: &Filter,
) -> Result<(Cursor, Cursor)> {
    let nothing = match after {
        After::Start => return Ok((Cursor::START, shared.store.head().await?)),
        After::Cursor(cursor) if shared.holds(cursor) => {
            return Ok((cursor, shared.tip().max(cursor)));
        }
        After::Cursor(cursor) => Read::log().with_after(cursor),
        After::Position(position) => Read::log().with_after(position),
        After::Now => {
            let head = shared.store.head().await?;
            return Ok((head, head));
        }
        After::Last(count) => {
            let search = before_the_last(shared, count, filter);
            return shared
                .stop
                .run_until_cancelled(search)
                .await
                .unwrap_or_else(|| Err(shut_down()));
        }
    };
    let page = read_translated(shared, nothing.with_filter(filter.clone()).with_limit(0)).await?;
    Ok((page.scanned, page.head))
}

/// Reads a page of the log. If it begins at a cursor of a log that was moved into this
/// one, the page begins where that is now.
pub(super) async fn read_translated(shared: &Shared, read: ReadLog) -> Result<Page> {
    let Some(Mark::Cursor(cursor)) = read.after().filter(|_| shared.moved.is_some()) else {
        return shared.read_log(read).await;
    };
    let refused = match shared.read_log(read.clone()).await {
        Err(error) if error.is_other_history() => error,
        outcome => return outcome,
    };
    match translate(shared, cursor, read.filter()).await? {
        Some(cursor) if read.direction() == Direction::Forward => {
            shared.read_log(read.with_after(cursor)).await
        }
        _ => Err(refused),
    }
}

/// The cursor of the event before the last `count` matching ones.
async fn before_the_last(
    shared: &Shared,
    count: usize,
    filter: &Filter,
) -> Result<(Cursor, Cursor)> {
    if count > limits::MAX_PAGE_EVENTS {
        return Err(Error::invalid(format!(
            "cannot begin {count} events before the end: the limit is 1,000"
        )));
    }
    let head = shared.store.head().await?;
    let (mut oldest, mut missing) = (None, count);
    let mut read = Read::log().backward().with_filter(filter.clone());
    while missing > 0 {
        let page = shared.read_log(read.clone().with_limit(missing)).await?;
        missing -= page.events.len();
        oldest = page.events.last().map(Event::position).or(oldest);
        if !page.more {
            break;
        }
        read = read.with_after(page.scanned.position());
    }
    let Some(oldest) = oldest else { return Ok((head, head)) };
    let before = shared.read_log(Read::log().backward().with_after(oldest).with_limit(1)).await?;
    let cursor = before.events.first().map_or(Cursor::START, Event::cursor);
    // The search may have seen events that came after the head was read.
    Ok((cursor, head.max(cursor)))
}

pub(super) fn shut_down() -> Error {
    Error::new(ErrorKind::Unavailable, "the hub was shut down: subscribe to a new one")
}
