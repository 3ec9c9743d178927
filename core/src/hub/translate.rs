//! Cursors of other logs whose events were moved into this one.

use super::shared::Shared;
use crate::cursor::Cursor;
use crate::error::Result;
use crate::event::Event;
use crate::filter::Filter;
use crate::id::Position;
use crate::store::{Moved, Read};

/// How many pages are searched, between all runs together, for events that a translated cursor
/// would skip.
const PAGES: usize = 64;

/// The cursor in this log for a cursor of a log that was moved into it, if the hub
/// [translates](super::HubBuilder::with_moved_cursors).
///
/// `None` if the event is not there, and if a subscription with this filter would
/// skip events: those that this log had before, and that followers of the other one
/// have never seen.
pub(super) async fn translate(
    shared: &Shared,
    cursor: Cursor,
    filter: &Filter,
) -> Result<Option<Cursor>> {
    let Some(store) = &shared.moved else { return Ok(None) };
    let all = store.moved().await?;
    for run in &all {
        let Some(position) = run.translate(cursor.position()) else { continue };
        let event = event_at(shared, position).await?;
        let Some(event) = event.filter(|event| cursor.matches(event.id())) else { continue };
        let of_the_same: Vec<_> = all.iter().filter(|other| other.source == run.source).collect();
        let skips = skips_events(shared, of_the_same, position, filter).await?;
        return Ok((!skips).then(|| event.cursor()));
    }
    Ok(None)
}

async fn event_at(shared: &Shared, position: Position) -> Result<Option<Event>> {
    let Some(before) = position.get().checked_sub(1).and_then(Position::new) else {
        return Ok(None);
    };
    match shared.read_log(Read::log().with_after(before).with_limit(1)).await {
        Ok(page) => Ok(page.events.into_iter().find(|event| event.position() == position)),
        Err(error) if error.is_other_history() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an event up to `position` matches that is not of these runs.
async fn skips_events(
    shared: &Shared,
    mut runs: Vec<&Moved>,
    position: Position,
    filter: &Filter,
) -> Result<bool> {
    runs.sort_unstable_by_key(|run| run.new_from);
    let (mut after, mut pages) = (Position::ZERO, PAGES);
    for run in runs.into_iter().filter(|run| run.new_from <= position) {
        if has_match(shared, after, run.new_from, filter, &mut pages).await? {
            return Ok(true);
        }
        after = run.new_to().unwrap_or(position);
    }
    Ok(false)
}

/// Whether an event matches between these positions, neither of which is included, or may match
/// because no more pages may be read.
async fn has_match(
    shared: &Shared,
    mut after: Position,
    before: Position,
    filter: &Filter,
    pages: &mut usize,
) -> Result<bool> {
    while after.next() < before {
        let Some(left) = pages.checked_sub(1) else { return Ok(true) };
        *pages = left;
        let next = Read::log().with_after(after).with_filter(filter.clone()).with_limit(1);
        let page = shared.read_log(next).await?;
        if let Some(found) = page.events.first() {
            return Ok(found.position() < before);
        }
        if !page.more {
            return Ok(false);
        }
        after = page.scanned.position();
    }
    Ok(false)
}
