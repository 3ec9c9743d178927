use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::{Hash, Hasher};

use downlink::event::Timestamp;
use downlink::store::Moved;
use downlink::{Cursor, Event, EventType, Position, Result, StreamId, Tag, Version};

use crate::event_row::EventRow;
use crate::head_row::HeadRow;
use crate::links::{Chain, Links, Next};
use crate::number::{position_from_sql, position_to_sql, version_to_sql};
use crate::postings;
use crate::tag_cache::TagCache;

/// How many problems a report lists; the others are counted.
const MAX_LISTED: usize = 100;

/// The result of verifying a whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The events of the log.
    pub events: u64,
    /// The streams that have events.
    pub streams: u64,
    /// The end of the log.
    pub head: Cursor,
    /// What is wrong, in the order in which it was found; at most 100.
    pub problems: Vec<Problem>,
    /// How many more problems there are.
    pub not_listed: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Default for VerifyReport {
    fn default() -> Self {
        Self { events: 0, streams: 0, head: Cursor::START, problems: Vec::new(), not_listed: 0 }
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events in {} streams: ", self.events, self.streams)?;
        if self.is_sound() {
            return f.write_str("sound");
        }
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if index > 0 { "; " } else { "" })?;
        }
        if self.not_listed > 0 {
            write!(f, "; and {} more", self.not_listed)?;
        }
        Ok(())
    }
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// SQLite's own check reports this.
    File(String),
    /// An event is invalid: its names, tags or sizes.
    Row {
        /// Its position.
        position: i64,
        /// What is wrong.
        what: String,
    },
    /// An event's version is not the one after the last of its stream.
    Version {
        /// Its position.
        position: Position,
        /// The expected version.
        expected: Version,
        /// The version found.
        found: Version,
    },
    /// An event's `prev` or `jump` points elsewhere.
    Link {
        /// Its position.
        position: Position,
        /// The expected links.
        expected: Links,
        /// The links found.
        found: Links,
    },
    /// An event was recorded before the previous event, and is not the first of another log.
    Time {
        /// Its position.
        position: Position,
    },
    /// The end of a stream is not its last event.
    StreamHead {
        /// The stream's key.
        stream: i64,
        /// The version and position of the last event; `None` if it has none.
        expected: Option<(Version, Position)>,
        /// The row in the table of heads.
        found: Option<(i64, i64)>,
    },
    /// The postings of 65,536 positions are not those of the events there.
    Postings {
        /// The number of the segment, from 0.
        segment: i64,
    },
    /// The end of the log is not its last event.
    Head {
        /// The position of the last event.
        expected: Position,
        /// The position in the row of the head.
        found: Position,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(what) => f.write_str(what),
            Self::Row { position, what } => write!(f, "event at position {position}: {what}"),
            Self::Version { position, expected, found } => {
                write!(f, "event at position {position}: version {found} instead of {expected}")
            }
            Self::Link { position, expected, found } => write!(
                f,
                "event at position {position}: links to {} and {} instead of {} and {}",
                found.prev, found.jump, expected.prev, expected.jump
            ),
            Self::Time { position } => {
                write!(f, "event at position {position}: recorded before the previous event")
            }
            Self::StreamHead { stream, expected, found } => {
                let at = |end: Option<(String, String)>| {
                    end.map_or("nothing".into(), |(version, position)| {
                        format!("version {version} at {position}")
                    })
                };
                let expected =
                    expected.map(|(version, position)| (version.to_string(), position.to_string()));
                let found =
                    found.map(|(version, position)| (version.to_string(), position.to_string()));
                write!(f, "head of stream {stream}: {} instead of {}", at(found), at(expected))
            }
            Self::Postings { segment } => write!(
                f,
                "postings of segment {segment}: not those of its events; to rebuild all postings, \
                 run DELETE FROM downlink_postings; UPDATE downlink_indexed SET position = 0"
            ),
            Self::Head { expected, found } => {
                write!(f, "head of the log: position {found} instead of {expected}")
            }
        }
    }
}

/// Verifies a file row by row, without a driver.
///
/// Pass it the names and how far the postings are, then every event in the order of
/// positions, then the heads and the postings, all of one snapshot. It needs memory for
/// each stream, tag and segment, not for each event.
#[derive(Debug, Default)]
pub struct Verifier {
    report: VerifyReport,
    streams: HashMap<i64, Option<Chain>>,
    stream_names: HashMap<i64, StreamId>,
    types: HashMap<i64, EventType>,
    tags: HashMap<String, i64>,
    indexed: i64,
    /// For each segment, the sum over its events minus the sum over its postings.
    postings: BTreeMap<i64, u64>,
    last: Option<HeadRow>,
    moved: Vec<Moved>,
}

impl Verifier {
    /// A verifier before its first row.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a row of SQLite's own check.
    pub fn integrity(&mut self, row: &str) {
        if row != "ok" {
            self.found(Problem::File(row.into()));
        }
    }

    /// Takes a row of `streams`.
    pub fn stream(&mut self, key: i64, name: &str) {
        match StreamId::new(name) {
            Ok(name) => drop(self.stream_names.insert(key, name)),
            Err(error) => self.found(Problem::File(format!("stream {key}: {error}"))),
        }
        self.streams.insert(key, None);
    }

    /// Takes a row of `types`.
    pub fn event_type(&mut self, key: i64, name: &str) {
        match EventType::new(name) {
            Ok(name) => drop(self.types.insert(key, name)),
            Err(error) => self.found(Problem::File(format!("type {key}: {error}"))),
        }
    }

    /// Takes a row of `tags`.
    pub fn tag(&mut self, key: i64, name: &str) {
        self.tags.insert(name.into(), key);
    }

    /// Takes the row of `indexed`.
    pub fn indexed(&mut self, position: i64) {
        self.indexed = position;
    }

    /// Takes the rows of `moved`.
    pub fn moved(&mut self, moved: Vec<Moved>) {
        self.moved = moved;
    }

    /// Takes the next row of `events`.
    pub fn event(&mut self, row: &EventRow<'_>) {
        self.report.events += 1;
        if let Err(what) = self.check_event(row) {
            self.found(Problem::Row { position: row.position, what });
        }
    }

    fn check_event(&mut self, row: &EventRow<'_>) -> Result<(), String> {
        let stream = self.stream_names.get(&row.stream).ok_or("its stream is unknown")?;
        let event_type = self.types.get(&row.event_type).ok_or("its type is unknown")?;
        let event = row
            .to_event(stream.clone(), event_type.clone(), &mut TagCache::default())
            .map_err(|error| error.to_string())?;
        let last = HeadRow {
            position: event.position(),
            id: Some(event.id()),
            recorded_at: event.recorded_at(),
            generation: 0,
        };
        if let Some(before) = self.last.replace(last)
            && before.recorded_at > event.recorded_at()
            && !self.is_moved(before.position, event.position())
        {
            self.found(Problem::Time { position: event.position() });
        }
        self.check_links(row, event.position(), event.version());
        self.expect_postings(row, &event);
        Ok(())
    }

    /// Whether events of another log begin between an event and the next one.
    fn is_moved(&self, before: Position, next: Position) -> bool {
        self.moved.iter().any(|moved| before < moved.new_from && moved.new_from <= next)
    }

    /// Adds the event to the sum of its segment. Sums of hashes are compared, so that
    /// postings may come in any order.
    fn expect_postings(&mut self, row: &EventRow<'_>, event: &Event) {
        if row.position > self.indexed {
            return;
        }
        let names: BTreeSet<&str> = event.tags().iter().map(Tag::as_str).collect();
        // A tag without a key has no postings, so its hash remains in the sum.
        let keys = names.into_iter().map(|name| self.tags.get(name).copied().unwrap_or(0));
        let all = keys.map(|key| (postings::TAG, key)).chain([(postings::TYPE, row.event_type)]);
        let sum = all.map(|name| hash(name, row.position)).fold(0, u64::wrapping_add);
        let segment = self.postings.entry(row.position / postings::SEGMENT).or_default();
        *segment = segment.wrapping_add(sum);
    }

    /// Takes a row of `postings`.
    pub fn posting(&mut self, kind: i64, key: i64, segment: i64, positions: &[u8]) {
        match postings::unpack(positions) {
            Ok(offsets) => {
                let first = segment * postings::SEGMENT;
                let hashes = offsets.into_iter().map(|at| hash((kind, key), first + i64::from(at)));
                let sum = hashes.fold(0, u64::wrapping_add);
                let segment = self.postings.entry(segment).or_default();
                *segment = segment.wrapping_sub(sum);
            }
            Err(_) => self.found(Problem::Postings { segment }),
        }
    }

    fn check_links(&mut self, row: &EventRow<'_>, position: Position, version: Version) {
        let chain = self.streams.entry(row.stream).or_default();
        let next = Version::following(chain.as_ref().map(Chain::version));
        let expected = match chain.as_ref().map(Chain::next) {
            Some(Next::Ready(links)) => links,
            Some(Next::Fetch(..)) => unreachable!("the chain is complete from the first event on"),
            None => Chain::FIRST,
        };
        match chain {
            Some(chain) => chain.push(position),
            None => *chain = Some(Chain::of_head(Version::FIRST, position)),
        }
        if version != next {
            self.found(Problem::Version { position, expected: next, found: version });
        }
        let found = |number| position_from_sql(number).unwrap_or(Position::MAX);
        let found = Links { prev: found(row.prev), jump: found(row.jump) };
        if found != expected {
            self.found(Problem::Link { position, expected, found });
        }
    }

    /// Takes a row of `heads`.
    pub fn stream_head(&mut self, stream: i64, version: i64, position: i64) {
        let chain = self.streams.remove(&stream).flatten();
        let expected = chain.map(|chain| (chain.version(), chain.position()));
        let as_stored = expected
            .map(|(version, position)| (version_to_sql(version), position_to_sql(position)));
        let found = Some((version, position));
        if as_stored != found {
            self.found(Problem::StreamHead { stream, expected, found });
        }
        self.report.streams += u64::from(expected.is_some());
    }

    /// Takes the row of `head`, and returns the report.
    #[must_use]
    pub fn finish(mut self, head: &HeadRow) -> VerifyReport {
        let mut left: Vec<_> = std::mem::take(&mut self.streams).into_iter().collect();
        left.sort_unstable_by_key(|(stream, _)| *stream);
        for (stream, chain) in left {
            let expected = chain.map(|chain| (chain.version(), chain.position()));
            self.found(Problem::StreamHead { stream, expected, found: None });
        }
        let last = self.last.unwrap_or(HeadRow {
            position: Position::ZERO,
            id: None,
            recorded_at: Timestamp::EPOCH,
            generation: 0,
        });
        if self.indexed > position_to_sql(last.position) {
            let segment = self.indexed / postings::SEGMENT;
            self.postings.insert(segment, 1);
        }
        for (segment, left) in std::mem::take(&mut self.postings) {
            if left != 0 {
                self.found(Problem::Postings { segment });
            }
        }
        if (last.position, last.id, last.recorded_at) != (head.position, head.id, head.recorded_at)
        {
            self.found(Problem::Head { expected: last.position, found: head.position });
        }
        self.report.head = head.cursor();
        self.report
    }

    fn found(&mut self, problem: Problem) {
        if self.report.problems.len() < MAX_LISTED {
            self.report.problems.push(problem);
        } else {
            self.report.not_listed += 1;
        }
    }
}

fn hash(name: (i64, i64), position: i64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (name, position).hash(&mut hasher);
    hasher.finish()
}
