use std::iter::Peekable;
use std::path::Path;

use downlink::{Cursor, Event, EventStore, EventStoreExt, Read, StreamId, Version, limits};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::happening::Happening;
use super::timeline::Timeline;
use super::{LoadOptions, NotLoaded};
use crate::day::BadDay;

/// What of the year is in the log already.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) events: u64,
    /// The flights that are complete.
    pub(super) finished: u64,
    pub(super) last: Option<(StreamId, Version)>,
    pub(super) cursor: Cursor,
}

/// Reads the log, and passes over the events of the year with which it begins.
pub(super) async fn pass_over(
    timeline: &mut Peekable<Timeline>,
    store: &dyn EventStore,
    options: &LoadOptions,
    stop: &CancellationToken,
) -> Result<Known, NotLoaded> {
    let mut known = Known { events: 0, finished: 0, last: None, cursor: Cursor::START };
    let mut log = store.events(Read::log().limit(limits::MAX_PAGE_EVENTS));
    while let Some(stored) = log.next().await
        && !stop.is_cancelled()
    {
        let stored = stored.map_err(|error| NotLoaded::Log(options.db.clone(), error))?;
        match timeline.next_if(|next| is(next, &stored)) {
            Some(Ok(happening)) => {
                known.events += 1;
                known.finished += u64::from(happening.is_last);
                known.last = Some((happening.stream, happening.version));
                known.cursor = stored.cursor();
            }
            // Behind the whole year there may be anything.
            _ if options.append || timeline.peek().is_none() => break,
            _ => return Err(something_else(&options.db, &stored)),
        }
    }
    Ok(known)
}

fn is(next: &Result<Happening, BadDay>, stored: &Event) -> bool {
    next.as_ref().is_ok_and(|happening| happening.id() == stored.id())
}

fn something_else(db: &Path, event: &Event) -> NotLoaded {
    let event = format!("a {} in {}", event.event_type(), event.stream());
    NotLoaded::SomethingElse(db.into(), event)
}
