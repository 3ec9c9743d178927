//! Makes the postings, behind the log.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use downlink::commit::Upkeep;
use downlink::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::postings::SEGMENT;
use crate::tags;

/// What one step should take, half of what it may.
const STEP: Duration = Duration::from_millis(5);

/// The events of one step, at first, and its bounds.
const EVENTS: (i64, i64, i64) = (1_024, 64, 16_384);

/// So far behind, the index goes first.
const OVERDUE: i64 = 16 * SEGMENT;

/// How far the postings are, and how many events the next step adds to them.
///
/// An append writes no postings. The writer adds them in steps of its own, when
/// its queue is empty, or for a tenth of its time, or in any case if they are
/// far behind.
#[derive(Clone, Copy, Debug)]
pub struct Indexing {
    indexed: i64,
    head: i64,
    lag: i64,
    step: i64,
}

impl Indexing {
    /// To begin when so many events are missing.
    #[must_use]
    pub fn new(lag: usize) -> Self {
        let lag = i64::try_from(lag.max(1)).unwrap_or(i64::MAX);
        Self { indexed: 0, head: 0, lag, step: EVENTS.0 }
    }

    /// Learns how far the postings and the log are.
    pub fn at(&mut self, indexed: i64, head: i64) {
        (self.indexed, self.head) = (indexed, head);
    }

    /// Learns how far the log is.
    pub fn log_is_at(&mut self, head: i64) {
        if head < self.indexed {
            // Another log, of which nothing is known.
            self.indexed = 0;
        }
        self.head = head;
    }

    /// Whether a step is due.
    #[must_use]
    pub fn wanted(&self) -> Upkeep {
        match self.head - self.indexed {
            missing if missing >= OVERDUE.max(self.lag) => Upkeep::Overdue,
            missing if missing >= self.lag => Upkeep::Wanted,
            _ => Upkeep::None,
        }
    }

    /// The events to add, the first after the one and up to the other; `None` if
    /// there are none.
    #[must_use]
    pub fn step(&self) -> Option<(i64, i64)> {
        (self.head > self.indexed)
            .then(|| (self.indexed, self.head.min(self.indexed.saturating_add(self.step))))
    }

    /// Learns how long a step took.
    pub fn took(&mut self, (after, to): (i64, i64), took: Duration) {
        self.indexed = to;
        if took > STEP {
            self.step = EVENTS.1.max(self.step / 2);
        } else if took < STEP / 2 && to - after == self.step {
            self.step = EVENTS.2.min(self.step * 2);
        }
    }
}

/// The postings of some events: parameters of
/// [`ADD_TYPE_POSTINGS`](crate::sql::ADD_TYPE_POSTINGS),
/// [`ADD_TAGS`](crate::sql::ADD_TAGS) and
/// [`ADD_TAG_POSTINGS`](crate::sql::ADD_TAG_POSTINGS).
#[derive(Debug, Default)]
pub struct NewPostings {
    /// Offsets in hexadecimal, by key and segment.
    types: BTreeMap<(i64, i64), String>,
    /// The same by name and segment.
    tags: BTreeMap<(String, i64), String>,
}

impl NewPostings {
    /// Adds the types of events: the value of
    /// [`TYPES_BETWEEN`](crate::sql::TYPES_BETWEEN).
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if it is no such value.
    pub fn add_types(&mut self, value: &str) -> Result<()> {
        let pairs = value.split(',').map(|pair| {
            let (position, key) = pair.split_once(' ')?;
            Some((position.parse::<i64>().ok()?, key.parse::<i64>().ok()?))
        });
        let mut pairs: Vec<_> = pairs.collect::<Option<_>>().ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "the file has events whose types are no numbers")
        })?;
        pairs.sort_unstable();
        for (position, key) in pairs {
            push(self.types.entry((key, position / SEGMENT)).or_default(), position);
        }
        Ok(())
    }

    /// Adds the tags of an event, later than those before.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if they are not as they were written.
    pub fn add_tags(&mut self, position: i64, column: &[u8]) -> Result<()> {
        let names: BTreeSet<String> =
            tags::decode(Some(column))?.into_iter().map(|tag| tag.as_str().to_owned()).collect();
        for name in names {
            push(self.tags.entry((name, position / SEGMENT)).or_default(), position);
        }
        Ok(())
    }

    /// The postings by type and segment.
    #[must_use]
    pub fn types(&self) -> String {
        rows(&self.types)
    }

    /// Whether an event has a tag.
    #[must_use]
    pub fn has_tags(&self) -> bool {
        !self.tags.is_empty()
    }

    /// The names of the tags.
    #[must_use]
    pub fn tag_names(&self) -> String {
        let names: BTreeSet<&str> = self.tags.keys().map(|(name, _)| name.as_str()).collect();
        names.into_iter().collect::<serde_json::Value>().to_string()
    }

    /// The postings by name of the tag and segment.
    #[must_use]
    pub fn tags(&self) -> String {
        rows(&self.tags)
    }
}

fn push(offsets: &mut String, position: i64) {
    write!(offsets, "{:04X}", position % SEGMENT).expect("a string takes everything");
}

fn rows<N: Serialize>(postings: &BTreeMap<(N, i64), String>) -> String {
    let rows = postings.iter();
    rows.map(|((name, segment), offsets)| serde_json::json!([name, segment, offsets]))
        .collect::<serde_json::Value>()
        .to_string()
}

#[cfg(test)]
mod tests {
    use downlink::Tag;

    use super::*;

    #[test]
    fn steps_are_as_long_as_they_may_be() {
        let mut indexing = Indexing::new(100);
        indexing.at(0, 99);
        assert_eq!(indexing.wanted(), Upkeep::None);
        indexing.log_is_at(200_000);
        assert_eq!(indexing.wanted(), Upkeep::Wanted);
        let mut longest = 0;
        while let Some(step) = indexing.step() {
            longest = longest.max(step.1 - step.0);
            indexing.took(step, Duration::from_micros(1));
        }
        assert_eq!((longest, indexing.indexed), (EVENTS.2, 200_000));
        indexing.log_is_at(10_000_000);
        assert_eq!(indexing.wanted(), Upkeep::Overdue);
        for _ in 0..20 {
            let step = indexing.step().unwrap();
            indexing.took(step, Duration::from_secs(1));
        }
        let (after, to) = indexing.step().unwrap();
        assert_eq!(to - after, EVENTS.1);
        indexing.at(5_000, 5_000);
        indexing.log_is_at(4_000);
        assert_eq!(indexing.wanted(), Upkeep::Wanted, "a log that was restored is looked at");
    }

    #[test]
    fn an_event_is_once_in_the_postings_of_each_of_its_tags() {
        let tag = |name: &str| Tag::new(name).unwrap();
        let mut postings = NewPostings::default();
        assert!(!postings.has_tags());
        postings.add_tags(5, &tags::encode(&[tag("a"), tag("b")]).unwrap()).unwrap();
        postings.add_tags(SEGMENT + 1, &tags::encode(&[tag("a")]).unwrap()).unwrap();
        let twice = tags::encode(&[tag("a"), tag("a")]).unwrap();
        postings.add_tags(SEGMENT + 258, &twice).unwrap();
        assert!(postings.has_tags());
        assert_eq!(postings.tag_names(), r#"["a","b"]"#);
        assert_eq!(postings.tags(), r#"[["a",0,"0005"],["a",1,"00010102"],["b",0,"0005"]]"#);
        assert!(postings.add_tags(9, b"\x05").is_err());
    }

    #[test]
    fn types_may_come_in_any_order() {
        let mut postings = NewPostings::default();
        postings.add_types("7 1,65537 2,5 1,6 2").unwrap();
        assert_eq!(postings.types(), r#"[[1,0,"00050007"],[2,0,"0006"],[2,1,"0001"]]"#);
        for broken in ["", "7", "7 x", "7 1,"] {
            assert_eq!(postings.add_types(broken).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}
