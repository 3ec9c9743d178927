//! Makes the postings, behind the log.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use downlink::Result;
use downlink::commit::Upkeep;

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
/// nobody waits for it, or for a tenth of its time, or in any case if they are
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

/// The postings of the tags of some events: parameters of
/// [`ADD_TAGS`](crate::sql::ADD_TAGS) and
/// [`ADD_TAG_POSTINGS`](crate::sql::ADD_TAG_POSTINGS).
#[derive(Debug, Default)]
pub struct TagPostings {
    offsets: BTreeMap<(String, i64), String>,
}

impl TagPostings {
    /// Adds an event, later than those before.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](downlink::ErrorKind::Corrupt) if its tags are not as they were written.
    pub fn add(&mut self, position: i64, column: &[u8]) -> Result<()> {
        let names: BTreeSet<String> =
            tags::decode(Some(column))?.into_iter().map(|tag| tag.as_str().to_owned()).collect();
        for name in names {
            let offsets = self.offsets.entry((name, position / SEGMENT)).or_default();
            write!(offsets, "{:04X}", position % SEGMENT).expect("a string takes everything");
        }
        Ok(())
    }

    /// Whether no event has a tag.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> String {
        let names: BTreeSet<&str> = self.offsets.keys().map(|(name, _)| name.as_str()).collect();
        names.into_iter().collect::<serde_json::Value>().to_string()
    }

    /// The postings by name and segment.
    #[must_use]
    pub fn rows(&self) -> String {
        let rows = self.offsets.iter();
        rows.map(|((name, segment), offsets)| serde_json::json!([name, segment, offsets]))
            .collect::<serde_json::Value>()
            .to_string()
    }
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
        let mut postings = TagPostings::default();
        assert!(postings.is_empty());
        postings.add(5, &tags::encode(&[tag("a"), tag("b")]).unwrap()).unwrap();
        postings.add(SEGMENT + 1, &tags::encode(&[tag("a")]).unwrap()).unwrap();
        postings.add(SEGMENT + 258, &tags::encode(&[tag("a"), tag("a")]).unwrap()).unwrap();
        assert_eq!(postings.names(), r#"["a","b"]"#);
        assert_eq!(postings.rows(), r#"[["a",0,"0005"],["a",1,"00010102"],["b",0,"0005"]]"#);
        assert!(postings.add(9, b"\x05").is_err());
    }
}
