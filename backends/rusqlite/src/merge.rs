use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use downlink::{Event, Result, StreamId};
use downlink_sqlite_schema::number::position_to_sql;
use downlink_sqlite_schema::sql;
use rusqlite::CachedStatement;

use crate::snapshot::{Linked, Snapshot};
use crate::stream::StreamEnd;

/// How many positions of one stream are fetched at first and at most.
const STRIDES: (u64, u64) = (16, 512);

/// The events of a few streams in the order of the log, without looking at the
/// rest of it.
pub(crate) struct Merge<'a> {
    runs: Vec<Run>,
    /// The next position of each run, the first on top.
    next: BinaryHeap<(Reverse<i64>, usize)>,
    forward: bool,
    last: i64,
    events: CachedStatement<'a>,
}

/// One stream on its way.
struct Run {
    end: StreamEnd,
    /// Forward: positions that come next.
    ahead: VecDeque<i64>,
    /// Forward: the version after those, and how many to fetch.
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
            let position = if forward {
                run.begin_after(snapshot, first - 1)?
            } else {
                run.begin_at(snapshot, last)?
            };
            merge.runs.push(run);
            merge.push(position, merge.runs.len() - 1);
        }
        Ok(merge)
    }

    /// The next event of any of the streams.
    pub(crate) fn next(&mut self, snapshot: &mut Snapshot<'_>) -> Result<Option<Event>> {
        let Some((_, index)) = self.next.peek().copied() else { return Ok(None) };
        let (Reverse(key), _) = self.next.pop().expect("it was there just now");
        let run = &mut self.runs[index];
        let Linked { event, prev, .. } = run.end.event_at(snapshot, &mut self.events, key.abs())?;
        let following = if self.forward { run.following(snapshot)? } else { Some(prev) };
        self.push(following, index);
        Ok(Some(event))
    }

    fn push(&mut self, position: Option<i64>, run: usize) {
        let Some(position) = position.filter(|position| (1..=self.last).contains(position)) else {
            return;
        };
        // Backwards the highest comes first.
        let key = if self.forward { position } else { -position };
        self.next.push((Reverse(key), run));
    }
}

impl Run {
    fn begin_after(&mut self, snapshot: &Snapshot<'_>, after: i64) -> Result<Option<i64>> {
        if position_to_sql(self.end.position) <= after {
            return Ok(None);
        }
        (_, self.version) = self.end.first_after(snapshot, after)?;
        self.following(snapshot)
    }

    fn following(&mut self, snapshot: &Snapshot<'_>) -> Result<Option<i64>> {
        if self.ahead.is_empty() && self.version <= self.end.version.get() {
            let to = self.end.version.get().min(self.version + self.stride - 1);
            self.ahead = self.end.positions(snapshot, self.version, to)?.into();
            self.version = to + 1;
            self.stride = STRIDES.1.min(self.stride * 2);
        }
        Ok(self.ahead.pop_front())
    }

    /// The newest event of the stream that is not after `last`.
    fn begin_at(&mut self, snapshot: &Snapshot<'_>, last: i64) -> Result<Option<i64>> {
        let end = position_to_sql(self.end.position);
        if end <= last {
            return Ok(Some(end));
        }
        let (first_after, _) = self.end.first_after(snapshot, last)?;
        snapshot.one(sql::LINKS_AT, [first_after], |row| row.get(1))
    }
}
