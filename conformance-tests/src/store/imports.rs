use std::sync::Arc;

use downlink::commit::CommitNotice;
use downlink::event::{ContentType, StoredParts, Timestamp};
use downlink::store::{Import, ImportStore, Moved};
use downlink::{
    Append, Cursor, ErrorKind, Event, EventId, EventStore, EventType, Expected, NewEvent, Position,
    Tag, limits,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::fixture::ImportFixture;
use crate::run::LawRun;
use crate::sample::{NAMES, append, event, log, stream, stream_of, version};
use crate::tasks;

/// **Law.** Imported events are read back as they were given: positions with
/// their gaps, ids, streams, versions, times and every byte, also if new events
/// may not have such content or size.
pub fn imported_events_are_unchanged(run: &LawRun, fixture: &dyn ImportFixture) {
    run.cases(12, (any_log(), 1..7_usize), async |(events, batch)| {
        let (store, _guard) = fixture.open().await.expect("a fresh store");
        import_all(&*store, &events, batch).await;
    });
    run.cases(1, Just(()), async |()| {
        let (store, _guard) = fixture.open().await.expect("a fresh store");
        import_all(&*store, &beyond_the_limits(), 2).await;
    });
}

async fn import_all(store: &dyn ImportStore, events: &[Event], batch: usize) {
    let mut head = Cursor::START;
    for batch in events.chunks(batch) {
        head = put(store, head, batch).await;
    }
    assert_eq!(store.head().await.expect("the head"), head, "an import returns the new head");
    let found = log(store).await;
    for (found, given) in found.iter().zip(events) {
        compare(found, given);
    }
    assert_eq!(found.len(), events.len(), "every imported event has to come back, and no other");
    let mut of_streams = Vec::new();
    for name in NAMES {
        of_streams.extend(stream_of(store, &stream(name)).await);
    }
    of_streams.sort_by_key(Event::position);
    assert!(of_streams == found, "reads of the streams differ from a read of the log");
}

fn compare(found: &Event, given: &Event) {
    assert_eq!(
        (found.cursor(), found.version(), found.recorded_at()),
        (given.cursor(), given.version(), given.recorded_at()),
        "an imported event keeps its position, version and time"
    );
    assert!(
        found == given,
        "an imported event came back with other content: {given:?} was imported and {found:?} read"
    );
}

/// **Law.** An import that is refused writes nothing: neither its events nor
/// those before the one that does not fit.
pub async fn a_refused_import_writes_nothing(fixture: &dyn ImportFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    let first = vec![made(3, "gate", 1), made(4, "gate-1", 1), made(9, "gate", 2)];
    let head = put(&*store, Cursor::START, &first).await;
    let fits = || made(10, "gate", 3);
    let again = first[1].content().clone();
    for (what, after, events, kind) in [
        ("skips a version", head, vec![fits(), made(11, "gate", 5)], ErrorKind::Conflict),
        ("repeats a version", head, vec![fits(), made(11, "gate", 3)], ErrorKind::Conflict),
        (
            "begins a stream that exists",
            head,
            vec![fits(), made(11, "gate-1", 1)],
            ErrorKind::Conflict,
        ),
        ("continues no stream", head, vec![fits(), made(11, "tower", 2)], ErrorKind::Conflict),
        ("has a known id", head, vec![fits(), of(11, "tower", 1, again)], ErrorKind::IdReused),
        ("has an id twice", head, with_an_id_twice(), ErrorKind::IdReused),
        ("goes back", head, vec![fits(), made(10, "gate", 4)], ErrorKind::Invalid),
        ("is not after the log", head, vec![made(9, "gate", 3)], ErrorKind::Invalid),
        ("is empty", head, vec![], ErrorKind::Invalid),
        ("expects an earlier end", first[0].cursor(), vec![fits()], ErrorKind::Conflict),
        (
            "expects another end",
            made(9, "gate", 2).cursor(),
            vec![fits()],
            ErrorKind::HistoryChanged,
        ),
        ("expects a later end", fits().cursor(), vec![made(11, "gate", 4)], ErrorKind::CursorAhead),
    ] {
        let refused = store.import(Import::new(after, events)).await;
        let error = refused.err().unwrap_or_else(|| panic!("an import was stored that {what}"));
        assert_eq!(error.kind(), kind, "an import that {what}: {error}");
        let found = log(&*store).await;
        assert!(
            found == first,
            "events were left by an import that must not write any, because it {what}: roll its \
             transaction back"
        );
    }
    put(&*store, head, &[fits()]).await;
}

fn with_an_id_twice() -> Vec<Event> {
    let content = event("Twice");
    vec![of(10, "gate", 3, content.clone()), of(11, "tower", 1, content)]
}

/// **Law.** An import is stored only if the log ends where the import expects.
/// So an append between two imports makes the second fail, and of racing
/// imports exactly one wins.
pub async fn an_import_notices_another_writer(fixture: &dyn ImportFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    let head = put(&*store, Cursor::START, &[made(5, "gate", 1)]).await;
    store.append(append("tower", Expected::NoStream, 1)).await.expect("an append");
    let late = store.import(Import::new(head, vec![made(1_000, "gate", 2)])).await;
    let error = late.expect_err(
        "an import was stored although an append had moved the end of the log: compare the end \
         inside the transaction",
    );
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    for round in 0..10_u64 {
        let head = store.head().await.expect("the head");
        let racing = (1..=4_u64).map(|racer| {
            let store = Arc::clone(&store);
            let name = format!("flight-{round}-{racer}");
            let at = head.position().get() + racer;
            tokio::spawn(
                async move { store.import(Import::new(head, vec![made(at, &name, 1)])).await },
            )
        });
        let outcomes = tasks::join(racing.collect::<Vec<_>>()).await;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!(
            won == 1,
            "{won} of 4 racing imports after the same end of the log were stored, and one has to \
             be: compare the end inside the transaction"
        );
    }
}

/// **Law.** After an import, appends continue the log: with later positions and
/// the next versions. The ids of imported events are known, and an import is
/// reported to those who follow the commits of the store.
pub async fn appends_continue_after_an_import(fixture: &dyn ImportFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    let mut commits = store.commits();
    let events = vec![made(70, "gate", 1), made(90, "gate", 2)];
    let head = put(&*store, Cursor::START, &events).await;
    if let Some(commits) = &mut commits {
        match tasks::soon("an import was not reported", commits.next()).await {
            Some(CommitNotice::Committed(commit)) => {
                assert!(
                    commit.events[..] == events[..],
                    "an import was reported with other events"
                );
            }
            notice => assert!(notice.is_some(), "the notices of commits must not end"),
        }
    }
    let repeated = Append::to("gate", Expected::Any, [events[1].content().clone()]);
    let repeated = store.append(repeated.expect("a valid name")).await.expect("a repetition");
    assert!(
        repeated.duplicate && repeated.last() == head.position(),
        "an append that repeats an imported event has to be a duplicate: index the ids of imported \
         events"
    );
    let next = append("gate", Expected::Exact(version(2)), 1);
    let next = store.append(next).await.unwrap_or_else(|error| {
        panic!("an append to an imported stream was refused: store the end of the stream ({error})")
    });
    assert!(
        next.first > head.position(),
        "an append after an import got position {}, and the log ended at {}: move the end of the \
         log with an import",
        next.first,
        head.position()
    );
    let versions: Vec<_> =
        stream_of(&*store, &stream("gate")).await.iter().map(Event::version).collect();
    assert_eq!(versions, [version(1), version(2), version(3)]);
}

/// **Law.** Where events of another log are is stored with the events, and not
/// without them. A later import can go on with it.
pub async fn moved_positions_are_stored_with_their_events(fixture: &dyn ImportFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    assert!(moved(&*store).await.is_empty(), "nothing was moved into a fresh store");
    store.append(append("tower", Expected::NoStream, 3)).await.expect("an append");
    let head = store.head().await.expect("the head");
    let shift = head.position().get();
    let run = |source: &str, old_from: u64, old_to: u64| Moved {
        source: source.to_owned(),
        old_from: place(old_from),
        old_to: place(old_to),
        new_from: place(old_from + shift),
    };
    let import = |after, events, moved| store.import(Import::new(after, events).with_moved(moved));
    let first = vec![made(shift + 3, "gate", 1), made(shift + 5, "gate", 2)];
    let head = import(head, first, run("b", 1, 5)).await.expect("an import that fits");
    assert_eq!(moved(&*store).await, [run("b", 1, 5)], "what an import has stored");
    let skips = vec![made(shift + 6, "gate", 9)];
    let refused = import(head, skips.clone(), run("b", 1, 6)).await;
    refused.expect_err("a version is skipped");
    let elsewhere = import(head, skips, run("b", 1, 7)).await;
    assert_eq!(elsewhere.expect_err("another end").kind(), ErrorKind::Invalid);
    assert_eq!(
        moved(&*store).await,
        [run("b", 1, 5)],
        "a refused import has left where its events were to be: store it in the transaction of the \
         events"
    );
    let next = vec![made(shift + 6, "gate", 3)];
    let head = import(head, next, run("b", 1, 6)).await.expect("an import that fits");
    let other = vec![made(shift + 9, "gate", 4)];
    import(head, other, run("a", 2, 9)).await.expect("an import of another log");
    assert_eq!(moved(&*store).await, [run("a", 2, 9), run("b", 1, 6)], "each run once, sorted");
}

async fn moved(store: &dyn ImportStore) -> Vec<Moved> {
    store.moved().await.expect("where events were moved to")
}

fn place(position: u64) -> Position {
    Position::new(position).expect("a position")
}

async fn put(store: &dyn ImportStore, after: Cursor, events: &[Event]) -> Cursor {
    let imported = store.import(Import::new(after, events.to_vec())).await;
    let head = imported.unwrap_or_else(|error| panic!("an import that fits was refused: {error}"));
    assert_eq!(Some(head), events.last().map(Event::cursor), "an import returns the new head");
    head
}

fn made(position: u64, name: &str, number: usize) -> Event {
    of(position, name, number, event("FlightDelayed"))
}

fn of(position: u64, name: &str, number: usize, content: NewEvent) -> Event {
    let position = place(position);
    // Times of another clock, long ago.
    let time = Timestamp::from_micros(position.get() * 1_000 + 7);
    Event::new(position, stream(name), version(number), time, content)
}

/// The events of any log of another store.
fn any_log() -> impl Strategy<Value = Vec<Event>> {
    let one = (1_u64..40, 0..NAMES.len(), vec(any::<u8>(), 0..40), vec(0..NAMES.len(), 0..3));
    vec(one, 1..24).prop_map(|all| {
        let (mut at, mut versions) = (0, [0; NAMES.len()]);
        let events = all.into_iter().map(|(gap, name, payload, tags)| {
            at += gap;
            versions[name] += 1;
            let tags = tags.into_iter().map(|tag| NAMES[tag]).collect::<Vec<_>>();
            let content = parts(NAMES[name], payload, &tags);
            of(at, NAMES[name], versions[name], NewEvent::from_stored(content))
        });
        events.collect()
    })
}

fn parts(event_type: &str, payload: Vec<u8>, tags: &[&str]) -> StoredParts {
    StoredParts {
        id: EventId::now(),
        event_type: EventType::new(event_type).expect("a valid name"),
        // Some of it is no JSON, as an older release may have stored it.
        content_type: ContentType::JSON,
        payload: payload.into(),
        metadata: r#" {"trace": 1 } "#.into(),
        tags: tags.iter().map(|tag| Tag::new(tag).expect("a valid name")).collect(),
    }
}

/// Events that are larger than any new one may be.
fn beyond_the_limits() -> Vec<Event> {
    let payload = vec![b'7'; limits::MAX_PAYLOAD_BYTES + 1];
    let metadata = format!("{{\"a\":\"{}\"}}", "x".repeat(limits::MAX_METADATA_BYTES));
    let names: Vec<String> = (0..=limits::MAX_TAGS).map(|number| format!("tag-{number}")).collect();
    let tags: Vec<&str> = names.iter().map(String::as_str).collect();
    let deep = "[".repeat(10 * limits::MAX_JSON_DEPTH);
    let all = [
        parts("gate", payload, &[]),
        StoredParts { metadata: metadata.into(), ..parts("gate", Vec::new(), &[]) },
        parts("gate", deep.into_bytes(), &tags),
    ];
    let numbered = all.into_iter().zip(1..);
    numbered
        .map(|(parts, number)| {
            let at = u64::try_from(number).expect("a small number");
            of(at, "gate", number, NewEvent::from_stored(parts))
        })
        .collect()
}
