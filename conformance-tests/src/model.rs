//! The reference model that stores are compared with: a list of events.

use std::collections::HashSet;

use downlink::error::FailedCheck;
use downlink::store::{Appended, Direction, Page, ReadLog, ReadStream, Write, Written};
use downlink::{
    Append, Check, Cursor, ErrorKind, Event, EventId, EventStore, Expected, Position, Read,
    StreamId, Version,
};

use crate::sample;

/// The list of events that a store should have, and what follows from it.
///
/// Positions are taken from the store: the model knows that they rise, but not
/// by how much.
#[derive(Clone, Debug, Default)]
pub struct Model {
    log: Vec<Event>,
    appends: Vec<Append>,
}

/// The outcome that an append has to have.
#[derive(Clone, Debug)]
pub enum ExpectedOutcome {
    /// It is stored.
    Stored,
    /// It was stored before, at these versions and positions.
    Duplicate(Appended),
    /// It is refused, and every check that failed is reported.
    Conflict(Vec<FailedCheck>),
    /// It is refused, because an id is known for another event.
    IdReused,
}

impl Model {
    /// The events, oldest first.
    #[must_use]
    pub fn log(&self) -> &[Event] {
        &self.log
    }

    /// The appends that were stored.
    #[must_use]
    pub fn appends(&self) -> &[Append] {
        &self.appends
    }

    /// The end of the log.
    #[must_use]
    pub fn head(&self) -> Cursor {
        self.log.last().map_or(Cursor::START, Event::cursor)
    }

    /// The version of a stream's last event.
    #[must_use]
    pub fn version(&self, stream: &StreamId) -> Option<Version> {
        self.log.iter().rev().find(|event| event.stream() == stream).map(Event::version)
    }

    /// What has to become of this append.
    #[must_use]
    pub fn verdict(&self, append: &Append) -> ExpectedOutcome {
        if append.events().any(|event| self.known(event.id()).is_some()) {
            return self
                .original(append)
                .map_or(ExpectedOutcome::IdReused, ExpectedOutcome::Duplicate);
        }
        let failed = self.failed_checks(append);
        if failed.is_empty() { ExpectedOutcome::Stored } else { ExpectedOutcome::Conflict(failed) }
    }

    fn known(&self, id: EventId) -> Option<&Event> {
        self.log.iter().find(|event| event.id() == id)
    }

    fn original(&self, append: &Append) -> Option<Appended> {
        let stored = |write: &Write| -> Option<Vec<&Event>> {
            let events: Vec<_> =
                write.events.iter().map(|event| self.known(event.id())).collect::<Option<_>>()?;
            let same = events.iter().zip(&write.events).all(|(stored, offered)| {
                *stored.stream() == write.stream && stored.content().has_same_content(offered)
            });
            let in_order =
                events.windows(2).all(|pair| pair[0].version().next() == pair[1].version());
            (same && in_order).then_some(events)
        };
        let writes: Vec<_> = append.writes.iter().map(stored).collect::<Option<_>>()?;
        let all = || writes.iter().flatten();
        Some(Appended {
            writes: writes.iter().map(|events| written(events)).collect(),
            first: all().map(|event| event.position()).min()?,
            cursor: all().map(|event| event.cursor()).max()?,
            duplicate: true,
        })
    }

    fn failed_checks(&self, append: &Append) -> Vec<FailedCheck> {
        let stream = |stream: &StreamId, expected: Expected| {
            let actual = self.version(stream);
            (!expected.holds(actual)).then(|| FailedCheck::Stream {
                stream: stream.clone(),
                expected,
                actual,
            })
        };
        let writes = append.writes.iter().filter_map(|write| stream(&write.stream, write.expected));
        let checks = append.checks.iter().filter_map(|check| match check {
            Check::Stream(name, expected) => stream(name, *expected),
            Check::NothingAfter(filter, after) => {
                let later = |event: &&Event| event.position() > after.position();
                let found =
                    self.log.iter().filter(later).find(|event| filter.matches_event(event))?;
                Some(FailedCheck::Boundary { after: *after, found: found.cursor() })
            }
        });
        writes.chain(checks).collect()
    }

    /// Makes an append and compares its outcome.
    ///
    /// # Panics
    ///
    /// Panics where the store differs from the model.
    pub async fn append(&mut self, store: &dyn EventStore, append: &Append) -> ExpectedOutcome {
        let verdict = self.verdict(append);
        let outcome = store.append(append.clone()).await;
        match (&verdict, outcome) {
            (ExpectedOutcome::Stored, Ok(appended)) => self.record(store, append, &appended).await,
            (ExpectedOutcome::Stored, Err(error)) => {
                panic!("an append whose expectations hold was refused: {error}")
            }
            (ExpectedOutcome::Duplicate(original), Ok(appended)) => assert_eq!(
                appended, *original,
                "a repeat did not return the original versions and positions: an append whose ids \
                 are known is a duplicate and keeps both"
            ),
            (ExpectedOutcome::Duplicate(_), Err(error)) => panic!(
                "a repeat of a stored append was refused: `{error}`; look for known ids before \
                 checking expectations, know ids forever, and do not compare metadata"
            ),
            (ExpectedOutcome::Conflict(failed), Ok(_)) => panic!(
                "an append was stored although {}",
                failed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            ),
            (ExpectedOutcome::Conflict(failed), Err(error)) => {
                assert_eq!(
                    error.kind(),
                    ErrorKind::Conflict,
                    "a failed expectation has to be a conflict, and this is `{error}`"
                );
                assert_eq!(
                    sorted(error.failed_checks()),
                    sorted(failed),
                    "a conflict has to name every check that failed, with the actual version"
                );
            }
            (ExpectedOutcome::IdReused, Ok(_)) => panic!(
                "an append that uses a known id for another event was accepted: compare stream, \
                 order and content with what is stored"
            ),
            (ExpectedOutcome::IdReused, Err(error)) => assert_eq!(
                error.kind(),
                ErrorKind::IdReused,
                "a known id with other content has to be `IdReused`, and this is `{error}`"
            ),
        }
        self.expect_nothing_new(store, &verdict).await;
        verdict
    }

    /// Takes the versions and positions of a stored append from the store.
    async fn record(&mut self, store: &dyn EventStore, append: &Append, appended: &Appended) {
        assert!(!appended.duplicate, "an append with new ids was reported as a duplicate");
        let found = self.after_tip(store).await;
        let offered: Vec<_> = append
            .writes
            .iter()
            .flat_map(|write| write.events.iter().map(move |event| (&write.stream, event)))
            .collect();
        assert_eq!(
            found.len(),
            offered.len(),
            "an append of {} events stored {}: a batch is stored whole or not at all",
            offered.len(),
            found.len()
        );
        for (event, (stream, content)) in found.into_iter().zip(offered) {
            assert_eq!(event.stream(), stream, "an event came back in another stream");
            assert_eq!(event.content(), content, "an event came back with other content");
            assert_eq!(
                event.version(),
                Version::following(self.version(stream)),
                "versions of a stream are 1, 2, 3, ... in the order of the batch"
            );
            assert!(
                event.cursor().position() > self.head().position(),
                "positions rise along the log"
            );
            self.log.push(event);
        }
        let stored = self.original(append).expect("the append is in the model now");
        assert_eq!(
            *appended,
            Appended { duplicate: false, ..stored },
            "the places that an append returns are those where its events are"
        );
        self.appends.push(append.clone());
    }

    async fn after_tip(&self, store: &dyn EventStore) -> Vec<Event> {
        let read = Read::log()
            .with_after(self.head().position())
            .with_limit(1_000)
            .with_max_bytes(16 << 20);
        sample::pages(store, read).await
    }

    async fn expect_nothing_new(&self, store: &dyn EventStore, verdict: &ExpectedOutcome) {
        let left = self.after_tip(store).await.len();
        assert!(
            left == 0,
            "{left} events were left by an append that must not write any ({}): check first, then \
             insert, in one transaction",
            verdict.name()
        );
    }

    /// The events that a read of the log has to find, in its direction, without
    /// its limit.
    #[must_use]
    pub fn select_log(&self, read: &ReadLog) -> Vec<Event> {
        let forward = read.direction() == Direction::Forward;
        self.select(read, |event| match read.after() {
            Some(mark) if forward => event.position() > mark.position(),
            Some(mark) => event.position() < mark.position(),
            None => true,
        })
    }

    /// The events that a read of a stream has to find, in its direction, without
    /// its limit.
    #[must_use]
    pub fn select_stream(&self, read: &ReadStream) -> Vec<Event> {
        let forward = read.direction() == Direction::Forward;
        self.select(read, |event| {
            event.stream() == read.stream_id()
                && match read.after() {
                    Some(after) if forward => event.version() > after,
                    Some(after) => event.version() < after,
                    None => true,
                }
        })
    }

    fn select<S>(&self, read: &Read<S>, inside: impl Fn(&Event) -> bool) -> Vec<Event> {
        let forward = read.direction() == Direction::Forward;
        let wanted = self.log.iter().filter(|event| inside(event));
        let mut wanted: Vec<_> =
            wanted.filter(|event| read.filter().matches_event(event)).cloned().collect();
        if !forward {
            wanted.reverse();
        }
        wanted
    }

    /// Reads a page of the log and compares it.
    ///
    /// # Panics
    ///
    /// Panics where the store differs from the model.
    pub async fn read_log(&self, store: &dyn EventStore, read: &ReadLog) -> Page {
        let page = store.read_log(read.clone()).await.unwrap_or_else(|error| {
            panic!("a read from a cursor of this log was refused: {error}")
        });
        let wanted = self.select_log(read);
        self.compare(read, &page, &wanted);
        self.scanned(read, &page, &wanted);
        page
    }

    /// Reads a page of a stream and compares it.
    ///
    /// # Panics
    ///
    /// Panics where the store differs from the model.
    pub async fn read_stream(&self, store: &dyn EventStore, read: &ReadStream) -> Page {
        let page = store.read_stream(read.clone()).await;
        let page = page.unwrap_or_else(|error| panic!("a read of a stream was refused: {error}"));
        let wanted = self.select_stream(read);
        self.compare(read, &page, &wanted);
        self.span(read, &page, &wanted);
        page
    }

    fn compare<S>(&self, read: &Read<S>, page: &Page, wanted: &[Event]) {
        assert!(
            wanted.starts_with(&page.events),
            "a page is not the beginning of what the read selects\nselected {wanted:#?}\nfound \
             {:#?}",
            page.events
        );
        Self::bounds(read, page);
        assert_eq!(page.head, self.head(), "the head of a page has to be the end of the log");
        if !page.more {
            assert_eq!(
                page.events.len(),
                wanted.len(),
                "a page has `more: false`, and {} events are left",
                wanted.len() - page.events.len()
            );
        }
    }

    fn bounds<S>(read: &Read<S>, page: &Page) {
        assert!(
            page.events.len() <= read.limit(),
            "a page of at most {} events has {}",
            read.limit(),
            page.events.len()
        );
        let bytes: usize = page.events.iter().map(Event::size).sum();
        assert!(
            bytes <= read.max_bytes() || page.events.len() == 1,
            "a page of at most {} bytes has {bytes} in {} events: limit pages in bytes too",
            read.max_bytes(),
            page.events.len()
        );
    }

    fn scanned(&self, read: &ReadLog, page: &Page, wanted: &[Event]) {
        let scanned = page.scanned;
        assert!(
            scanned == Cursor::START || self.log.iter().any(|event| event.cursor() == scanned),
            "`scanned` is {scanned}, and no event of the log has that cursor"
        );
        let passed: HashSet<Position> = match read.direction() {
            Direction::Forward => positions(wanted, |position| position <= scanned.position()),
            Direction::Backward if scanned == Cursor::START => HashSet::new(),
            Direction::Backward => positions(wanted, |position| position >= scanned.position()),
        };
        let found = positions(&page.events, |_| true);
        assert!(
            passed.is_subset(&found),
            "`scanned` skipped {} matching events that are in no page",
            passed.difference(&found).count()
        );
        if scanned != Cursor::START || !page.events.is_empty() {
            assert!(
                found.is_subset(&passed),
                "`scanned` is before the last event of its own page: events would be returned twice"
            );
        }
        if read.direction() == Direction::Forward && !page.more {
            assert_eq!(
                scanned, page.head,
                "when nothing is left of a forward read, `scanned` has to be the head"
            );
        }
    }

    fn span(&self, read: &ReadStream, page: &Page, wanted: &[Event]) {
        let version = self.version(read.stream_id());
        assert_eq!(
            page.stream.map(|span| span.version),
            version,
            "a page of a stream has to have the version of the stream's last event"
        );
        let Some(scanned) = page.stream.and_then(|span| span.scanned) else { return };
        let passed = wanted.iter().filter(|event| match read.direction() {
            Direction::Forward => event.version() <= scanned,
            Direction::Backward => event.version() >= scanned,
        });
        assert_eq!(
            passed.count(),
            page.events.len(),
            "a page of a stream claims that it scanned up to version {scanned}, and its events are \
             others"
        );
    }
}

impl ExpectedOutcome {
    fn name(&self) -> &'static str {
        match self {
            Self::Stored => "more than its own",
            Self::Duplicate(_) => "a duplicate",
            Self::Conflict(_) => "a conflict",
            Self::IdReused => "an id that is known",
        }
    }
}

fn written(events: &[&Event]) -> Written {
    let [first, .., last] = events else {
        let only = events[0];
        return Written {
            stream: only.stream().clone(),
            first: only.version(),
            last: only.version(),
        };
    };
    Written { stream: first.stream().clone(), first: first.version(), last: last.version() }
}

fn positions(events: &[Event], wanted: impl Fn(Position) -> bool) -> HashSet<Position> {
    events.iter().map(Event::position).filter(|position| wanted(*position)).collect()
}

fn sorted(checks: &[FailedCheck]) -> Vec<String> {
    let mut checks: Vec<_> = checks.iter().map(|check| format!("{check:?}")).collect();
    checks.sort_unstable();
    checks
}
