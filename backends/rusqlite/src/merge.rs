use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use downlink::{Event, Result, StreamId, Version};
use downlink_sqlite_schema::number::position_to_sql;
use downlink_sqlite_schema::sql;
use rusqlite::CachedStatement;

use crate::snapshot::{Linked, Snapshot};
use crate::stream_page::{Link, StreamEnd};

/// How many positions of one stream are fetched at once, at first and at most.
const STRIDES: (u64, u64) = (16, 512);

/// Reads the events of a few streams in the order of the log, without reading the rest of
/// the log.
pub(crate) struct Merge<'a> {
    runs: Vec<Run>,
    /// The next position and version of each run, the first on top.
    next: BinaryHeap<(Reverse<i64>, usize, Version)>,
    forward: bool,
    last: i64,
    events: CachedStatement<'a>,
}

/// How far one stream is read.
struct Run {
    end: StreamEnd,
    /// Forward: the next events.
    ahead: VecDeque<Link>,
    /// Forward: the version after those in `ahead`, and how many to fetch next.
    version: u64,
    stride: u64,
}

impl<'a> Merge<'a> {
    /// The events of these streams from the position `first` to `last`.
    pub(crate) fn new(
        snapshot: &Snapshot<'a>,
        streams: &[StreamId],
        forward: bool,
        (first, last): (i64, i64),
    ) -> Result<Self> {
        let mut merge = Self {
            runs: Vec::new(),
            next: BinaryHeap::new(),
            forward,
            last,
            events: snapshot.prepare(sql::EVENT_AT)?,
        };
        for stream in streams {
            let Some(end) = StreamEnd::of(snapshot, stream)? else { continue };
            let mut run = Run { end, ahead: VecDeque::new(), version: 0, stride: STRIDES.0 };
            let link = if forward {
                run.begin_after(snapshot, first - 1)?
            } else {
                run.begin_at(snapshot, last)?
            };
            merge.runs.push(run);
            merge.push(link, merge.runs.len() - 1);
        }
        Ok(merge)
    }

    /// The next event of any of the streams.
    pub(crate) fn next(&mut self, snapshot: &mut Snapshot<'_>) -> Result<Option<Event>> {
        let Some((Reverse(key), index, version)) = self.next.pop() else { return Ok(None) };
        let link = Link { position: key.saturating_abs(), version };
        let run = &mut self.runs[index];
        let Linked { event, prev, .. } = run.end.event_at(snapshot, &mut self.events, link)?;
        let following = if self.forward { run.following(snapshot)? } else { link.back(prev) };
        self.push(following, index);
        Ok(Some(event))
    }

    fn push(&mut self, link: Option<Link>, run: usize) {
        // A link that leads past the end ends a forward run. Backwards, it would be wrong.
        let is_wanted = |link: &Link| !self.forward || link.position <= self.last;
        let Some(Link { position, version }) = link.filter(is_wanted) else { return };
        // Backwards, the highest comes first.
        let key = if self.forward { position } else { position.saturating_neg() };
        self.next.push((Reverse(key), run, version));
    }
}

impl Run {
    fn begin_after(&mut self, snapshot: &Snapshot<'_>, after: i64) -> Result<Option<Link>> {
        if position_to_sql(self.end.position) <= after {
            return Ok(None);
        }
        let (first, _) = self.end.first_after(snapshot, after)?;
        self.version = first.version.get();
        self.following(snapshot)
    }

    fn following(&mut self, snapshot: &Snapshot<'_>) -> Result<Option<Link>> {
        if self.ahead.is_empty() && self.version <= self.end.version.get() {
            let to = self.end.version.get().min(self.version + self.stride - 1);
            self.ahead = self.end.links(snapshot, self.version, to)?.into();
            self.version = to + 1;
            self.stride = STRIDES.1.min(self.stride * 2);
        }
        Ok(self.ahead.pop_front())
    }

    /// The newest event of the stream that is not after `last`.
    fn begin_at(&mut self, snapshot: &Snapshot<'_>, last: i64) -> Result<Option<Link>> {
        let end = self.end.last();
        if end.position <= last {
            return Ok(Some(end));
        }
        let (first_after, prev) = self.end.first_after(snapshot, last)?;
        Ok(first_after.back(prev))
    }
}
