use downlink::{Cursor, Event, EventStore, EventStoreExt, Read, StreamId, Version, limits};
use futures::StreamExt;
use std::iter::Peekable;
use tokio_util::sync::CancellationToken;

use super::planned_event::PlannedEvent;
use super::timeline::Timeline;
use super::{LoadError, LoadOptions};
use crate::day::FlightDataError;

/// The part of the year that is already in the log.
#[derive(Debug)]
pub(super) struct Existing {
    pub(super) events: u64,
    /// The completed flights.
    pub(super) finished: u64,
    pub(super) last: Option<(StreamId, Version)>,
    pub(super) cursor: Cursor,
}

/// Reads the log, and skips the events of the year that it begins with.
pub(super) async fn skip_existing(
    timeline: &mut Peekable<Timeline>,
    store: &dyn EventStore,
    options: &LoadOptions,
    stop: &CancellationToken,
) -> Result<Existing, LoadError> {
    let mut existing = Existing { events: 0, finished: 0, last: None, cursor: Cursor::START };
    let mut log = store.log_events(Read::log().with_limit(limits::MAX_PAGE_EVENTS));
    while let Some(stored) = log.next().await
        && !stop.is_cancelled()
    {
        let stored = stored.map_err(|error| options.log.refused(error))?;
        match timeline.next_if(|next| is_same(next, &stored)) {
            Some(Ok(planned)) => {
                existing.events += 1;
                existing.finished += u64::from(planned.is_last);
                existing.last = Some((planned.stream, planned.version));
                existing.cursor = stored.cursor();
            }
            // After the whole year, any events are allowed.
            _ if options.append || timeline.peek().is_none() => break,
            _ => return Err(other_events(options, &stored)),
        }
    }
    Ok(existing)
}

fn is_same(next: &Result<PlannedEvent, FlightDataError>, stored: &Event) -> bool {
    next.as_ref().is_ok_and(|planned| planned.id() == stored.id())
}

fn other_events(options: &LoadOptions, event: &Event) -> LoadError {
    let event = format!("a {} in {}", event.event_type(), event.stream());
    LoadError::OtherEvents(options.log.to_string(), event)
}
