//! Moves a log of 1.4 million events from a file to PostgreSQL and back, and compares the first with the last.
//!
//! ```console
//! $ cargo bench -p downlink-any --bench move
//! $ cargo bench -p downlink-any --bench move -- --events 300000
//! $ cargo run --release -- load flights.csv.zip --db year.db && cargo bench -p downlink-any --bench move -- --file year.db
//! ```
//!
//! The events are those of a year of flights: of the day that FlightDeck replays, for each day of the year, unless a
//! file has them.

#[path = "../../../postgres/tests/postgres/server.rs"]
#[allow(dead_code, reason = "tests need the rest")]
mod server;
mod year;

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use downlink::Cursor;
use downlink::store::{Import, ImportStore};
use downlink_any::Log;
use server::Server;

/// What durable commits need, which the tests switch off.
const SETTINGS: &str = "-c fsync=on -c full_page_writes=on -c autovacuum=on";

/// The events of a batch of the generator.
const BATCH: usize = 5_000;

struct Arguments {
    events: usize,
    file: Option<PathBuf>,
}

impl Arguments {
    fn read() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let value = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name);
            at.and_then(|at| arguments.get(at + 1)).cloned()
        };
        let is_test = arguments.iter().any(|argument| argument == "--test");
        let events = value("--events").map(|number| number.parse().expect("a number"));
        Self {
            events: events.unwrap_or(if is_test { 14_000 } else { 1_400_000 }),
            file: value("--file").map(PathBuf::from),
        }
    }
}

fn main() {
    let arguments = Arguments::read();
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| format!("rusqlite:{}", folder.path().join(name).display());
    let (from, back) = (file("from.db"), file("back.db"));
    let from = arguments.file.map_or(from, |file| format!("rusqlite:{}", file.display()));
    if !from.starts_with("rusqlite:") || !PathBuf::from(&from["rusqlite:".len()..]).exists() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(fill(&from, arguments.events));
    }
    let postgres = Server::start_with(SETTINGS);
    for (what, arguments) in [
        ("from the file to PostgreSQL", vec!["--no-verify", &from, &postgres.url()]),
        ("comparing the two", vec!["--verify-only", &from, &postgres.url()]),
        ("from PostgreSQL to another file", vec!["--no-verify", &postgres.url(), &back]),
        ("comparing the first file with the last", vec!["--verify-only", &from, &back]),
    ] {
        run(what, &arguments);
    }
}

fn run(what: &str, arguments: &[&str]) {
    let began = Instant::now();
    println!("{what}");
    let status = Command::new(env!("CARGO_BIN_EXE_downlink-copy")).args(arguments).status();
    assert!(status.expect("the program runs").success(), "the program failed");
    println!("  in {:.1} s", began.elapsed().as_secs_f64());
}

/// Writes the events of a year into a file.
async fn fill(place: &str, count: usize) {
    let began = Instant::now();
    let log = Log::open(place).await.expect("a log");
    let (store, mut head) = (log.import_store(), Cursor::START);
    let mut year = year::events();
    loop {
        let left = count.saturating_sub(usize::try_from(head.position().get()).expect("a few"));
        let events: Vec<_> = year.by_ref().take(BATCH.min(left)).collect();
        if events.is_empty() {
            break;
        }
        head = store.import(Import::new(head, events)).await.expect("room on the disk");
    }
    log.close().await;
    println!("generated {} events in {:.1} s", head.position(), began.elapsed().as_secs_f64());
}
