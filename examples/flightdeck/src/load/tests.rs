use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use downlink::store::{Appended, Page, ReadLog, ReadStream};
use downlink::{
    Append, Cursor, ErrorKind, Event, EventStore, EventStoreExt, Expected, MemoryStore, NewEvent,
    Read, StreamId,
};
use futures::TryStreamExt;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::batcher::{Batch, Batcher};
use super::timeline::Timeline;
use super::*;
use crate::day::Year;
use crate::flight::{FlightEvent, Flights, SCHEMA};
use crate::options::LogOptions;

const RECORDED: &str = include_str!("../../data/flights-2013-01-01.csv");

/// The first flights of the built-in day, on these days.
fn flights(days: &[&str]) -> String {
    let mut lines = RECORDED.lines();
    let header = lines.next().unwrap();
    let flights: Vec<_> = lines.take(60).collect();
    let on = |day: &&str| {
        let moved = flights.iter().map(|line| line.replacen("2013,1,1,", &format!("{day},"), 1));
        moved.map(|line| line + "\n").collect::<String>()
    };
    format!("{header}\n{}", days.iter().map(on).collect::<String>())
}

/// In the order of the published file: October before February.
fn three_days() -> String {
    flights(&["2013,1,1", "2013,1,2", "2013,10,1", "2013,2,1"])
}

struct Fixture {
    folder: TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    fn db(&self) -> PathBuf {
        self.folder.path().join("year.db")
    }

    async fn load(&self, file: &Path, append: bool) -> Result<LoadReport, LoadError> {
        let options =
            LoadOptions { file: file.into(), log: in_file(self.db(), "rusqlite"), append };
        load(&options, Progress::silent(), &CancellationToken::new()).await
    }

    async fn loaded(&self, file: &Path) -> LoadReport {
        self.load(file, false).await.unwrap()
    }

    /// The message if a file cannot be loaded.
    async fn error_message(&self, file: &Path) -> String {
        let error = self.load(file, false).await.unwrap_err();
        let cause = std::error::Error::source(&error);
        cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
    }

    async fn events(&self) -> Vec<Event> {
        let log = in_file(self.db(), "rusqlite").open().await.unwrap();
        let events = log.store().log_events(Read::log()).try_collect().await.unwrap();
        log.close().await;
        events
    }
}

fn in_file(db: PathBuf, store: &str) -> LogOptions {
    LogOptions { db, store: store.into(), bus: None }
}

fn event_of(event: &Event) -> FlightEvent {
    SCHEMA.decode(event).unwrap().unwrap()
}

fn batches(csv: &str) -> Vec<Batch> {
    let mut batcher = Batcher::default();
    let mut all = Vec::new();
    for planned in Timeline::new(Year::read(csv.as_bytes()).unwrap()) {
        all.extend(batcher.push(&planned.unwrap()).unwrap());
    }
    all.extend(batcher.finish());
    all
}

#[tokio::test]
async fn events_are_loaded_in_chronological_order() {
    let fixture = Fixture::new();
    let loaded = fixture.loaded(&fixture.file("flights.csv", three_days())).await;
    let events = fixture.events().await;
    assert_eq!((loaded.flights, loaded.existing, loaded.complete), (240, 0, true));
    assert_eq!(loaded.stored, u64::try_from(events.len()).unwrap());
    assert_eq!(loaded.cursor, events.last().unwrap().cursor());
    assert!(events.is_sorted_by_key(|event| event_of(event).at()));
    assert!(events.is_sorted_by_key(|event| event.id().as_bytes()[..6].to_vec()));
}

#[tokio::test]
async fn a_load_stores_the_same_events_as_the_replay() {
    let fixture = Fixture::new();
    fixture.loaded(&fixture.file("flights.csv", three_days())).await;
    let mut loaded: HashMap<StreamId, Vec<_>> = HashMap::new();
    for event in fixture.events().await {
        let content = (event.event_type().clone(), event.payload().clone(), event.tags().to_vec());
        loaded.entry(event.stream().clone()).or_default().push(content);
    }

    let hub = downlink::memory::hub().await.unwrap();
    for day in Year::read(three_days().as_bytes()).unwrap() {
        for plan in day.unwrap().into_flights() {
            for command in plan.commands {
                hub.execute(&Flights, plan.flight.stream(), command).await.unwrap();
            }
        }
    }
    let mut replayed: HashMap<StreamId, Vec<_>> = HashMap::new();
    for event in hub.log_events(Read::log()).try_collect::<Vec<_>>().await.unwrap() {
        let content = (event.event_type().clone(), event.payload().clone(), event.tags().to_vec());
        replayed.entry(event.stream().clone()).or_default().push(content);
    }
    assert_eq!(loaded, replayed);
}

#[tokio::test]
async fn a_second_load_stores_nothing() {
    let fixture = Fixture::new();
    let file = fixture.file("flights.csv", three_days());
    let first = fixture.loaded(&file).await;
    for append in [false, true] {
        let again = fixture.load(&file, append).await.unwrap();
        assert_eq!((again.stored, again.existing, again.complete), (0, first.stored, true));
        assert_eq!((again.flights, again.cursor), (first.flights, first.cursor));
    }
}

#[tokio::test]
async fn an_interrupted_load_resumes() {
    let whole = Fixture::new();
    whole.loaded(&whole.file("flights.csv", three_days())).await;
    let expected: Vec<_> = whole.events().await.iter().map(Event::id).collect();
    let batches = batches(&three_days());

    for stored in [1, batches.len() / 2, batches.len() - 1] {
        let fixture = Fixture::new();
        let log = in_file(fixture.db(), "rusqlite").open().await.unwrap();
        for batch in &batches[..stored] {
            log.store().append(batch.append.clone()).await.unwrap();
        }
        log.close().await;
        let loaded = fixture.loaded(&fixture.file("flights.csv", three_days())).await;
        assert!(loaded.complete && loaded.existing > 0 && loaded.stored > 0);
        let ids: Vec<_> = fixture.events().await.iter().map(Event::id).collect();
        assert_eq!(ids, expected);
    }
}

#[tokio::test]
async fn a_stopped_load_is_incomplete_and_resumes() {
    let fixture = Fixture::new();
    let file = fixture.file("flights.csv", three_days());
    let log = in_file(fixture.db(), "rusqlite");
    let options = LoadOptions { file: file.clone(), log, append: false };
    let stop = CancellationToken::new();
    stop.cancel();
    let stopped = load(&options, Progress::silent(), &stop).await.unwrap();
    assert!(!stopped.complete);
    assert!(fixture.loaded(&file).await.complete);
}

#[tokio::test]
async fn no_append_is_stored_before_the_previous_one() {
    let batches = batches(&three_days());
    let store = MemoryStore::new();
    for pair in batches.windows(2) {
        let early = store.append(pair[1].append.clone()).await.unwrap_err();
        assert_eq!(early.kind(), ErrorKind::Conflict);
        store.append(pair[0].append.clone()).await.unwrap();
    }
}

#[tokio::test]
async fn an_append_that_overtakes_is_retried() {
    let batches = batches(&three_days());
    let store = Overtaking::default();
    let stream = futures::stream::iter(batches.clone());
    let mut progress = Progress::silent();
    let tally = super::appender::append(&store, stream, &mut progress).await.unwrap();
    let events: usize = batches.iter().map(|batch| batch.append.events().count()).sum();
    assert_eq!(tally.stored, u64::try_from(events).unwrap());
    assert!(store.refused.load(Ordering::Relaxed) > 0, "nothing overtook");
}

#[tokio::test]
async fn a_log_with_other_events_is_not_changed() {
    let fixture = Fixture::new();
    let log = in_file(fixture.db(), "rusqlite").open().await.unwrap();
    let note = NewEvent::json("NoteWritten", "{}").unwrap();
    log.store().append_to("diary", Expected::Any, [note]).await.unwrap();
    log.close().await;

    let file = fixture.file("flights.csv", flights(&["2013,1,1"]));
    let message = fixture.error_message(&file).await;
    assert!(message.contains("NoteWritten in diary") && message.contains("--append"), "{message}");
    assert_eq!(fixture.events().await.len(), 1);
    let loaded = fixture.load(&file, true).await.unwrap();
    assert!(loaded.complete);
    assert_eq!(u64::try_from(fixture.events().await.len()).unwrap(), loaded.stored + 1);
    let again = fixture.load(&file, true).await.unwrap();
    assert_eq!((again.stored, again.existing, again.complete), (0, loaded.stored, true));
}

#[tokio::test]
async fn later_flights_are_added() {
    let fixture = Fixture::new();
    let first = fixture.loaded(&fixture.file("one.csv", flights(&["2013,1,1"]))).await;
    let both = fixture.file("two.csv", flights(&["2013,1,1", "2013,3,1"]));
    let second = fixture.loaded(&both).await;
    assert_eq!((second.existing, second.flights), (first.stored, 120));
}

fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[tokio::test]
async fn a_zip_file_is_loaded_like_its_content() {
    let csv = flights(&["2013,1,1"]);
    let plain = Fixture::new();
    let expected = plain.loaded(&plain.file("flights.csv", &csv)).await;
    let several: [&[_]; 2] = [
        &[("README", "text"), ("data/flights.csv", &csv)],
        &[("weather.csv", "a,b\n"), ("flights.csv", &csv)],
    ];
    for files in several {
        let fixture = Fixture::new();
        let loaded = fixture.loaded(&fixture.file("flights.zip", zipped(files))).await;
        assert_eq!((loaded.stored, loaded.cursor), (expected.stored, expected.cursor));
    }
}

#[tokio::test]
async fn errors_of_files_say_what_to_do() {
    let fixture = Fixture::new();
    let message = fixture.error_message(&fixture.folder.path().join("none.csv")).await;
    assert!(message.contains("there is no file") && message.contains("nycflights13"), "{message}");
    let message = fixture.error_message(&fixture.file("a.csv", "airport,city\nEWR,Newark\n")).await;
    assert!(message.contains("lacks the columns year"), "{message}");
    let message = fixture.error_message(&fixture.file("empty.zip", zipped(&[]))).await;
    assert!(message.contains("contains nothing"), "{message}");
    let texts = zipped(&[("a.txt", "text"), ("b.txt", "text")]);
    let message = fixture.error_message(&fixture.file("texts.zip", texts)).await;
    assert!(message.contains("contains a.txt, b.txt"), "{message}");
    let mut damaged = zipped(&[("flights.csv", &flights(&["2013,1,1"]))]);
    damaged.truncate(200);
    let message = fixture.error_message(&fixture.file("damaged.zip", damaged)).await;
    assert!(message.contains("cannot unpack"), "{message}");
    assert!(!fixture.db().exists(), "a log was created");
}

/// Delays every second append, as a store without a queue can.
#[derive(Debug, Default)]
struct Overtaking {
    store: MemoryStore,
    calls: AtomicUsize,
    refused: AtomicUsize,
}

#[async_trait::async_trait]
impl EventStore for Overtaking {
    async fn append(&self, append: Append) -> downlink::Result<Appended> {
        if self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            tokio::task::yield_now().await;
        }
        let outcome = self.store.append(append).await;
        self.refused.fetch_add(usize::from(outcome.is_err()), Ordering::Relaxed);
        outcome
    }

    async fn read_log(&self, read: ReadLog) -> downlink::Result<Page> {
        self.store.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> downlink::Result<Page> {
        self.store.read_stream(read).await
    }

    async fn head(&self) -> downlink::Result<Cursor> {
        self.store.head().await
    }

    fn commits(&self) -> Option<downlink::commit::Commits> {
        None
    }
}

#[tokio::test]
async fn both_drivers_load_the_same_events() {
    let fixture = Fixture::new();
    let file = fixture.file("flights.csv", three_days());
    let stop = CancellationToken::new();
    let mut made = Vec::new();
    for store in ["rusqlite", "sqlx"] {
        let log = in_file(fixture.folder.path().join(store), store);
        let options = LoadOptions { file: file.clone(), log, append: false };
        let loaded = load(&options, Progress::silent(), &stop).await.unwrap();
        let rebuilt = rebuild(&options, Progress::silent(), &stop).await.unwrap();
        assert!(rebuilt.complete);
        assert_eq!((rebuilt.models, rebuilt.events), (3, loaded.stored));
        // A second build has nothing to do.
        let again = rebuild(&options, Progress::silent(), &stop).await.unwrap();
        assert_eq!((again.complete, again.events), (true, 0));
        made.push((loaded.stored, loaded.cursor));
    }
    assert_eq!(made[0], made[1], "the two logs differ");
}
