use std::collections::HashSet;

use downlink::{Append, Check, Expected, Result, StreamId, Version, Write, limits};

use super::planned_event::PlannedEvent;

/// Cuts what happens into appends, in its order.
///
/// Every append is stored only after the one before it: where its own writes do
/// not see to that, a check on the event that was last does. So whatever becomes
/// of an append, the log has no gap.
#[derive(Debug, Default)]
pub(super) struct Batcher {
    append: Append,
    streams: HashSet<StreamId>,
    events: usize,
    finished: u64,
    /// The last event of the append before this one.
    before: Option<(StreamId, Version)>,
    /// The last event of this one.
    last: Option<(StreamId, Version)>,
}

/// Events that are stored together.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) append: Append,
    /// The flights that are complete with it.
    pub(super) finished: u64,
}

impl Batcher {
    /// Goes on after this event, which is stored.
    pub(super) fn after(last: Option<(StreamId, Version)>) -> Self {
        Self { before: last, ..Self::default() }
    }

    /// Adds what happened next; returns the batch that has no room for it.
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

    /// What was added since the last batch, if anything was.
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

    /// A stream stands in an append once, its events one after the other.
    fn has_room(&self, planned: &PlannedEvent) -> bool {
        let is_last = self.last.as_ref().is_some_and(|(stream, _)| *stream == planned.stream);
        self.events < limits::MAX_EVENTS_PER_APPEND
            && (is_last || !self.streams.contains(&planned.stream))
    }
}
