//! Runs the tutorial.

use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::time::Duration;

use departures::flight::{Command, Flight, FlightEvent, Flights};
use departures::through_rusqlite::{self, ByAirport};
use departures::{first_departures, through_sqlx, version_2};
use downlink::decider::{ExecuteError, Snapshots};
use downlink::projection::{FailurePolicy, ProjectionStore};
use downlink::{BoxError, Executor, Expected, Hub, LocalBus, NewEvent, Position};
use downlink_rusqlite::{BackupProgress, RusqliteStore};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// The departures by airport.
fn expected() -> Vec<(String, u32)> {
    ["EWR", "JFK", "LGA"].map(|airport| (airport.to_owned(), 2)).into()
}

struct Fixture {
    folder: TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("flights.db")
    }

    async fn open(&self) -> (RusqliteStore, Hub) {
        let store = downlink_rusqlite::open(self.path()).await.expect("a log");
        let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.expect("a hub");
        (store, hub)
    }
}

fn run(path: &Path) -> String {
    let program = env!("CARGO_BIN_EXE_departures");
    let output = Process::new(program).arg(path).output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn every_run_prints_the_output_in_the_book() {
    let fixture = Fixture::new();
    let expected = include_str!("output.txt");
    assert_eq!(run(&fixture.path()), expected);
    assert_eq!(run(&fixture.path()), expected);
    assert!(include_str!("../README.md").contains(expected), "the README has other output");
}

#[test]
fn help_does_not_create_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut program = Process::new(env!("CARGO_BIN_EXE_departures"));
    let output = program.arg("--help").current_dir(&folder).output().expect("the program runs");
    assert!(output.status.success() && !output.stdout.is_empty());
    assert_eq!(folder.path().read_dir().expect("a folder").count(), 0);
}

#[cfg(unix)]
#[test]
fn a_file_size_limit_is_an_error() {
    let fixture = Fixture::new();
    let limited = r#"ulimit -f 8; exec "$0" "$1""#;
    let mut program = Process::new("sh");
    program.args(["-c", limited, env!("CARGO_BIN_EXE_departures")]).arg(fixture.path());
    let output = program.output().expect("the program runs");
    assert_eq!(output.status.code(), Some(1), "it was killed: {}", output.status);
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("departures: "));
}

#[tokio::test]
async fn foreign_events_do_not_affect_the_table() {
    let fixture = Fixture::new();
    let (store, hub) = fixture.open().await;
    for event in [
        NewEvent::json("WeatherReported", "{}"),
        NewEvent::json("FlightDeparted", r#"{"gate":7}"#),
        NewEvent::json("FlightDeparted", "[]"),
    ] {
        hub.append_to("flight-XX1", Expected::Any, [event.expect("valid JSON")])
            .await
            .expect("an append");
    }
    hub.shutdown().await;
    store.close().await;
    assert_eq!(run(&fixture.path()), include_str!("output.txt"));
}

// ANCHOR: sql
#[tokio::test]
async fn departures_are_in_the_table() -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("flights.db");
    let store = downlink_rusqlite::open(&path).await?;
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;
    let board = hub.project(ByAirport, store.clone()).start()?;

    let departed = FlightEvent::FlightDeparted { from: "EWR".into(), late: 2 };
    let appended = hub.append_to("flight-UA1545", Expected::Any, [departed]).await?;
    board.wait_live().await?;
    board.wait_for(appended.cursor).await?;
    let (rows, cursor) = through_rusqlite::departed(&store).await?;
    assert_eq!(rows, [("EWR".to_owned(), 1)]);
    assert_eq!(cursor, appended.cursor);
    Ok(())
}
// ANCHOR_END: sql

#[tokio::test]
async fn both_drivers_build_the_same_table() {
    let fixture = Fixture::new();
    let path = fixture.path();
    let store = downlink_sqlx::open(&path).await.unwrap();
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.unwrap();
    let board = hub.project(through_sqlx::ByAirport, store.clone()).start().unwrap();
    let departed = first_departures::depart_all(&Executor::new(&hub, Flights)).await.unwrap();
    board.wait_for(departed).await.unwrap();
    board.wait_live().await.unwrap();

    assert_eq!(through_sqlx::departed(&store).await.unwrap(), (expected(), departed));
    let other = downlink_rusqlite::open(&path).await.unwrap();
    assert_eq!(through_rusqlite::departed(&other).await.unwrap(), (expected(), departed));
}

#[tokio::test]
async fn a_refusal_has_a_message() {
    let fixture = Fixture::new();
    let (_, hub) = fixture.open().await;
    // ANCHOR: refused
    let answer = match hub.execute(&Flights, "flight-MQ3944", Command::Depart).await {
        Ok(done) => format!("departed, at {}", done.cursor),
        Err(ExecuteError::Refused(refused)) => format!("no: {refused}"),
        Err(ExecuteError::Store(error)) => format!("not now: {error}"),
        Err(ExecuteError::Undecodable(error)) => format!("the stream cannot be decoded: {error}"),
    };
    // ANCHOR_END: refused
    assert_eq!(answer, "no: this flight is not on the board: schedule it first");
}

fn executor(store: &RusqliteStore, hub: &Hub) -> Executor<Flights> {
    // ANCHOR: snapshots
    let snapshots = Snapshots::new(store.clone(), "Flight", 1);
    Executor::new(hub, Flights).with_snapshots(snapshots)
    // ANCHOR_END: snapshots
}

/// The stored state is changed by hand, so that the answers show where they come from.
#[tokio::test]
async fn a_snapshot_is_used_after_a_restart_and_never_needed() {
    let fixture = Fixture::new();
    let (store, hub) = fixture.open().await;
    let flights = executor(&store, &hub);
    let schedule = Command::Schedule { from: "EWR".into(), to: "BOS".into() };
    flights.execute("flight-UA1545", schedule).await.unwrap();
    for _ in 1..=99 {
        flights.execute("flight-UA1545", Command::Delay { minutes: 1 }).await.unwrap();
    }
    hub.shutdown().await;
    store.close().await;

    let sql = rusqlite::Connection::open(fixture.path()).unwrap();
    let (store, hub) = fixture.open().await;
    let flights = executor(&store, &hub);
    for (change, late) in [
        ("SET state = CAST(replace(state, '99', '500') AS BLOB)", 501),
        ("SET schema = 2", 101),
        ("SET event = randomblob(16), schema = 1", 102),
        ("SET state = x'00'", 103),
    ] {
        let change = format!("UPDATE downlink_snapshots {change}");
        assert_eq!(sql.execute(&change, ()).unwrap(), 1, "{change}");
        let delay = Command::Delay { minutes: 1 };
        let done = flights.execute("flight-UA1545", delay).await.unwrap();
        assert_eq!(done.state, Flight::Waiting { from: "EWR".into(), late }, "{change}");
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_decoded_is_skipped() {
    let fixture = Fixture::new();
    let (store, hub) = fixture.open().await;
    // ANCHOR: skip
    let policy = FailurePolicy::skip().with_retries(3, Duration::from_millis(20));
    let board = hub.project(ByAirport, store.clone()).with_policy(policy).start().unwrap();
    // ANCHOR_END: skip
    // ANCHOR: unreadable
    let unreadable = NewEvent::json("FlightDeparted", r#"{"gate":"C71"}"#).unwrap();
    hub.append_to("flight-AA301", Expected::Any, [unreadable]).await.unwrap();
    // ANCHOR_END: unreadable
    let departed = first_departures::depart_all(&Executor::new(&hub, Flights)).await.unwrap();
    board.wait_for(departed).await.unwrap();
    board.wait_live().await.unwrap();
    assert_eq!(through_rusqlite::departed(&store).await.unwrap(), (expected(), departed));

    // ANCHOR: dead_letters
    let letters = board.dead_letters(Position::ZERO, 100).await.unwrap();
    for letter in &letters {
        println!("{} was skipped: {}", letter.cursor, letter.error);
    }
    // ANCHOR_END: dead_letters
    assert_eq!(letters.len(), 1);
    assert!(letters[0].error.contains("missing field `from`"), "{}", letters[0].error);
}

#[tokio::test]
async fn a_second_version_goes_live_when_it_is_complete() {
    let fixture = Fixture::new();
    let (store, hub) = fixture.open().await;
    let board = hub.project(ByAirport, store.clone()).start().unwrap();
    let departed = first_departures::depart_all(&Executor::new(&hub, Flights)).await.unwrap();
    board.wait_for(departed).await.unwrap();
    board.wait_live().await.unwrap();
    assert_eq!(store.live("by_airport").await.unwrap(), Some(1));

    let next = hub.project(version_2::ByAirport, store.clone()).start().unwrap();
    next.wait_live().await.unwrap();
    // ANCHOR: live
    let version = store.live("by_airport").await.unwrap();
    // ANCHOR_END: live
    assert_eq!(version, Some(2));
    let (late, _) = version_2::departed(&store).await.unwrap();
    assert_eq!(late.iter().map(|(.., late)| late).sum::<u32>(), 8);
}

#[tokio::test]
async fn side_effects_run_once_per_event() {
    let fixture = Fixture::new();
    let (store, hub) = fixture.open().await;
    let (sender, mut receiver) = mpsc::channel(16);
    // ANCHOR: after
    let board = hub
        .project(ByAirport, store.clone())
        .on_applied(move |events| {
            let sender = sender.clone();
            async move {
                for event in events {
                    // Send a mail or call another service; here, a channel.
                    let _ = sender.send(event.stream().clone()).await;
                }
            }
        })
        .start()
        .unwrap();
    // ANCHOR_END: after
    board.wait_live().await.unwrap();
    first_departures::depart_all(&Executor::new(&hub, Flights)).await.unwrap();
    for (flight, ..) in first_departures::FLIGHTS {
        assert_eq!(receiver.recv().await.unwrap().as_str(), format!("flight-{flight}"));
    }

    // ANCHOR: reset
    board.reset().await.unwrap();
    board.wait_for(hub.head().await.unwrap()).await.unwrap();
    // ANCHOR_END: reset
    board.shutdown().await;
    assert_eq!(receiver.recv().await, None, "a rebuild does not repeat side effects");
}

#[tokio::test]
async fn a_backup_has_the_log_and_its_tables() {
    let fixture = Fixture::new();
    let (store, hub) = fixture.open().await;
    let board = hub.project(ByAirport, store.clone()).start().unwrap();
    let departed = first_departures::depart_all(&Executor::new(&hub, Flights)).await.unwrap();
    board.wait_live().await.unwrap();
    board.wait_for(departed).await.unwrap();

    let path = fixture.folder.path().join("flights-monday.db");
    // ANCHOR: backup
    let backup = store.backup(&path).await.unwrap();
    println!("{} events, up to {}", backup.report.events, backup.report.head);
    // ANCHOR_END: backup
    assert_eq!(backup.report.head, departed);
    hub.shutdown().await;
    store.close().await;

    // ANCHOR: verify
    let report = downlink_rusqlite::verify(&path).await.unwrap();
    assert!(report.is_sound(), "{report}");
    // ANCHOR_END: verify
    let restored = downlink_rusqlite::open(&path).await.unwrap();
    assert_eq!(through_rusqlite::departed(&restored).await.unwrap(), (expected(), departed));
}

#[tokio::test]
async fn a_backup_reports_its_progress() {
    let fixture = Fixture::new();
    let (store, hub) = fixture.open().await;
    first_departures::depart_all(&Executor::new(&hub, Flights)).await.unwrap();
    let path = fixture.folder.path().join("flights-monday.db");
    // ANCHOR: progress
    let percent = |done: u64, total: u64| done * 100 / total.max(1);
    let report = move |at: BackupProgress| println!("{} %", percent(at.done, at.total));
    store.backup_with(&path, report).await.unwrap();
    // ANCHOR_END: progress
    assert!(path.exists());
}
