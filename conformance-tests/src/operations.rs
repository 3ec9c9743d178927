use downlink::{
    Append, Check, Cursor, EventStore, Expected, Filter, NewEvent, Read, StreamId, Version,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::model::Model;
use crate::sample::{NAMES, any_event, any_filter, any_name, stream};

/// One operation of a generated history. Every operation is valid in every
/// state of the log, so that failing histories can shrink by leaving operations
/// out.
#[derive(Clone, Debug)]
pub enum Operation {
    /// New events for one to three streams, with checks on others.
    Append {
        /// Streams, what is expected of them, and events. Only the first entry
        /// of each name is used.
        writes: Vec<(&'static str, Expectation, Vec<NewEvent>)>,
        /// A check on a stream; ignored if the append writes that stream.
        check: Option<(&'static str, Expectation)>,
        /// A boundary this many events before the end of the log.
        boundary: Option<(Filter, u8)>,
    },
    /// Repeats an append that was stored.
    Repeat {
        /// Which.
        which: Index,
        /// What is expected this time.
        expected: Expectation,
        /// Whether the repeat has other metadata.
        new_metadata: bool,
    },
    /// Makes an append that uses known ids for other events.
    Misuse {
        /// Which append the ids are from.
        which: Index,
        /// How they are misused.
        how: Misuse,
    },
    /// Reads a page of the log.
    ReadLog {
        /// After which event; `None` for the end of the log where the read
        /// begins.
        after: Option<Index>,
        /// Whether the position is verified by its cursor.
        verified: bool,
        /// Whether newest first.
        backward: bool,
        /// How many events.
        limit: usize,
        /// How many bytes.
        max_bytes: usize,
        /// Which events.
        filter: Filter,
    },
    /// Reads a page of one stream.
    ReadStream {
        /// Which.
        name: &'static str,
        /// After which version, if at all.
        after: Option<u8>,
        /// Whether newest first.
        backward: bool,
        /// How many events.
        limit: usize,
        /// Which events.
        filter: Filter,
    },
}

/// What an append expects of a stream, relative to its actual version.
#[derive(Clone, Copy, Debug)]
pub enum Expectation {
    /// Nothing.
    Any,
    /// No events.
    NoStream,
    /// Some event.
    Exists,
    /// The version that it has.
    Current,
    /// A version that it had.
    Behind(u8),
    /// A version that it does not have yet.
    Ahead(u8),
}

/// How a known id is misused.
#[derive(Clone, Copy, Debug)]
pub enum Misuse {
    /// For another payload.
    OtherContent,
    /// For another stream.
    OtherStream,
    /// Together with a new event.
    PartlyNew,
    /// In another order.
    Reversed,
}

/// An operation that appends, repeats or misuses.
pub fn any_append() -> impl Strategy<Value = Operation> {
    let writes = vec((any_name(), any_expectation(), vec(any_event(), 1..4)), 1..4);
    let check = proptest::option::weighted(0.3, (any_name(), any_expectation()));
    let boundary = proptest::option::weighted(0.3, (any_filter(), 0..4_u8));
    (writes, check, boundary).prop_map(|(writes, check, boundary)| Operation::Append {
        writes,
        check,
        boundary,
    })
}

/// An operation that repeats an append.
pub fn any_repeat() -> impl Strategy<Value = Operation> {
    (any::<Index>(), any_expectation(), any::<bool>()).prop_map(
        |(which, expected, new_metadata)| Operation::Repeat { which, expected, new_metadata },
    )
}

/// An operation that misuses known ids.
pub fn any_misuse() -> impl Strategy<Value = Operation> {
    let how = prop_oneof![
        Just(Misuse::OtherContent),
        Just(Misuse::OtherStream),
        Just(Misuse::PartlyNew),
        Just(Misuse::Reversed)
    ];
    (any::<Index>(), how).prop_map(|(which, how)| Operation::Misuse { which, how })
}

/// An operation that reads a page.
pub fn any_read() -> impl Strategy<Value = Operation> {
    let bytes = prop_oneof![3 => Just(1 << 20), 1 => 0..80_usize];
    let log =
        (
            proptest::option::of(any::<Index>()),
            any::<bool>(),
            any::<bool>(),
            0..9_usize,
            bytes,
            any_filter(),
        )
            .prop_map(|(after, verified, backward, limit, max_bytes, filter)| {
                Operation::ReadLog { after, verified, backward, limit, max_bytes, filter }
            });
    let stream =
        (any_name(), proptest::option::of(1..9_u8), any::<bool>(), 0..5_usize, any_filter())
            .prop_map(|(name, after, backward, limit, filter)| Operation::ReadStream {
                name,
                after,
                backward,
                limit,
                filter,
            });
    prop_oneof![2 => log, 1 => stream]
}

/// Any operation.
pub fn any_operation() -> impl Strategy<Value = Operation> {
    prop_oneof![5 => any_append(), 2 => any_repeat(), 1 => any_misuse(), 4 => any_read()]
}

fn any_expectation() -> impl Strategy<Value = Expectation> {
    prop_oneof![
        3 => Just(Expectation::Any),
        2 => Just(Expectation::Current),
        1 => Just(Expectation::NoStream),
        1 => Just(Expectation::Exists),
        1 => (1..3_u8).prop_map(Expectation::Behind),
        1 => (1..3_u8).prop_map(Expectation::Ahead),
    ]
}

impl Operation {
    /// Performs the operation, and compares what the store does with the model.
    ///
    /// # Panics
    ///
    /// Panics where they differ.
    pub async fn apply(&self, model: &mut Model, store: &dyn EventStore) {
        match self {
            Self::ReadLog { .. } | Self::ReadStream { .. } => {
                self.read(store, model).await;
            }
            _ => {
                if let Some(append) = self.append(model) {
                    model.append(store, &append).await;
                }
            }
        }
    }

    fn append(&self, model: &Model) -> Option<Append> {
        match self {
            Self::Append { writes, check, boundary } => {
                let mut append = new_append(model, writes);
                append.checks.extend(stream_check(model, &append, *check));
                append.checks.extend(boundary.as_ref().map(|(filter, back)| {
                    Check::NothingAfter(filter.clone(), before_the_end(model, *back))
                }));
                Some(append)
            }
            Self::Repeat { which, expected, new_metadata } => {
                let mut append = stored(model, *which)?;
                for write in &mut append.writes {
                    write.expected = expected.of(model, &write.stream);
                    for event in write.events.iter_mut().filter(|_| *new_metadata) {
                        let new_metadata = event.clone().with_metadata_json(r#"{"trace":"retry"}"#);
                        *event = new_metadata.expect("valid metadata");
                    }
                }
                Some(append)
            }
            Self::Misuse { which, how } => Some(how.of(stored(model, *which)?)),
            Self::ReadLog { .. } | Self::ReadStream { .. } => None,
        }
    }

    async fn read(&self, store: &dyn EventStore, model: &Model) {
        match self {
            Self::ReadLog { after, verified, backward, limit, max_bytes, filter } => {
                let read = Read::log()
                    .with_limit(*limit)
                    .with_max_bytes(*max_bytes)
                    .with_filter(filter.clone());
                let read = if *backward { read.backward() } else { read };
                let read = match after.and_then(|after| pick(model.log(), after)) {
                    Some(event) if *verified => read.with_after(event.cursor()),
                    Some(event) => read.with_after(event.position()),
                    None => read,
                };
                model.read_log(store, &read).await;
            }
            Self::ReadStream { name, after, backward, limit, filter } => {
                let read =
                    Read::stream(stream(name)).with_limit(*limit).with_filter(filter.clone());
                let read = if *backward { read.backward() } else { read };
                let read = match after.and_then(|after| Version::new(after.into())) {
                    Some(version) => read.with_after(version),
                    None => read,
                };
                model.read_stream(store, &read).await;
            }
            Self::Append { .. } | Self::Repeat { .. } | Self::Misuse { .. } => {}
        }
    }
}

fn new_append(model: &Model, writes: &[(&'static str, Expectation, Vec<NewEvent>)]) -> Append {
    let mut append = Append::default();
    for (name, expectation, events) in writes {
        let name = stream(name);
        if append.writes.iter().all(|write| write.stream != name) {
            let expected = expectation.of(model, &name);
            // A failing case is retried on a fresh log with the same generated ids, so each run needs new ones.
            let events: Vec<_> = events.iter().map(with_new_id).collect();
            append = append.and(&name, expected, events).expect("a valid name");
        }
    }
    append
}

fn with_new_id(event: &NewEvent) -> NewEvent {
    event.clone().with_id(downlink::EventId::now())
}

fn stream_check(
    model: &Model,
    append: &Append,
    check: Option<(&'static str, Expectation)>,
) -> Option<Check> {
    let (name, expectation) = check?;
    let name = stream(name);
    let written = append.writes.iter().any(|write| write.stream == name);
    (!written).then(|| Check::Stream(name.clone(), expectation.of(model, &name)))
}

fn before_the_end(model: &Model, back: u8) -> Cursor {
    let events = model.log();
    match events.len().checked_sub(usize::from(back) + 1) {
        Some(index) => events[index].cursor(),
        None => Cursor::START,
    }
}

fn stored(model: &Model, which: Index) -> Option<Append> {
    pick(model.appends(), which).cloned()
}

fn pick<T>(of: &[T], which: Index) -> Option<&T> {
    (!of.is_empty()).then(|| which.get(of))
}

impl Expectation {
    fn of(self, model: &Model, stream: &StreamId) -> Expected {
        let actual = model.version(stream);
        let number = actual.map_or(0, Version::get);
        match self {
            Self::Any => Expected::Any,
            Self::NoStream => Expected::NoStream,
            Self::Exists => Expected::Exists,
            Self::Current => Expected::at(actual),
            Self::Behind(by) => Expected::at(Version::new(number.saturating_sub(by.into()))),
            Self::Ahead(by) => Expected::at(Version::new(number + u64::from(by))),
        }
    }
}

impl Misuse {
    /// The append with its ids misused.
    #[must_use]
    pub fn of(self, mut append: Append) -> Append {
        let write = &mut append.writes[0];
        match self {
            Self::OtherContent => {
                let other = NewEvent::json("FlightDiverted", "{\"other\":true}");
                write.events[0] = other.expect("valid JSON").with_id(write.events[0].id());
            }
            Self::OtherStream => {
                let free = |name: &&&str| **name != write.stream.as_str();
                write.stream = stream(NAMES.iter().find(free).expect("more than one name"));
                append.writes.truncate(1);
                append.checks.clear();
            }
            Self::PartlyNew => write.events.push(crate::sample::event("FlightDelayed")),
            Self::Reversed if write.events.len() > 1 => write.events.reverse(),
            Self::Reversed => write.events.insert(0, crate::sample::event("FlightDelayed")),
        }
        append
    }
}
