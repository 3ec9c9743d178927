use std::collections::HashSet;

use downlink::store::Write;
use downlink::{Append, Check, Expected, Result, StreamId, Version, limits};

use super::planned_event::PlannedEvent;

/// Groups events into appends, in order.
///
/// Every append can only be stored after the previous one: if its own writes do not
/// ensure that, a check on the last event of the previous one does. So the log has no
/// gap, even if an append fails.
#[derive(Debug, Default)]
pub(super) struct Batcher {
    append: Append,
    streams: HashSet<StreamId>,
    events: usize,
    finished: u64,
    /// The last event of the previous append.
    before: Option<(StreamId, Version)>,
    /// The last event of this append.
    last: Option<(StreamId, Version)>,
}

/// An append and its number of completed flights.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) append: Append,
    /// The flights that it completes.
    pub(super) finished: u64,
}

impl Batcher {
    /// Continues after this event, which is stored.
    pub(super) fn after(last: Option<(StreamId, Version)>) -> Self {
        Self { before: last, ..Self::default() }
    }

    /// Adds the next event. Returns the current batch if it has no room for the event.
    pub(super) fn push(&mut self, planned: &PlannedEvent) -> Result<Option<Batch>> {
        let full = if self.has_room(planned) { None } else { self.finish() };
        let event = planned.encode()?;
        match self.append.writes.last_mut() {
            Some(write) if write.stream == planned.stream => write.events.push(event),
            _ => {
                self.streams.insert(planned.stream.clone());
                let (stream, expected) = (planned.stream.clone(), planned.expected());
                self.append.writes.push(Write { stream, expected, events: vec![event] });
            }
        }
        self.events += 1;
        self.finished += u64::from(planned.is_last);
        self.last = Some((planned.stream.clone(), planned.version));
        Ok(full)
    }

    /// Returns the current batch, unless it is empty.
    pub(super) fn finish(&mut self) -> Option<Batch> {
        let last = self.last.take()?;
        let Self { mut append, streams, finished, before, .. } =
            std::mem::replace(self, Self::after(Some(last)));
        if let Some((stream, version)) = before
            && !streams.contains(&stream)
        {
            append = append.with_check(Check::Stream(stream, Expected::Exact(version)));
        }
        Some(Batch { append, finished })
    }

    /// An append contains a stream only once, with consecutive events.
    fn has_room(&self, planned: &PlannedEvent) -> bool {
        let is_last = self.last.as_ref().is_some_and(|(stream, _)| *stream == planned.stream);
        self.events < limits::MAX_EVENTS_PER_APPEND
            && (is_last || !self.streams.contains(&planned.stream))
    }
}
