//! Queries of read models: the rows and the cursor are of one snapshot, and a query
//! cannot write.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use downlink::id::ProjectionId;
use downlink::projection::{ProjectionStore, Step, StepOutcome};
use downlink::{Cursor, ErrorKind, Event, EventStore, Hub, LocalBus, Projection, Read, Result};
use futures::{FutureExt, TryStreamExt, poll};
use tokio::time::timeout;

use crate::support::driver::{Options, Store};
use crate::support::{Tally, TempLog, all, append, ask, chain, panic_in_query, run, stored};

/// All streams with the number of their events, as one text.
fn tally(version: u32) -> String {
    format!(
        "SELECT coalesce((SELECT group_concat(line, ' ') FROM \
         (SELECT concat(stream, ':', events) AS line FROM tally_{version} ORDER BY stream)), '')"
    )
}

/// The same, folded from the log.
fn fold<'a>(log: impl Iterator<Item = &'a Event>) -> String {
    let mut streams = BTreeMap::<String, u32>::new();
    log.for_each(|event| *streams.entry(event.stream().to_string()).or_default() += 1);
    let lines: Vec<_> =
        streams.iter().map(|(stream, events)| format!("{stream}:{events}")).collect();
    lines.join(" ")
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(1), future).await.expect("a result in time")
}

/// Applies everything up to a position to a version of the tally.
async fn apply_up_to(store: &Store, version: u32, last: u64) -> Cursor {
    let projection: Arc<dyn Projection<Tx = _>> = Arc::new(Tally(version));
    let id = ProjectionId::new("tally", version).unwrap();
    let from = store.checkpoint(&id).await.unwrap();
    let wanted =
        |event: &Event| event.position() > from.position() && event.position().get() <= last;
    let events: Vec<_> = all(store).await.events.into_iter().filter(wanted).collect();
    let to = events.last().unwrap().cursor();
    let stepped = store.step(&projection, Step::new(from, to, events)).await.unwrap();
    assert!(matches!(stepped, StepOutcome::Applied { .. }), "{stepped:?}");
    to
}

/// A store with a live tally of three events of one stream.
async fn with_tally(temp: &TempLog, options: Options) -> (Store, Cursor) {
    let store = options.open(&temp.path).await.unwrap();
    stored(&store, "flight-UA1545", 3).await;
    let cursor = apply_up_to(&store, 1, 3).await;
    store.make_live(&ProjectionId::new("tally", 1).unwrap()).await.unwrap();
    (store, cursor)
}

async fn still_works(store: &Store, cursor: Cursor) {
    let answer = soon(ask(store, &[], tally)).await.unwrap();
    assert_eq!(answer, ((1, "flight-UA1545:3".into()), cursor));
    stored(store, "flight-UA1545", 1).await;
    assert!(store.verify().await.unwrap().is_sound());
}

/// **Law.** The rows of a query are the fold of the log up to its cursor, also
/// while the projection runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_the_fold_up_to_the_cursor() {
    let temp = TempLog::new();
    let store = temp.open().await;
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.unwrap();
    let projection = hub.project(Tally(1), store.clone()).start().unwrap();
    projection.wait_live().await.unwrap();
    let appending = tokio::spawn({
        let store = store.clone();
        async move {
            for round in 0..400_u32 {
                stored(&store, &format!("flight-{}", round % 13), 1 + round as usize % 5).await;
            }
        }
    });
    let mut answers = Vec::new();
    while !appending.is_finished() {
        answers.push(soon(ask(&store, &["SELECT 1"], tally)).await.unwrap());
    }
    appending.await.unwrap();
    let log: Vec<Event> = hub.log_events(Read::log()).try_collect().await.unwrap();
    let mut cursors: Vec<_> = answers.iter().map(|(_, cursor)| *cursor).collect();
    for ((_, rows), cursor) in answers {
        let seen = log.partition_point(|event| event.cursor() <= cursor);
        assert_eq!(rows, fold(log[..seen].iter()), "at {cursor}");
    }
    cursors.dedup();
    assert!(cursors.len() > 10, "too few different cursors: {}", cursors.len());
    hub.shutdown().await;
    store.close().await;
}

#[tokio::test]
async fn a_query_reads_the_live_version() {
    let temp = TempLog::new();
    let (store, first) = with_tally(&temp, Options::new()).await;
    let second = apply_up_to(&store, 2, 2).await;
    let live = ask(&store, &[], tally).await.unwrap();
    assert_eq!(live, ((1, "flight-UA1545:3".into()), first));
    store.make_live(&ProjectionId::new("tally", 2).unwrap()).await.unwrap();
    let live = ask(&store, &[], tally).await.unwrap();
    assert_eq!(live, ((2, "flight-UA1545:2".into()), second));
}

#[tokio::test]
async fn a_missing_read_model_is_an_error() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 3).await;
    let unknown = run(&store, "tally", "SELECT 1").await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Invalid);
    assert!(unknown.to_string().contains("no read model 'tally'"), "{unknown}");
    apply_up_to(&store, 1, 2).await;
    let incomplete = run(&store, "tally", "SELECT 1").await.unwrap_err();
    assert_eq!(incomplete.kind(), ErrorKind::Unavailable);
    assert!(incomplete.to_string().contains("still being built"), "{incomplete}");
    assert_eq!(run(&store, "", "SELECT 1").await.unwrap_err().kind(), ErrorKind::Invalid);
    store.close().await;
    let closed = run(&store, "tally", "SELECT 1").await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_query_cannot_write() {
    let temp = TempLog::new();
    let (store, cursor) = with_tally(&temp, Options::new()).await;
    for write in [
        "INSERT INTO tally_1 VALUES ('flight-AA1', 1)",
        "DELETE FROM tally_1",
        "DELETE FROM downlink_events",
        "UPDATE downlink_projections SET live = 0",
        "CREATE TABLE mine (a)",
        "CREATE TEMP TABLE tally_1 (a)",
        "DROP TABLE tally_1",
        "VACUUM",
    ] {
        let error = run(&store, "tally", write).await.unwrap_err();
        let is_refused = matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Backend);
        assert!(is_refused, "{write}: {}", chain(&error));
    }
    still_works(&store, cursor).await;
}

#[tokio::test]
async fn a_query_that_unlocks_its_connection_changes_nothing() {
    const WRITE: &str = "INSERT INTO tally_1 VALUES ('flight-AA1', 1)";
    const UNLOCK: &str = "PRAGMA query_only = OFF";
    let temp = TempLog::new();
    let (store, cursor) = with_tally(&temp, Options::new()).await;
    let attempts: [&'static [&'static str]; 4] = [
        &[UNLOCK, WRITE],
        &[UNLOCK, WRITE, "COMMIT"],
        &["COMMIT", UNLOCK, WRITE],
        &["ROLLBACK", UNLOCK, WRITE, "BEGIN", WRITE, "COMMIT", "BEGIN"],
    ];
    for attempt in attempts {
        // One driver refuses each statement, the other the result of the query.
        if let Ok(answer) = ask(&store, attempt, tally).await {
            assert_eq!(answer, ((1, "flight-UA1545:3".into()), cursor), "{attempt:?}");
        }
        let rows = ask(&store, &[], tally).await.unwrap();
        assert_eq!(rows, ((1, "flight-UA1545:3".into()), cursor), "{attempt:?}");
    }
    still_works(&store, cursor).await;
}

#[tokio::test]
async fn a_query_cannot_end_its_transaction() {
    let temp = TempLog::new();
    let options = Options::new().with_readers(1);
    let (store, cursor) = with_tally(&temp, options).await;
    for end in [
        "COMMIT",
        "END",
        "ROLLBACK",
        "COMMIT; BEGIN",
        "ROLLBACK; BEGIN IMMEDIATE",
        "SELECT 1; COMMIT",
        "/* so */ END",
        "-- so\nROLLBACK",
        "ROLLBACK; BEGIN; SAVEPOINT downlink_query",
    ] {
        let error = run(&store, "tally", end).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{end}: {}", chain(&error));
        still_works(&store, cursor).await;
    }
    for change in [
        "ATTACH ':memory:' AS other",
        "PRAGMA query_only = OFF",
        "PRAGMA busy_timeout = 0",
        "PRAGMA reverse_unordered_selects = ON",
    ] {
        let error = run(&store, "tally", change).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{change}: {}", chain(&error));
    }
    run(&store, "tally", "SAVEPOINT here; SELECT 1").await.unwrap();
    still_works(&store, cursor).await;
}

const ENDLESS: &str =
    "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

#[tokio::test]
async fn a_query_that_takes_too_long_is_stopped() {
    let temp = TempLog::new();
    let options = Options::new().with_readers(1).with_query_limit(Duration::from_millis(100));
    let (store, cursor) = with_tally(&temp, options).await;
    let stopped = |result: Result<Cursor>| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{}", chain(&error));
        assert!(error.to_string().contains("with_query_limit"), "{error}");
    };
    stopped(soon(run(&store, "tally", ENDLESS)).await);
    // Also if the code ignores the error of SQLite.
    stopped(soon(ask(&store, &[ENDLESS], tally)).await.map(|answer| answer.1));
    still_works(&store, cursor).await;
}

#[tokio::test]
async fn a_query_is_stopped_when_its_caller_is_dropped() {
    let temp = TempLog::new();
    let options = Options::new().with_readers(1).with_query_limit(Duration::from_hours(1));
    let (store, cursor) = with_tally(&temp, options).await;
    for _ in 0..3 {
        let mut waiting = run(&store, "tally", ENDLESS).boxed();
        assert!(poll!(&mut waiting).is_pending());
    }
    still_works(&store, cursor).await;
}

#[tokio::test]
async fn a_panic_in_a_query_does_not_lose_a_reader() {
    let temp = TempLog::new();
    let (store, cursor) = with_tally(&temp, Options::new().with_readers(1)).await;
    for _ in 0..3 {
        let error = soon(panic_in_query(&store)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Backend);
        assert!(error.to_string().contains("no such gate"), "{error}");
    }
    still_works(&store, cursor).await;
}

#[tokio::test]
async fn slow_queries_do_not_hold_up_reads_of_the_log() {
    let temp = TempLog::new();
    let options = Options::new().with_readers(1).with_query_limit(Duration::from_hours(1));
    let (store, _) = with_tally(&temp, options).await;
    let mut waiting = run(&store, "tally", ENDLESS).boxed();
    assert!(poll!(&mut waiting).is_pending());
    soon(store.append(append("flight-UA1545", 1))).await.unwrap();
    assert_eq!(soon(store.read_log(Read::log())).await.unwrap().events.len(), 4);
    drop(waiting);
    store.close().await;
}
