use std::fmt;

use downlink::store::Moved;
use downlink::{Cursor, Event, EventStore, Position, Result};

use super::log_reader::LogReader;
use super::place::moved_by;
use super::progress::{Phase, Progress};

/// The result of comparing a copy with its original, event by event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comparison {
    /// How many events are the same, from the first one on.
    pub events: u64,
    /// The first difference.
    pub difference: Option<Difference>,
    /// Whether the copy has further events, after all those of the original.
    pub has_more: bool,
}

/// A place where two logs differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The event of the original, as it should be in the copy; `None` if there are no further ones.
    pub original: Option<Event>,
    /// The event of the copy; `None` if it has no further ones.
    pub copy: Option<Event>,
}

impl Comparison {
    /// Whether every event of the original is in the copy, in the same order and without others
    /// in between, with all that belongs to it: position, id, stream, version, time, type, content
    /// type, metadata, tags and payload. In a target with events of its own, the position is where the
    /// event was moved to.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        self.difference.is_none()
    }

    /// Compares the parts of the original with those of the copy.
    pub(super) async fn of(
        original: &dyn EventStore,
        copy: &dyn EventStore,
        parts: Vec<Part>,
        end: Cursor,
        progress: &mut (impl FnMut(Progress) + Send),
    ) -> Result<Self> {
        let mut done = Progress::begin(Phase::Comparing, Cursor::START, end);
        let (mut difference, mut has_more) = (None, false);
        for part in parts {
            let mut left = LogReader::new(original, part.after, part.end);
            let mut right = LogReader::new(copy, part.copy_after, part.copy_end);
            difference = compare(&mut left, &mut right, &part, &mut done, progress).await?;
            let more = right.events.pop_front();
            if difference.is_none() && part.run.is_some() {
                difference = more.map(|event| Difference::new(None, Some(event)));
            } else {
                has_more = difference.is_none() && more.is_some();
            }
            if difference.is_some() {
                break;
            }
        }
        Ok(Self { events: done.events, difference, has_more })
    }
}

/// A range of the original, and where it is in the copy.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The positions before the first event and of the last.
    after: Position,
    end: Position,
    copy_after: Position,
    copy_end: Position,
    /// Where the events were moved to, if their positions differ.
    run: Option<Moved>,
}

impl Part {
    /// All of the original, up to this event, beside all of the copy.
    pub(super) fn whole(end: Cursor) -> Self {
        let (after, copy_end) = (Position::ZERO, Position::MAX);
        Self { after, end: end.position(), copy_after: after, copy_end, run: None }
    }

    /// The runs of a log among others, and what is missing up to this event.
    pub(super) fn of_runs(runs: Vec<Moved>, end: Cursor) -> Vec<Self> {
        let end = end.position();
        let mut parts = Vec::new();
        let mut after = Position::ZERO;
        for run in runs.into_iter().filter(|run| run.old_from <= end) {
            let part_end = run.old_to.min(end);
            let copy_after = run.new_from.get().checked_sub(1).and_then(Position::new);
            parts.push(Self {
                after,
                end: part_end,
                copy_after: copy_after.unwrap_or(Position::ZERO),
                copy_end: run.shifted(part_end).unwrap_or(Position::MAX),
                run: Some(run),
            });
            after = part_end;
        }
        if after < end {
            let nowhere = Position::ZERO;
            parts.push(Self { after, end, copy_after: nowhere, copy_end: nowhere, run: None });
        }
        parts
    }
}

/// Compares pages until one of the two logs has no further events. Returns the first difference.
async fn compare(
    left: &mut LogReader<'_>,
    right: &mut LogReader<'_>,
    part: &Part,
    done: &mut Progress,
    progress: &mut (impl FnMut(Progress) + Send),
) -> Result<Option<Difference>> {
    loop {
        tokio::try_join!(left.fill(), right.fill())?;
        let count = left.events.len().min(right.events.len());
        if count == 0 {
            let missing = left.events.pop_front();
            return Ok(missing.map(|event| Difference::new(Some(event), None)));
        }
        let pairs = left.events.drain(..count).zip(right.events.drain(..count));
        match first_difference(pairs, part.run.as_ref(), done)? {
            None => progress(*done),
            difference => return Ok(difference),
        }
    }
}

/// Counts equal pairs up to the first that differs.
fn first_difference(
    pairs: impl Iterator<Item = (Event, Event)>,
    run: Option<&Moved>,
    done: &mut Progress,
) -> Result<Option<Difference>> {
    let (mut same, mut at) = (0, done.at);
    let mut difference = None;
    for (original, copy) in pairs {
        let moved = run.map(|run| moved_by(run, &original)).transpose()?;
        if *moved.as_ref().unwrap_or(&original) != copy {
            difference = Some(Difference::new(Some(moved.unwrap_or(original)), Some(copy)));
            break;
        }
        (same, at) = (same + 1, original.cursor());
    }
    done.advance(same, at);
    Ok(difference)
}

impl Difference {
    fn new(original: Option<Event>, copy: Option<Event>) -> Self {
        Self { original, copy }
    }

    /// What differs.
    fn parts(original: &Event, copy: &Event) -> Vec<&'static str> {
        let (a, b) = (original, copy);
        [
            ("position", a.position() == b.position()),
            ("id", a.id() == b.id()),
            ("stream", a.stream() == b.stream()),
            ("version", a.version() == b.version()),
            ("time", a.recorded_at() == b.recorded_at()),
            ("type", a.event_type() == b.event_type()),
            ("content type", a.content_type() == b.content_type()),
            ("tags", a.tags() == b.tags()),
            ("metadata", a.metadata() == b.metadata()),
            ("payload", a.payload() == b.payload()),
        ]
        .into_iter()
        .filter(|(_, is_same)| !is_same)
        .map(|(part, _)| part)
        .collect()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |event: &Event| {
            let (stream, version) = (event.stream(), event.version().get());
            format!("position {}, version {version} of '{stream}'", event.position())
        };
        match (&self.original, &self.copy) {
            (Some(original), Some(copy)) => {
                let parts = Self::parts(original, copy).join(", ");
                write!(f, "another {parts} at {}", place(original))
            }
            (Some(original), None) => write!(f, "the copy ends before {}", place(original)),
            (None, Some(copy)) => write!(f, "the original ends before {}", place(copy)),
            (None, None) => f.write_str("none"),
        }
    }
}
