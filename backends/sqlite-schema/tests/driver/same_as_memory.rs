//! The store and the reference store give the same results for the same calls.

use downlink::error::FailedCheck;
use downlink::store::{Appended, Page};
use downlink::{
    Append, Check, Cursor, Error, ErrorKind, Event, EventStore, Expected, Filter, FilterItem,
    MemoryStore, NewEvent, Position, Read, Result, Version,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::support::driver::{self, Options};
use crate::support::{AnyRead, TempLog};

const STREAMS: [&str; 6] = ["a", "A", "ab", "a%", "b_", "é"];
const TYPES: [&str; 4] = ["Departed", "departed", "Dep", "Landed"];
const TAGS: [&str; 3] = ["x", "xy", "é"];

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<NewWrite>, Vec<NewCheck>),
    /// An earlier append again, possibly with other expectations.
    Repeat(Index, NewExpected),
    /// Parts of two earlier appends.
    Mix(Index, Index),
    Read(NewRead),
}

#[derive(Clone, Debug)]
struct NewWrite {
    stream: usize,
    expected: NewExpected,
    events: Vec<(usize, Vec<usize>, usize)>,
}

#[derive(Clone, Copy, Debug)]
enum NewExpected {
    Any,
    NoStream,
    Exists,
    Current,
    Stale,
}

#[derive(Clone, Debug)]
enum NewCheck {
    Stream(usize, NewExpected),
    Boundary(Filter, NewMark),
}

#[derive(Clone, Debug)]
enum NewMark {
    Start,
    At(Index),
    Ahead,
    Other(Index),
}

#[derive(Clone, Debug)]
struct NewRead {
    stream: Option<(usize, Option<u64>)>,
    mark: Option<(NewMark, bool)>,
    backward: bool,
    limit: usize,
    bytes: usize,
    filter: Filter,
}

fn expected() -> impl Strategy<Value = NewExpected> {
    use NewExpected::{Any, Current, Exists, NoStream, Stale};
    select(vec![Any, Any, NoStream, Exists, Current, Current, Stale])
}

fn write() -> impl Strategy<Value = NewWrite> {
    let event = (0..TYPES.len(), prop::collection::vec(0..TAGS.len(), 0..3), 0_usize..200);
    (0..STREAMS.len(), expected(), prop::collection::vec(event, 1..9))
        .prop_map(|(stream, expected, events)| NewWrite { stream, expected, events })
}

fn mark() -> impl Strategy<Value = NewMark> {
    prop_oneof![
        1 => Just(NewMark::Start),
        6 => any::<Index>().prop_map(NewMark::At),
        1 => Just(NewMark::Ahead),
        1 => any::<Index>().prop_map(NewMark::Other),
    ]
}

fn item() -> impl Strategy<Value = FilterItem> {
    let streams = prop::collection::vec((0..STREAMS.len(), prop::bool::weighted(0.3)), 0..3);
    let types = prop::collection::vec((0..TYPES.len(), any::<bool>()), 0..2);
    (
        streams,
        types,
        prop::collection::vec(0..TYPES.len(), 0..2),
        prop::collection::vec(0..TAGS.len(), 0..2),
    )
        .prop_map(|(streams, types, not_types, tags)| {
            let mut item = FilterItem::new();
            for (stream, prefix) in streams {
                let name = STREAMS[stream];
                item = if prefix { item.with_stream_prefix(name) } else { item.with_stream(name) }
                    .unwrap();
            }
            for (event_type, prefix) in types {
                let name = TYPES[event_type];
                item = if prefix { item.with_type_prefix(name) } else { item.with_type(name) }
                    .unwrap();
            }
            item = not_types
                .into_iter()
                .fold(item, |item, name| item.without_type(TYPES[name]).unwrap());
            tags.into_iter().fold(item, |item, tag| item.with_tag(TAGS[tag]).unwrap())
        })
}

fn filter() -> impl Strategy<Value = Filter> {
    let query =
        || prop::collection::vec(item(), 1..3).prop_map(|items| Filter::any_of(items).unwrap());
    prop_oneof![
        2 => Just(Filter::everything()),
        3 => query(),
        1 => (query(), query()).prop_map(|(a, b)| a.and(&b).unwrap()),
        1 => Just(Filter::nothing()),
        2 => prop::collection::vec(0..STREAMS.len(), 1..4).prop_map(|streams| {
            let names = streams.into_iter().map(|stream| STREAMS[stream]);
            FilterItem::new().with_streams(names).unwrap().into()
        }),
    ]
}

fn within<S>(read: Read<S>, limits: (usize, usize), filter: Filter, backward: bool) -> Read<S> {
    let (limit, bytes) = limits;
    let read = read.with_limit(limit).with_max_bytes(bytes).with_filter(filter);
    if backward { read.backward() } else { read }
}

fn read() -> impl Strategy<Value = NewRead> {
    let stream = prop::option::of((0..STREAMS.len(), prop::option::of(1_u64..40)));
    let bytes = prop_oneof![Just(1_usize << 20), 1_usize..1_000];
    let limit = prop_oneof![1 => Just(0_usize), 8 => 1_usize..30, 2 => Just(1_000)];
    (stream, prop::option::of((mark(), any::<bool>())), any::<bool>(), limit, bytes, filter())
        .prop_map(|(stream, mark, backward, limit, bytes, filter)| NewRead {
            stream,
            mark,
            backward,
            limit,
            bytes,
            filter,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let check = prop_oneof![
        (0..STREAMS.len(), expected())
            .prop_map(|(stream, expected)| NewCheck::Stream(stream, expected)),
        (filter(), mark()).prop_map(|(filter, mark)| NewCheck::Boundary(filter, mark)),
    ];
    let append = (prop::collection::vec(write(), 1..3), prop::collection::vec(check, 0..2));
    prop_oneof![
        6 => append.prop_map(|(writes, checks)| Step::Append(writes, checks)),
        1 => (any::<Index>(), expected()).prop_map(|(index, expected)| Step::Repeat(index, expected)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Step::Mix(a, b)),
        8 => read().prop_map(Step::Read),
    ]
}

/// Both stores, and what was appended to them.
struct Both {
    reference: MemoryStore,
    store: driver::Store,
    appends: Vec<Append>,
    events: Vec<Event>,
}

impl Both {
    fn expected(&self, stream: &str, expected: NewExpected) -> Expected {
        let last = self
            .events
            .iter()
            .rev()
            .find(|event| event.stream().as_str() == stream)
            .map(Event::version);
        match expected {
            NewExpected::Any => Expected::Any,
            NewExpected::NoStream => Expected::NoStream,
            NewExpected::Exists => Expected::Exists,
            NewExpected::Current => Expected::at(last),
            NewExpected::Stale => Expected::Exact(Version::following(last)),
        }
    }

    fn cursor(&self, mark: &NewMark) -> Cursor {
        let beyond = Position::new(self.events.len() as u64 + 1).unwrap();
        match mark {
            NewMark::Start => Cursor::START,
            NewMark::Ahead => Cursor::of(beyond, downlink::EventId::now()),
            NewMark::At(_) | NewMark::Other(_) if self.events.is_empty() => Cursor::START,
            NewMark::At(index) => index.get(&self.events).cursor(),
            NewMark::Other(index) => {
                Cursor::of(index.get(&self.events).position(), downlink::EventId::now())
            }
        }
    }

    fn append(&self, writes: Vec<NewWrite>, checks: Vec<NewCheck>) -> Append {
        let mut append = Append::default();
        for NewWrite { stream, expected, events } in writes {
            let stream = STREAMS[stream];
            let events: Vec<NewEvent> = events
                .into_iter()
                .map(|(event_type, tags, size)| {
                    let payload = format!("\"{}\"", "x".repeat(size));
                    let event = NewEvent::json(TYPES[event_type], payload).unwrap();
                    tags.into_iter().fold(event, |event, tag| event.with_tag(TAGS[tag]).unwrap())
                })
                .collect();
            append = append.and(stream, self.expected(stream, expected), events).unwrap();
        }
        for check in checks {
            append = append.with_check(match check {
                NewCheck::Stream(stream, expected) => {
                    let stream = STREAMS[stream];
                    Check::Stream(stream.try_into().unwrap(), self.expected(stream, expected))
                }
                NewCheck::Boundary(filter, mark) => Check::NothingAfter(filter, self.cursor(&mark)),
            });
        }
        append
    }

    async fn append_to_both(&mut self, append: Append) {
        let expected = self.reference.append(append.clone()).await;
        let found = self.store.append(append.clone()).await;
        assert_eq!(outcome(found), outcome(expected), "{append:?}");
        self.appends.push(append);
        let all = Read::log()
            .with_after(Position::new(self.events.len() as u64).unwrap())
            .with_limit(1_000);
        self.events.extend(self.reference.read_log(all).await.unwrap().events);
    }

    async fn read_from_both(&self, read: NewRead) {
        let NewRead { stream, mark, backward, limit, bytes, filter } = read;
        let limits = (limit, bytes);
        let read = if let Some((stream, after)) = stream {
            let read = Read::stream(STREAMS[stream].try_into().unwrap());
            let read = after
                .into_iter()
                .fold(read, |read, after| read.with_after(Version::new(after).unwrap()));
            AnyRead::Stream(within(read, limits, filter, backward))
        } else {
            let read = match mark {
                None => Read::log(),
                Some((mark, true)) => Read::log().with_after(self.cursor(&mark)),
                Some((mark, false)) => Read::log().with_after(self.cursor(&mark).position()),
            };
            AnyRead::Log(within(read, limits, filter, backward))
        };
        let expected = read.page(&self.reference).await;
        let found = read.page(&self.store).await;
        assert_eq!(page(found), page(expected), "{read:?}");
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Append(writes, checks) => {
                let append = self.append(writes, checks);
                self.append_to_both(append).await;
            }
            Step::Repeat(index, expected) if !self.appends.is_empty() => {
                let mut append = index.get(&self.appends).clone();
                for write in &mut append.writes {
                    write.expected = self.expected(write.stream.as_str(), expected);
                }
                self.append_to_both(append).await;
            }
            Step::Mix(a, b) if !self.appends.is_empty() => {
                let mut append = a.get(&self.appends).clone();
                append.writes.extend(b.get(&self.appends).writes.iter().take(1).cloned());
                self.append_to_both(append).await;
            }
            Step::Repeat(..) | Step::Mix(..) => {}
            Step::Read(read) => self.read_from_both(read).await,
        }
    }
}

type Failure = (ErrorKind, Vec<FailedCheck>);

fn failure(error: &Error) -> Failure {
    (error.kind(), error.failed_checks().to_vec())
}

fn outcome(result: Result<Appended>) -> Result<Appended, Failure> {
    result.map_err(|error| failure(&error))
}

type Stored = (Cursor, String, Version, NewEvent);

/// A page without the times.
fn page(result: Result<Page>) -> Result<(Vec<Stored>, String), Failure> {
    let mut page = result.map_err(|error| failure(&error))?;
    let parts = |event: Event| {
        (event.cursor(), event.stream().to_string(), event.version(), event.content().clone())
    };
    let events = std::mem::take(&mut page.events).into_iter().map(parts).collect();
    Ok((events, format!("{page:?}")))
}

fn run(prefix: usize, steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let temp = TempLog::new();
        let mut both = Both {
            reference: MemoryStore::new(),
            store: Options::new().with_index_lag(40).open(&temp.path).await.unwrap(),
            appends: Vec::new(),
            events: Vec::new(),
        };
        for chunk in 0..prefix {
            let write = |stream| NewWrite {
                stream,
                expected: NewExpected::Any,
                events: (0..7).map(|n| ((chunk + n) % 4, vec![n % 3], n * chunk % 90)).collect(),
            };
            let writes =
                (0..STREAMS.len()).filter(|stream| chunk % (stream + 1) == 0).map(write).collect();
            let append = both.append(writes, Vec::new());
            both.append_to_both(append).await;
        }
        for step in steps {
            both.step(step).await;
        }
        let report = both.store.verify().await.unwrap();
        assert!(report.is_sound(), "{report}");
        assert_eq!(report.events, both.events.len() as u64);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn short_logs_agree(steps in prop::collection::vec(step(), 1..40)) {
        run(0, steps);
    }
}

proptest! {
    // Fewer, because each takes more than a second.
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Logs long enough that named streams are read by their links.
    #[test]
    fn long_logs_agree(steps in prop::collection::vec(step(), 20..40)) {
        run(100, steps);
    }
}
