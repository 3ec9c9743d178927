use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use downlink::{Result, StreamId, Version};
use downlink_sqlite_schema::number::position_to_sql;

use crate::snapshot::Snapshot;
use crate::span::Span;
use crate::stream_page::{Link, StreamEnd};

/// How many positions of one stream are fetched at once, at first and at most.
const STRIDES: (u64, u64) = (16, 512);

/// Finds the events of a few streams in the order of the log, without reading the rest of the
/// log.
pub(crate) struct Merge {
    runs: Vec<Run>,
    /// The next position and version of each run, the first on top.
    next: BinaryHeap<(Reverse<i64>, usize, Version)>,
    span: Span,
}

/// How far one stream is read.
struct Run {
    end: StreamEnd,
    /// The next events.
    ahead: VecDeque<Link>,
    /// The version after those in `ahead`, zero for none, and how many to fetch next.
    version: u64,
    stride: u64,
}

impl Merge {
    /// The events of these streams in a span.
    pub(crate) async fn new(
        snapshot: &mut Snapshot<'_>,
        streams: &[StreamId],
        span: Span,
    ) -> Result<Self> {
        let mut merge = Self { runs: Vec::new(), next: BinaryHeap::new(), span };
        for stream in streams {
            let Some(end) = StreamEnd::of(snapshot, stream).await? else { continue };
            let version = first_in(snapshot, &end, span).await?;
            let mut run = Run { end, ahead: VecDeque::new(), version, stride: STRIDES.0 };
            let first = run.following(snapshot, span.forward).await?;
            merge.runs.push(run);
            merge.push(first, merge.runs.len() - 1);
        }
        Ok(merge)
    }

    /// The links of the next events of any of the streams, at most `count`; none at the end.
    pub(crate) async fn next(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        count: usize,
    ) -> Result<Vec<Link>> {
        let mut links = Vec::new();
        while links.len() < count
            && let Some((Reverse(key), index, version)) = self.next.pop()
        {
            let run = &mut self.runs[index];
            links.push(Link { position: key.saturating_abs(), stream: run.end.key, version });
            let following = run.following(snapshot, self.span.forward).await?;
            self.push(following, index);
        }
        Ok(links)
    }

    fn push(&mut self, link: Option<Link>, run: usize) {
        let in_span = link.filter(|link| self.span.contains(link.position));
        let Some(Link { position, version, .. }) = in_span else {
            return;
        };
        // Backwards, the highest comes first.
        let key = if self.span.forward { position } else { position.saturating_neg() };
        self.next.push((Reverse(key), run, version));
    }
}

impl Run {
    async fn following(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        forward: bool,
    ) -> Result<Option<Link>> {
        if self.ahead.is_empty() && self.version > 0 {
            self.fetch(snapshot, forward).await?;
            self.stride = STRIDES.1.min(self.stride * 2);
        }
        Ok(self.ahead.pop_front())
    }

    async fn fetch(&mut self, snapshot: &mut Snapshot<'_>, forward: bool) -> Result<()> {
        if !forward {
            let count = self.stride.min(self.version);
            self.ahead = self.end.walk(snapshot, self.version, count).await?.into();
            self.version -= count;
            return Ok(());
        }
        let last = self.end.version.get();
        let to = last.min(self.version + self.stride - 1);
        let mut links = self.end.walk(snapshot, to, to - self.version + 1).await?;
        links.reverse();
        self.ahead = links.into();
        self.version = if to == last { 0 } else { to + 1 };
        Ok(())
    }
}

/// The version of the first event of a stream in a span, or after it; zero if there is
/// none.
async fn first_in(snapshot: &mut Snapshot<'_>, end: &StreamEnd, span: Span) -> Result<u64> {
    let last = position_to_sql(end.position);
    if span.forward {
        return if last < span.from {
            Ok(0)
        } else {
            end.first_after(snapshot, span.from - 1).await
        };
    }
    if last <= span.from {
        return Ok(end.version.get());
    }
    Ok(end.first_after(snapshot, span.from).await? - 1)
}
