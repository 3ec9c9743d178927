//! The tutorial, run.

use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::time::Duration;

use departures::flight::{Command, FlightEvent, Flights};
use departures::through_rusqlite::{self, ByAirport};
use departures::{morning, through_sqlx, version_2};
use downlink::{
    BoxError, ExecuteError, Executor, Expected, FailurePolicy, Hub, LocalBus, NewEvent, Position,
    ProjectionStore,
};
use downlink_rusqlite::{BackupProgress, RusqliteStore};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// What the first flights come to.
fn expected() -> Vec<(String, u32)> {
    ["EWR", "JFK", "LGA"].map(|airport| (airport.to_owned(), 2)).into()
}

struct Desk {
    folder: TempDir,
}

impl Desk {
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
fn it_prints_what_the_book_shows_however_often_it_runs() {
    let desk = Desk::new();
    let shown = include_str!("output.txt");
    assert_eq!(run(&desk.path()), shown);
    assert_eq!(run(&desk.path()), shown);
    assert!(include_str!("../README.md").contains(shown), "the README shows something else");
}

#[tokio::test]
async fn what_is_not_of_the_program_costs_nothing_else() {
    let desk = Desk::new();
    let (store, hub) = desk.open().await;
    for event in [
        NewEvent::with_json("WeatherReported", "{}"),
        NewEvent::with_json("FlightDeparted", r#"{"gate":7}"#),
        NewEvent::with_json("FlightDeparted", "[]"),
    ] {
        hub.append("flight-XX1", Expected::Any, [event.expect("valid JSON")]).await.expect("room");
    }
    hub.shutdown().await;
    store.close().await;
    assert_eq!(run(&desk.path()), include_str!("output.txt"));
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
    let appended = hub.append("flight-UA1545", Expected::Any, [departed]).await?;
    board.wait_live().await?;
    board.wait_for(appended.cursor).await?;
    let (rows, cursor) = through_rusqlite::departed(&store).await?;
    assert_eq!(rows, [("EWR".to_owned(), 1)]);
    assert_eq!(cursor, appended.cursor);
    Ok(())
}
// ANCHOR_END: sql

#[tokio::test]
async fn both_drivers_make_the_same_table() {
    let desk = Desk::new();
    let path = desk.path();
    let store = downlink_sqlx::open(&path).await.unwrap();
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.unwrap();
    let board = hub.project(through_sqlx::ByAirport, store.clone()).start().unwrap();
    let departed = morning::depart(&Executor::new(&hub, Flights)).await.unwrap();
    board.wait_for(departed).await.unwrap();
    board.wait_live().await.unwrap();

    assert_eq!(through_sqlx::departed(&store).await.unwrap(), (expected(), departed));
    let other = downlink_rusqlite::open(&path).await.unwrap();
    assert_eq!(through_rusqlite::departed(&other).await.unwrap(), (expected(), departed));
}

#[tokio::test]
async fn a_refusal_is_an_answer() {
    let desk = Desk::new();
    let (_, hub) = desk.open().await;
    // ANCHOR: refused
    let answer = match hub.execute(&Flights, "flight-MQ3944", Command::Depart).await {
        Ok(done) => format!("departed, at {}", done.cursor),
        Err(ExecuteError::Refused(refused)) => format!("no: {refused}"),
        Err(ExecuteError::Store(error)) => format!("not now: {error}"),
        Err(ExecuteError::Undecodable(error)) => format!("somebody should look: {error}"),
    };
    // ANCHOR_END: refused
    assert_eq!(answer, "no: this flight is not on the board: schedule it first");
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_passed_over() {
    let desk = Desk::new();
    let (store, hub) = desk.open().await;
    // ANCHOR: skip
    let patient = FailurePolicy::skip().with_retries(3, Duration::from_millis(20));
    let board = hub.project(ByAirport, store.clone()).policy(patient).start().unwrap();
    // ANCHOR_END: skip
    // ANCHOR: unreadable
    let unreadable = NewEvent::with_json("FlightDeparted", r#"{"gate":"C71"}"#).unwrap();
    hub.append("flight-AA301", Expected::Any, [unreadable]).await.unwrap();
    // ANCHOR_END: unreadable
    let departed = morning::depart(&Executor::new(&hub, Flights)).await.unwrap();
    board.wait_for(departed).await.unwrap();
    board.wait_live().await.unwrap();
    assert_eq!(through_rusqlite::departed(&store).await.unwrap(), (expected(), departed));

    // ANCHOR: dead_letters
    let letters = board.dead_letters(Position::ZERO, 100).await.unwrap();
    for letter in &letters {
        println!("{} was passed over: {}", letter.cursor, letter.error);
    }
    // ANCHOR_END: dead_letters
    assert_eq!(letters.len(), 1);
    assert!(letters[0].error.contains("missing field `from`"), "{}", letters[0].error);
}

#[tokio::test]
async fn a_second_version_takes_over_when_it_is_complete() {
    let desk = Desk::new();
    let (store, hub) = desk.open().await;
    let board = hub.project(ByAirport, store.clone()).start().unwrap();
    let departed = morning::depart(&Executor::new(&hub, Flights)).await.unwrap();
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
async fn what_is_in_the_table_is_told_to_others_once() {
    let desk = Desk::new();
    let (store, hub) = desk.open().await;
    let (told, mut heard) = mpsc::channel(16);
    // ANCHOR: after
    let board = hub
        .project(ByAirport, store.clone())
        .after(move |events| {
            let told = told.clone();
            async move {
                for event in events {
                    // A mail, a call of another service. Here it is a channel.
                    let _ = told.send(event.stream().clone()).await;
                }
            }
        })
        .start()
        .unwrap();
    // ANCHOR_END: after
    board.wait_live().await.unwrap();
    morning::depart(&Executor::new(&hub, Flights)).await.unwrap();
    for (flight, ..) in morning::FLIGHTS {
        assert_eq!(heard.recv().await.unwrap().as_str(), format!("flight-{flight}"));
    }

    // ANCHOR: reset
    board.reset().await.unwrap();
    board.wait_for(hub.head().await.unwrap()).await.unwrap();
    // ANCHOR_END: reset
    board.shutdown().await;
    assert_eq!(heard.recv().await, None, "what was told is not told again");
}

#[tokio::test]
async fn a_backup_is_a_log_with_its_tables() {
    let desk = Desk::new();
    let (store, hub) = desk.open().await;
    let board = hub.project(ByAirport, store.clone()).start().unwrap();
    let departed = morning::depart(&Executor::new(&hub, Flights)).await.unwrap();
    board.wait_live().await.unwrap();
    board.wait_for(departed).await.unwrap();

    let path = desk.folder.path().join("flights-monday.db");
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
async fn a_backup_tells_how_far_it_is() {
    let desk = Desk::new();
    let (store, hub) = desk.open().await;
    morning::depart(&Executor::new(&hub, Flights)).await.unwrap();
    let path = desk.folder.path().join("flights-monday.db");
    // ANCHOR: progress
    let percent = |done: u64, total: u64| done * 100 / total.max(1);
    let tell = move |at: BackupProgress| println!("{} %", percent(at.done, at.total));
    store.backup_with(&path, tell).await.unwrap();
    // ANCHOR_END: progress
    assert!(path.exists());
}
