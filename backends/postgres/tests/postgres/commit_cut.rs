//! The connection is cut at COMMIT: the result of each append matches what is
//! stored, and nothing is stored twice.

use std::collections::HashMap;
use std::time::Duration;

use downlink::commit::{CommitNotice, Commits};
use downlink::store::Appended;
use downlink::{Append, ErrorKind, Event, EventId, EventStore, Expected, NewEvent, Read, Result};
use downlink_conformance_tests::WriteLock;
use downlink_postgres::PostgresStore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::fixture::Lock;
use crate::proxy::{Cut, Proxy};
use crate::server::{Server, fresh_schema, options};

const CUTS: [Cut; 4] =
    [Cut::Answer, Cut::Commit, Cut::CommitSilently, Cut::CommitUntilTheNextBegins];

/// An append that takes longer hangs.
const DEADLINE: Duration = Duration::from_mins(1);

struct Scene {
    proxy: Proxy,
    store: PostgresStore,
    lock: Lock,
}

impl Scene {
    async fn new() -> Self {
        let (server, schema) = (Server::get(), fresh_schema());
        let proxy = Proxy::start(server.socket()).await;
        let store = options(&schema).connect(&proxy.url()).await.expect("a store");
        let lock = Lock::of(schema).await.expect("a connection");
        Self { proxy, store, lock }
    }

    /// Runs all these appends. All are in the queue before the first one is
    /// committed, so the first is committed alone and the others as a group.
    async fn append_at_once(&self, appends: &[Append]) -> Vec<Result<Appended>> {
        self.lock.hold().await.expect("the lock");
        let mut running = JoinSet::new();
        for (index, append) in appends.iter().cloned().enumerate() {
            let store = self.store.clone();
            running.spawn(async move { (index, store.append(append).await) });
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.lock.release().await.expect("the lock to be free");
        let ended = timeout(DEADLINE, running.join_all()).await;
        let mut outcomes = ended.expect("an append hangs after its connection was cut");
        outcomes.sort_by_key(|(index, _)| *index);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    async fn log(&self) -> Vec<Event> {
        self.store.read_log(Read::log().with_limit(1_000)).await.expect("the log").events
    }
}

fn append(stream: &str, expected: Expected) -> Append {
    let event = |kind| NewEvent::json(kind, "{}").expect("an event");
    Append::to(stream, expected, [event("FlightDeparted"), event("FlightLanded")])
        .expect("a valid name")
}

/// Compares the result of an append with what is stored.
fn compare(append: &Append, appended: &Appended, log: &[Event]) {
    let found: Vec<_> =
        append.events().map(|event| log.iter().find(|stored| stored.id() == event.id())).collect();
    let found: Vec<_> =
        found.into_iter().map(|found| found.expect("the event is stored")).collect();
    assert_eq!(appended.first, found[0].position());
    assert_eq!(appended.cursor, found[found.len() - 1].cursor());
    assert_eq!(appended.writes[0].first, found[0].version());
    assert_eq!(appended.writes[0].last, found[found.len() - 1].version());
}

/// Checks that no event is stored twice, that versions have no gaps and that
/// positions increase.
pub(crate) fn check_log(log: &[Event]) {
    let mut versions: HashMap<_, u64> = HashMap::new();
    let ids: std::collections::HashSet<EventId> = log.iter().map(Event::id).collect();
    assert_eq!(ids.len(), log.len(), "an event is stored twice");
    assert!(log.is_sorted_by(|one, next| one.position() < next.position()));
    for event in log {
        let version = versions.entry(event.stream().clone()).or_default();
        *version += 1;
        assert_eq!(event.version().get(), *version, "a stream has a gap");
    }
}

/// Checks that the events of commit notices are stored, and that there is a hint
/// if some stored event is in none of them.
fn check_notices(commits: &mut Commits, log: &[Event]) {
    let (mut notified, mut is_hinted) = (0, false);
    while let Some(notice) = commits.try_next() {
        match notice {
            CommitNotice::Hint => is_hinted = true,
            CommitNotice::Committed(commit) => {
                notified += commit.events.len();
                let are_stored = commit.events.iter().all(|event| log.contains(event));
                assert!(are_stored, "a notice has an event that is not stored");
            }
        }
    }
    let stored = log.len();
    assert!(is_hinted || notified == stored, "{notified} events in notices, {stored} stored");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn the_result_of_an_append_matches_what_is_stored() {
    for cut in CUTS {
        for cuts in [&[cut][..], &[Cut::Nothing, cut]] {
            let scene = Scene::new().await;
            let mut commits = scene.store.commits().expect("commit notices");
            scene.proxy.cut(cuts);
            let mut appends: Vec<_> =
                (0..6).map(|n| append(&format!("flight-{n}"), Expected::NoStream)).collect();
            // One repeats another, one conflicts with another, and one always conflicts.
            appends.push(appends[3].clone());
            appends.push(append("flight-0", Expected::NoStream));
            appends.push(append("flight-9", Expected::Exists));
            let outcomes = scene.append_at_once(&appends).await;
            assert!(scene.proxy.has_cut_all(), "{cuts:?}: nothing was cut");
            let log = scene.log().await;
            check_log(&log);
            assert_eq!(log.len(), 12, "{cuts:?}: nothing is lost and nothing is stored twice");
            check_notices(&mut commits, &log);
            check_outcomes(&appends, &outcomes, &log, cuts);
        }
    }
}

/// Checks the outcomes of [`the_result_of_an_append_matches_what_is_stored`].
fn check_outcomes(appends: &[Append], outcomes: &[Result<Appended>], log: &[Event], cuts: &[Cut]) {
    let is_ok = |index: usize| outcomes[index].is_ok();
    assert!(is_ok(0) != is_ok(7), "{cuts:?}: exactly one of two that expect no stream succeeds");
    assert!(!is_ok(8), "{cuts:?}: an append to a missing stream succeeded");
    let mut duplicates = Vec::new();
    for (index, (append, outcome)) in appends.iter().zip(outcomes).enumerate() {
        match outcome {
            Ok(appended) => {
                compare(append, appended, log);
                duplicates.extend(appended.duplicate.then_some(index));
            }
            Err(error) => {
                assert!(matches!(index, 0 | 7 | 8), "{cuts:?}: append {index} failed: '{error}'");
                assert_eq!(error.kind(), ErrorKind::Conflict, "{cuts:?}: '{error}'");
            }
        }
    }
    let one_of_two = matches!(duplicates[..], [3 | 6]);
    assert!(one_of_two, "{cuts:?}: {duplicates:?} are duplicates, expected 3 or 6");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn an_append_that_is_cut_twice_is_stored_or_its_outcome_is_unknown() {
    for first in CUTS {
        for second in CUTS {
            let scene = Scene::new().await;
            scene.proxy.cut(&[first, second]);
            let offered = append("flight-UA1545", Expected::NoStream);
            let outcome = timeout(DEADLINE, scene.store.append(offered.clone())).await;
            match outcome.expect("the append hangs after its connection was cut") {
                Ok(appended) => {
                    assert!(!appended.duplicate);
                    compare(&offered, &appended, &scene.log().await);
                }
                Err(error) => assert_eq!(
                    error.kind(),
                    ErrorKind::OutcomeUnknown,
                    "{first:?}, {second:?}: '{error}'"
                ),
            }
            assert!(scene.proxy.has_cut_all(), "{first:?}, {second:?}: nothing was cut");
            let repeated = scene.store.append(offered.clone()).await.expect("a repetition");
            let log = scene.log().await;
            check_log(&log);
            assert_eq!(log.len(), 2, "{first:?}, {second:?}: stored once");
            compare(&offered, &repeated, &log);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_client_that_vanished_holds_the_lock_for_seconds_only() {
    let scene = Scene::new().await;
    scene.proxy.cut(&[Cut::CommitSilently]);
    let outcome = scene.store.append(append("flight-UA1545", Expected::NoStream));
    let outcome = timeout(DEADLINE, outcome).await.expect("the lock is not released");
    // The lock was released within the busy deadline, 5 s by default.
    assert!(!outcome.expect("an append").duplicate);
    assert_eq!(scene.log().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn connections_lost_while_idle_are_reopened() {
    let scene = Scene::new().await;
    for version in 1..4 {
        let appended = scene.store.append(append("flight-UA1545", Expected::Any)).await;
        let appended = appended.expect("an append after the connections were cut");
        assert_eq!(appended.writes[0].last.get(), 2 * version);
        assert_eq!(scene.store.head().await.expect("a head"), appended.cursor);
        scene.proxy.hang_up();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn an_append_takes_three_round_trips_and_a_new_stream_one_more() {
    let scene = Scene::new().await;
    for (stream, round_trips) in [("flight-UA1545", 4), ("flight-UA1545", 3), ("flight-B6725", 4)] {
        let before = scene.proxy.round_trips();
        scene.store.append(append(stream, Expected::Any)).await.expect("an append");
        assert_eq!(scene.proxy.round_trips() - before, round_trips, "{stream}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_lock_held_past_the_deadline_is_busy() {
    let schema = fresh_schema();
    let impatient = options(&schema).with_busy_deadline(Duration::from_millis(50));
    let store = impatient.connect(&Server::get().url()).await.unwrap();
    let lock = Lock::of(schema).await.unwrap();
    lock.hold().await.unwrap();
    let refused = store.append(append("flight-UA1545", Expected::NoStream)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
    lock.release().await.unwrap();
    store.append(append("flight-UA1545", Expected::NoStream)).await.expect("the lock is free");
}
