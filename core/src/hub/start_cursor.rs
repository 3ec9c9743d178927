use super::shared::Shared;
use super::subscribe::After;
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::filter::Filter;
use crate::limits;
use crate::store::Read;

/// The cursor after which to begin, and the head as far as it is known. The store
/// is read only for what memory cannot answer.
pub(super) async fn start_cursor(
    shared: &Shared,
    after: After,
    filter: &Filter,
) -> Result<(Cursor, Cursor)> {
    let nothing = match after {
        After::Start => return Ok((Cursor::START, shared.store.head().await?)),
        After::Cursor(cursor) if shared.holds(cursor) => return Ok((cursor, shared.tip())),
        After::Cursor(cursor) => Read::log().with_after(cursor),
        After::Position(position) => Read::log().with_after(position),
        After::Now => {
            let head = shared.store.head().await?;
            return Ok((head, head));
        }
        After::Last(count) => return before_the_last(shared, count, filter).await,
    };
    // Not in turn, because it reads no history: a resume is refused or begun at once.
    let page = shared.store.read_log(nothing.with_limit(0)).await?;
    Ok((page.scanned, page.head))
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
    Ok((before.events.first().map_or(Cursor::START, Event::cursor), head))
}
