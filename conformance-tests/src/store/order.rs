use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use downlink::{Event, EventId, EventStore, Expected, Position, Read};
use tokio::task::{JoinHandle, yield_now};

use crate::faults::drop_after;
use crate::fixture::StoreFixture;
use crate::sample::{append, events, log, stream, stream_of};
use crate::tasks;

/// **Law.** Positions are unique and rise along the log. An append that begins
/// after another was acknowledged gets higher positions.
pub async fn positions_rise_in_commit_order(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    let acknowledged = Arc::new(AtomicU64::new(0));
    let writers = (0..6).map(|writer| {
        let (store, acknowledged) = (Arc::clone(&store), Arc::clone(&acknowledged));
        tokio::spawn(async move {
            for _ in 0..30 {
                let before = acknowledged.load(Ordering::SeqCst);
                let offered = append(&format!("flight-{writer}"), Expected::Any, 2);
                let appended = store.append(offered).await.expect("an append");
                assert!(
                    appended.first.get() > before,
                    "an append that began after position {before} was acknowledged got {}: assign \
                     positions in commit order, not by a clock",
                    appended.first
                );
                assert!(
                    appended.last() > appended.first,
                    "a later event of a batch has to have a higher position"
                );
                acknowledged.fetch_max(appended.last().get(), Ordering::SeqCst);
                yield_now().await;
            }
        })
    });
    tasks::join(writers.collect::<Vec<_>>()).await;
    let positions: Vec<_> = log(&*store).await.iter().map(Event::position).collect();
    assert_eq!(
        positions.len(),
        6 * 30 * 2,
        "the log has to have all events that were acknowledged"
    );
    let rising = positions.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(rising && positions[0] > Position::ZERO, "positions do not rise along the log");
}

/// **Law.** Once a read has returned an event or a head, nothing appears at or
/// below it that was not visible to every read that began later. A reader that
/// follows the log by its last position misses nothing.
pub async fn nothing_appears_below_the_head(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    let ended = Arc::new(AtomicBool::new(false));
    let followers: Vec<_> = (0..2).map(|_| follow(&store, &ended)).collect();
    let by_head = read_up_to_heads(&store, &ended);
    write_a_lot(&store).await;
    ended.store(true, Ordering::SeqCst);
    let all = ids(&log(&*store).await);
    for followed in tasks::join(followers).await {
        let missed = all.iter().filter(|id| !followed.contains(id)).count();
        assert!(
            missed == 0,
            "a reader that reads after its last event missed {missed} of {} events: events became \
             visible below positions that had been read; assign positions inside the commit",
            all.len()
        );
    }
    tasks::join([by_head]).await;
}

/// Follows the log by the last position seen, until nothing more comes.
fn follow(store: &Arc<dyn EventStore>, ended: &Arc<AtomicBool>) -> JoinHandle<Vec<EventId>> {
    let (store, ended) = (Arc::clone(store), Arc::clone(ended));
    tokio::spawn(async move {
        let (mut seen, mut last) = (Vec::new(), Position::ZERO);
        loop {
            let last_round = ended.load(Ordering::SeqCst);
            let page =
                store.read_log(Read::log().with_after(last).with_limit(7)).await.expect("a page");
            last = page.events.last().map_or(last, Event::position);
            seen.extend(page.events.iter().map(Event::id));
            if last_round && page.events.is_empty() {
                return seen;
            }
            yield_now().await;
        }
    })
}

/// Reads the head and the log up to it, and checks later that this was all.
fn read_up_to_heads(store: &Arc<dyn EventStore>, ended: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (store, ended) = (Arc::clone(store), Arc::clone(ended));
    tokio::spawn(async move {
        let mut promises: Vec<(Position, Vec<EventId>)> = Vec::new();
        while !ended.load(Ordering::SeqCst) {
            let head = store.head().await.expect("a head").position();
            let mut up_to_head = log(&*store).await;
            up_to_head.retain(|event| event.position() <= head);
            promises.push((head, ids(&up_to_head)));
            yield_now().await;
        }
        let all = log(&*store).await;
        for (head, seen) in promises {
            let below = all.iter().filter(|event| event.position() <= head).count();
            assert!(
                below == seen.len(),
                "the head was {head} and {} events were at or below it; later there were {below}: \
                 the head is the last position that is visible, not the highest that was assigned",
                seen.len()
            );
        }
    })
}

async fn write_a_lot(store: &Arc<dyn EventStore>) {
    let writers = (0..6).map(|writer| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for turn in 0..20 {
                let offered = append(&format!("flight-{writer}"), Expected::Any, 1 + turn % 3);
                store.append(offered).await.expect("an append");
                yield_now().await;
            }
        })
    });
    tasks::join(writers.collect::<Vec<_>>()).await;
}

fn ids(events: &[Event]) -> Vec<EventId> {
    events.iter().map(Event::id).collect()
}

/// **Law.** Every reader sees prefixes of one sequence, and the order within a
/// stream agrees with it.
pub async fn readers_see_prefixes_of_one_sequence(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    let ended = Arc::new(AtomicBool::new(false));
    let readers = (0..3).map(|_| {
        let (store, ended) = (Arc::clone(&store), Arc::clone(&ended));
        tokio::spawn(async move {
            let mut seen = Vec::new();
            while !ended.load(Ordering::SeqCst) {
                seen.push(ids(&log(&*store).await));
                yield_now().await;
            }
            seen
        })
    });
    let readers: Vec<_> = readers.collect();
    write_a_lot(&store).await;
    ended.store(true, Ordering::SeqCst);
    let all = log(&*store).await;
    let sequence = ids(&all);
    for seen in tasks::join(readers).await.into_iter().flatten() {
        assert!(
            sequence.starts_with(&seen),
            "a reader saw {} events that are not the beginning of the log as it is now: the log is \
             ordered by position, and the order is final at the commit",
            seen.len()
        );
    }
    for writer in 0..6 {
        let name = stream(&format!("flight-{writer}"));
        let own: Vec<_> = all.iter().filter(|event| *event.stream() == name).cloned().collect();
        assert_eq!(
            ids(&stream_of(&*store, &name).await),
            ids(&own),
            "the order of a stream and the order of the log differ"
        );
    }
}

/// **Law.** No position is used twice in one history, not even after a conflict
/// or a dropped append.
pub async fn no_position_is_used_twice(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    store.append(append("gate-C71", Expected::NoStream, 1)).await.expect("a first event");
    let used: Arc<Mutex<HashMap<Position, EventId>>> = Arc::default();
    let ended = Arc::new(AtomicBool::new(false));
    let passes = Arc::new(AtomicU64::new(0));
    let readers = (0..3).map(|_| watch_positions(&store, &used, &ended, &passes));
    let readers: Vec<_> = readers.collect();
    for turn in 0..60_u64 {
        // Waits until a reader has passed, so that reads overlap with every round.
        while passes.load(Ordering::SeqCst) < turn && !readers.iter().any(JoinHandle::is_finished) {
            yield_now().await;
        }
        let doomed = append("flight-UA1545", Expected::Any, 2)
            .and("gate-C71", Expected::NoStream, events(1))
            .expect("a valid name");
        store.append(doomed).await.expect_err("the gate's stream exists");
        let polls = usize::from(turn % 2 == 0);
        drop_after(polls, store.append(append("flight-AA1141", Expected::Any, 1))).await;
        store.append(append("flight-UA1545", Expected::Any, 1)).await.expect("an append");
        yield_now().await;
    }
    ended.store(true, Ordering::SeqCst);
    tasks::join(readers).await;
}

fn watch_positions(
    store: &Arc<dyn EventStore>,
    used: &Arc<Mutex<HashMap<Position, EventId>>>,
    ended: &Arc<AtomicBool>,
    passes: &Arc<AtomicU64>,
) -> JoinHandle<()> {
    let (store, used, ended) = (Arc::clone(store), Arc::clone(used), Arc::clone(ended));
    let passes = Arc::clone(passes);
    tokio::spawn(async move {
        while !ended.load(Ordering::SeqCst) {
            for event in log(&*store).await {
                let mut used = used.lock().unwrap_or_else(PoisonError::into_inner);
                let first = *used.entry(event.position()).or_insert(event.id());
                assert!(
                    first == event.id(),
                    "position {} belonged to event {first} and then to {}: never assign the \
                     position of a deleted row again",
                    event.position(),
                    event.id()
                );
            }
            passes.fetch_add(1, Ordering::SeqCst);
            yield_now().await;
        }
    })
}

/// **Law.** Through one handle, every read sees what was acknowledged before it
/// began, and never less than an earlier read did, whichever connection serves
/// it.
pub async fn reads_see_what_was_acknowledged(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    let writers = (0..4).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let name = stream(&format!("flight-{writer}"));
            let mut before = Position::ZERO;
            for turn in 1..=15 {
                let appended = store.append(append(name.as_str(), Expected::Any, 1)).await;
                let cursor = appended.expect("an append").cursor;
                for _ in 0..3 {
                    before = read_back(&*store, &name, turn, cursor, before).await;
                }
            }
        })
    });
    tasks::join(writers.collect::<Vec<_>>()).await;
}

async fn read_back(
    store: &dyn EventStore,
    name: &downlink::StreamId,
    events: usize,
    cursor: downlink::Cursor,
    before: Position,
) -> Position {
    let head = store.head().await.expect("a head").position();
    assert!(
        head >= cursor.position(),
        "the head is {head} after position {} was acknowledged: a read was served from an old \
         snapshot",
        cursor.position()
    );
    assert!(
        head >= before,
        "the head went back from {before} to {head}: a read was served from an old snapshot"
    );
    let found = stream_of(store, name).await.len();
    assert!(
        found == events,
        "a stream has {found} events after {events} were acknowledged: a read was served from an \
         old snapshot"
    );
    let page = store.read_log(Read::log().with_after(cursor).with_limit(1)).await;
    page.unwrap_or_else(|error| panic!("a cursor that was acknowledged was refused: {error}"));
    head
}

/// **Law.** `recorded_at` never decreases along the log, whatever the clock
/// does.
pub async fn recorded_times_never_decrease(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    write_a_lot(&store).await;
    store.append(append("flight-0", Expected::Exists, 2)).await.expect("an append");
    let all = log(&*store).await;
    for pair in all.windows(2) {
        assert!(
            pair[0].recorded_at() <= pair[1].recorded_at(),
            "`recorded_at` goes back from {} to {} along the log: take the time inside the commit, \
             and never one earlier than the last",
            pair[0].recorded_at(),
            pair[1].recorded_at()
        );
    }
}
