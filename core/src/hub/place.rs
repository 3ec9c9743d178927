//! Where a subscription begins.

use super::After;
use super::shared::Shared;
use crate::{Cursor, Error, Event, Filter, Read, Result, limits};

/// The cursor to begin after, and the head of the same snapshot or a later one.
pub(super) async fn resolve(
    shared: &Shared,
    after: After,
    filter: &Filter,
) -> Result<(Cursor, Cursor)> {
    let nothing = match after {
        After::Start => Read::log().resume(Cursor::START),
        After::Cursor(cursor) => Read::log().resume(cursor),
        After::Position(position) => Read::log().after(position),
        After::Now => {
            let head = shared.store.head().await?;
            return Ok((head, head));
        }
        After::Last(count) => return before_the_last(shared, count, filter).await,
    };
    let page = shared.store.read(nothing.limit(0)).await?;
    Ok((page.scanned, page.head))
}

/// The cursor of the event before the last `count` that match.
async fn before_the_last(
    shared: &Shared,
    count: usize,
    filter: &Filter,
) -> Result<(Cursor, Cursor)> {
    if count > limits::MAX_PAGE_EVENTS {
        return Err(Error::invalid(format!(
            "the last {count} events are too many: the limit is 1,000"
        )));
    }
    let head = shared.store.head().await?;
    let (mut oldest, mut missing) = (None, count);
    let mut read = Read::log().backward().filter(filter.clone());
    while missing > 0 {
        let page = shared.store.read(read.clone().limit(missing)).await?;
        missing -= page.events.len();
        oldest = page.events.last().map(Event::position).or(oldest);
        if !page.more {
            break;
        }
        read = read.after(page.scanned.position());
    }
    let Some(oldest) = oldest else { return Ok((head, head)) };
    let before = shared.store.read(Read::log().backward().after(oldest).limit(1)).await?;
    Ok((before.events.first().map_or(Cursor::START, Event::cursor), head))
}
