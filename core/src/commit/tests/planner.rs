use std::collections::HashMap;

use proptest::prelude::*;

use crate::commit::*;
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind};
use crate::event::{Event, NewEvent, Timestamp};
use crate::filter::{Filter, FilterItem};
use crate::id::{EventId, Position, StreamId, Version};
use crate::store::{Append, Check, Expected};

/// A generated append, with three streams and eight ids to choose from.
#[derive(Clone, Debug)]
struct Offer {
    writes: Vec<OfferedWrite>,
    check: Option<(u8, ExpectedKind)>,
    boundary: Option<u8>,
}

/// A stream, what is expected of it, and events as id and content.
type OfferedWrite = (u8, ExpectedKind, Vec<(u8, u8)>);

#[derive(Clone, Copy, Debug)]
enum ExpectedKind {
    Any,
    NoStream,
    Exists,
    Exact(u64),
}

fn any_expected() -> impl Strategy<Value = ExpectedKind> {
    prop_oneof![
        4 => Just(ExpectedKind::Any),
        1 => Just(ExpectedKind::NoStream),
        1 => Just(ExpectedKind::Exists),
        2 => (1..4_u64).prop_map(ExpectedKind::Exact),
    ]
}

fn any_offer() -> impl Strategy<Value = Offer> {
    let events = || prop::collection::vec((0..40_u8, 0..2_u8), 1..3);
    let one = (0..3_u8, any_expected(), events());
    let two = (any_expected(), events(), any_expected(), events());
    let writes = prop_oneof![
        3 => one.prop_map(|write| vec![write]),
        1 => two.prop_map(|(a, b, c, d)| vec![(0, a, b), (1, c, d)]),
    ];
    let check = prop::option::weighted(0.3, (0..3_u8, any_expected()));
    (writes, check, prop::option::weighted(0.3, any::<u8>()))
        .prop_map(|(writes, check, boundary)| Offer { writes, check, boundary })
}

fn stream(number: u8) -> StreamId {
    StreamId::new(format!("flight-{number}")).unwrap()
}

fn expected(kind: ExpectedKind) -> Expected {
    match kind {
        ExpectedKind::Any => Expected::Any,
        ExpectedKind::NoStream => Expected::NoStream,
        ExpectedKind::Exists => Expected::Exists,
        ExpectedKind::Exact(version) => Expected::Exact(Version::new(version).unwrap()),
    }
}

fn boundary_filter() -> Filter {
    FilterItem::new().with_type("Type0").unwrap().into()
}

impl Offer {
    /// The append if it is valid, with its boundary somewhere in `log`.
    fn append(&self, log: &[Event]) -> Option<Append> {
        let mut append = Append::default();
        for (number, kind, events) in &self.writes {
            let events: Vec<_> = events.iter().map(|(id, content)| event(*id, *content)).collect();
            append = append.and(stream(*number), expected(*kind), events).unwrap();
        }
        if let Some((number, kind)) = self.check {
            append = append.with_check(Check::Stream(stream(number), expected(kind)));
        }
        if let Some(place) = self.boundary {
            let cursor = match usize::from(place) % (log.len() + 1) {
                0 => Cursor::START,
                n => log[n - 1].cursor(),
            };
            append = append.with_check(Check::NothingAfter(boundary_filter(), cursor));
        }
        append.validate().is_ok().then_some(append)
    }
}

fn event(id: u8, content: u8) -> NewEvent {
    NewEvent::json(format!("Type{content}"), "{}").unwrap().with_id(EventId::from_bytes([id; 16]))
}

/// The model: a plain log that takes one append at a time.
#[derive(Clone, Default)]
struct Model {
    log: Vec<Event>,
}

impl Model {
    fn version(&self, stream: &StreamId) -> Option<Version> {
        self.log.iter().rev().find(|event| event.stream() == stream).map(Event::version)
    }

    fn find(&self, id: EventId) -> Option<&Event> {
        self.log.iter().find(|event| event.id() == id)
    }

    /// `Ok(true)` for a duplicate.
    fn append(&mut self, append: &Append) -> Result<bool, ErrorKind> {
        if append.events().any(|event| self.find(event.id()).is_some()) {
            let whole = append.writes.iter().all(|write| self.is_stored(write));
            return if whole { Ok(true) } else { Err(ErrorKind::IdReused) };
        }
        let held =
            append.writes.iter().all(|write| write.expected.holds(self.version(&write.stream)))
                && append.checks.iter().all(|check| self.holds(check));
        if !held {
            return Err(ErrorKind::Conflict);
        }
        for write in &append.writes {
            for event in &write.events {
                let position = self.log.last().map_or(Position::ZERO, Event::position).next();
                let version = Version::following(self.version(&write.stream));
                let time = Timestamp::from_micros(1);
                self.log.push(Event::new(
                    position,
                    write.stream.clone(),
                    version,
                    time,
                    event.clone(),
                ));
            }
        }
        Ok(false)
    }

    fn is_stored(&self, write: &crate::store::Write) -> bool {
        let stored: Option<Vec<&Event>> =
            write.events.iter().map(|event| self.find(event.id())).collect();
        let Some(stored) = stored else { return false };
        let same = |(new, old): (&NewEvent, &&Event)| {
            *old.stream() == write.stream && old.content().has_same_content(new)
        };
        write.events.iter().zip(&stored).all(same)
            && stored.windows(2).all(|pair| pair[0].version().next() == pair[1].version())
    }

    fn holds(&self, check: &Check) -> bool {
        match check {
            Check::Stream(stream, expected) => expected.holds(self.version(stream)),
            Check::NothingAfter(filter, after) => {
                let came = |event: &&Event| event.position() > after.position();
                !self.log.iter().filter(came).any(|event| filter.matches_event(event))
            }
        }
    }

    fn facts(&self, group: &Group) -> Facts {
        let needs = group.needs();
        let heads = needs.streams.iter().filter_map(|s| Some(((*s).clone(), self.version(s)?)));
        let known = needs.ids.iter().filter_map(|id| Some((*id, self.find(*id)?.clone())));
        let boundary = |boundary: &Boundary<'_>| {
            let mut later =
                self.log.iter().filter(|event| event.position() > boundary.after.position());
            let found = later.find(|event| boundary.filter.matches_event(event));
            found.map_or(BoundaryFact::Clear, |event| BoundaryFact::Found(event.cursor()))
        };
        Facts {
            streams: heads.collect::<HashMap<_, _>>(),
            events: known.collect(),
            boundaries: needs.boundaries.iter().map(boundary).collect(),
        }
    }

    fn head(&self) -> LogHead {
        let after = |event: &Event| LogHead::after(event.cursor(), event.recorded_at());
        self.log.last().map_or(LogHead::EMPTY, after)
    }
}

proptest! {
    /// A group decides like its appends one after the other.
    #[test]
    fn a_group_decides_like_its_appends_in_sequence(
        before in prop::collection::vec(any_offer(), 0..6),
        offers in prop::collection::vec(any_offer(), 1..12),
    ) {
        let mut model = Model::default();
        for offer in before {
            if let Some(append) = offer.append(&model.log) {
                let _ = model.append(&append);
            }
        }
        let appends: Vec<_> = offers.iter().filter_map(|offer| offer.append(&model.log)).collect();
        let group = Group::new(appends.clone());
        let plan = group.decide(&model.facts(&group), model.head(), Timestamp::from_micros(1));

        let old = model.log.len();
        let outcomes: Vec<_> = appends.iter().map(|append| model.append(append)).collect();
        let decided: Vec<_> = plan
            .outcomes
            .iter()
            .map(|outcome| outcome.as_ref().map(|ok| ok.duplicate).map_err(Error::kind))
            .collect();
        prop_assert_eq!(decided, outcomes);
        prop_assert_eq!(&plan.rows[..], &model.log[old..]);
        prop_assert_eq!(plan.head, model.head());
        for head in &plan.streams {
            prop_assert_eq!(Some(head.version), model.version(&head.stream));
            let last = model.log.iter().rev().find(|event| *event.stream() == head.stream);
            prop_assert_eq!(Some(head.position), last.map(Event::position));
        }
    }
}

fn append(stream: &str, expected: Expected, events: &[NewEvent]) -> Append {
    Append::to(stream, expected, events).unwrap()
}

fn decide(appends: Vec<Append>, head: LogHead, now: Timestamp) -> Plan {
    Group::new(appends).decide(&Facts::default(), head, now)
}

#[test]
fn a_repetition_in_the_same_group_gets_the_original_positions() {
    let events = [event(1, 0), event(2, 0)];
    let first = append("flight-0", Expected::NoStream, &events);
    let plan = decide(vec![first.clone(), first], LogHead::EMPTY, Timestamp::EPOCH);
    let [Ok(original), Ok(repeat)] = &plan.outcomes[..] else { panic!("{:?}", plan.outcomes) };
    assert!(!original.duplicate && repeat.duplicate);
    assert_eq!((original.first, original.cursor), (repeat.first, repeat.cursor));
    assert_eq!(original.writes, repeat.writes);
    assert_eq!(plan.rows.len(), 2);
}

#[test]
fn every_failed_check_is_listed_with_the_actual_version() {
    let appends = vec![
        append("flight-0", Expected::Any, &[event(1, 0)]),
        append("flight-0", Expected::NoStream, &[event(2, 1)])
            .and("flight-1", Expected::Exists, [event(3, 1)])
            .unwrap()
            .with_check(Check::NothingAfter(boundary_filter(), Cursor::START)),
    ];
    let group = Group::new(appends);
    let facts = Facts { boundaries: vec![BoundaryFact::Clear], ..Facts::default() };
    let plan = group.decide(&facts, LogHead::EMPTY, Timestamp::EPOCH);
    let error = plan.outcomes[1].as_ref().unwrap_err();
    assert_eq!(error.failed_checks().len(), 3, "{error}");
    assert_eq!(plan.rows.len(), 1);
}

#[test]
fn a_boundary_of_another_history_refuses_its_append_only() {
    let other = Error::history_changed(Cursor::START);
    let appends = vec![
        append("flight-0", Expected::Any, &[event(1, 0)])
            .with_check(Check::NothingAfter(Filter::everything(), Cursor::START)),
        append("flight-0", Expected::Any, &[event(2, 0)]),
    ];
    let group = Group::new(appends);
    let facts = Facts { boundaries: vec![BoundaryFact::OtherHistory(other)], ..Facts::default() };
    let plan = group.decide(&facts, LogHead::EMPTY, Timestamp::EPOCH);
    assert_eq!(plan.outcomes[0].as_ref().unwrap_err().kind(), ErrorKind::HistoryChanged);
    assert!(plan.outcomes[1].is_ok());
}

#[test]
fn recorded_times_never_decrease_if_the_clock_goes_back() {
    let head = LogHead::after(Cursor::START, Timestamp::from_micros(9));
    let one = append("flight-0", Expected::Any, &[event(1, 0)]);
    let plan = decide(vec![one], head, Timestamp::from_micros(3));
    assert_eq!(plan.rows[0].recorded_at(), Timestamp::from_micros(9));
    assert_eq!(plan.head.recorded_at, Timestamp::from_micros(9));
}

#[test]
fn needs_list_each_thing_once() {
    let group = Group::new(vec![
        append("flight-0", Expected::Any, &[event(1, 0)])
            .with_check(Check::Stream(stream(1), Expected::Any)),
        append("flight-1", Expected::Any, &[event(1, 0), event(2, 0)])
            .with_check(Check::Stream(stream(0), Expected::Any)),
    ]);
    let needs = group.needs();
    assert_eq!(needs.streams, [&stream(0), &stream(1)]);
    assert_eq!(needs.ids.len(), 2);
}
