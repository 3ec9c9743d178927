use std::fmt;

use downlink::{Cursor, Event, EventStore, Position, Result};

use super::log_reader::LogReader;
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
    /// The event of the original; `None` if it has no further ones.
    pub original: Option<Event>,
    /// The event of the copy; `None` if it has no further ones.
    pub copy: Option<Event>,
}

impl Comparison {
    /// Whether every event of the original is in the copy, in the same order and without others
    /// in between, with all that belongs to it: position, id, stream, version, time, type, content
    /// type, metadata, tags and payload.
    #[must_use]
    pub fn is_identical(&self) -> bool {
        self.difference.is_none()
    }

    /// Compares the original up to `end` with the beginning of the copy.
    pub(super) async fn of(
        original: &dyn EventStore,
        copy: &dyn EventStore,
        end: Cursor,
        progress: &mut (impl FnMut(Progress) + Send),
    ) -> Result<Self> {
        let mut left = LogReader::new(original, Cursor::START, end.position());
        let mut right = LogReader::new(copy, Cursor::START, Position::MAX);
        let mut done = Progress::begin(Phase::Comparing, Cursor::START, end);
        let difference = loop {
            tokio::try_join!(left.fill(), right.fill())?;
            let count = left.events.len().min(right.events.len());
            if count == 0 {
                break left.events.pop_front().map(|event| Difference::new(Some(event), None));
            }
            let pairs = left.events.drain(..count).zip(right.events.drain(..count));
            match first_difference(pairs, &mut done) {
                None => progress(done),
                difference => break difference,
            }
        };
        let has_more = difference.is_none() && !right.events.is_empty();
        Ok(Self { events: done.events, difference, has_more })
    }
}

/// Counts equal pairs up to the first that differs.
fn first_difference(
    pairs: impl Iterator<Item = (Event, Event)>,
    done: &mut Progress,
) -> Option<Difference> {
    let (mut same, mut at) = (0, done.at);
    let mut difference = None;
    for (original, copy) in pairs {
        if original != copy {
            difference = Some(Difference::new(Some(original), Some(copy)));
            break;
        }
        (same, at) = (same + 1, original.cursor());
    }
    done.advance(same, at);
    difference
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
