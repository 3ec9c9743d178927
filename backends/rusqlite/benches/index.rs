//! How much the index of types and tags speeds up reads, and how much it slows
//! down appends.
//!
//! ```console
//! $ cargo bench -p downlink-rusqlite --bench index
//! $ cargo bench -p downlink-rusqlite --bench index -- --events 300000 --seconds 5
//! ```
//!
//! Both logs have the same events, of which one in 200,000 is tagged `rare`. One
//! log has an index, and reads of the other scan it. The appenders alternate
//! between the two in short turns. Boundaries are checked from the start of the
//! log.

use std::path::Path;
use std::time::{Duration, Instant};

use downlink::store::ReadLog;
use downlink::{Append, Check, Cursor, EventStore, Expected, Filter, FilterItem, NewEvent, Read};
use downlink_rusqlite::{Options, RusqliteStore};
use tempfile::TempDir;

/// Events for each one that is tagged.
const RARE: u64 = 200_000;

/// How many appends wait at once.
const APPENDERS: u64 = 64;

/// Turns of each log.
const TURNS: u32 = 20;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let value = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
    };
    let events = if is_test { 20_000 } else { value("--events", 1_000_000) };
    let turn = if is_test {
        Duration::from_millis(5)
    } else {
        Duration::from_secs(value("--seconds", 10)) / TURNS
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(compare(events, turn));
}

async fn compare(events: u64, turn: Duration) {
    let folder = TempDir::new().expect("a folder");
    let open =
        |name: &str, lag: usize| Options::new().with_index_lag(lag).open(folder.path().join(name));
    let indexed = open("indexed.db", 4_096).await.expect("a log");
    let scanned = open("scanned.db", usize::MAX).await.expect("a log");
    println!("{events} events, one in {RARE} tagged");
    let began = Instant::now();
    for store in [&indexed, &scanned] {
        fill(store, events).await;
    }
    println!("filled both in {:.0?}", began.elapsed());
    let began = Instant::now();
    let lag = settle(&indexed, &folder.path().join("indexed.db"), events).await;
    println!("index {lag} events behind, {:.1?} after the last append", began.elapsed());

    println!("{:<28}{:>14}{:>14}{:>9}", "", "indexed", "scanned", "ratio");
    let rare = Filter::from(FilterItem::new().with_tag("rare").expect("a tag"));
    for (name, read) in [
        ("all that are tagged", Read::log().with_filter(rare.clone())),
        ("the last that is tagged", Read::log().with_filter(rare.clone()).backward().with_limit(1)),
    ] {
        let times = [median(&indexed, &read).await, median(&scanned, &read).await];
        row(name, times);
    }
    let last = Read::log().with_filter(rare.clone()).backward().with_limit(1);
    let mut times = [Duration::ZERO; 2];
    for (store, time) in [&indexed, &scanned].into_iter().zip(&mut times) {
        let after = whole(store, last.clone()).await.pop().unwrap_or(Cursor::START);
        *time = boundary(store, &rare, after).await;
    }
    row("append with a boundary", times);

    let mut counts = [0_u64; 2];
    for _ in 0..TURNS {
        for (store, count) in [&indexed, &scanned].into_iter().zip(&mut counts) {
            *count += append_for(store, turn).await;
        }
    }
    let total = (turn * TURNS).as_secs();
    println!(
        "{APPENDERS} appenders, {total} s each: {} and {} appends, {:.2} of without an index",
        counts[0],
        counts[1],
        ratio(counts[0], counts[1]),
    );
    for store in [indexed, scanned] {
        store.close().await;
    }
}

fn row(name: &str, [indexed, scanned]: [Duration; 2]) {
    let ratio = scanned.as_secs_f64() / indexed.as_secs_f64();
    println!("{name:<28}{indexed:>14.1?}{scanned:>14.1?}{ratio:>8.0}x");
}

#[expect(clippy::cast_precision_loss, reason = "a ratio needs no 53 bits")]
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other.max(1) as f64
}

fn event(number: u64) -> NewEvent {
    let kind = ["FlightScheduled", "FlightDeparted", "FlightLanded"]
        [usize::try_from(number % 3).expect("small")];
    let event = NewEvent::json(kind, format!(r#"{{"minutes":{}}}"#, number % 90));
    let event = event.expect("an event");
    if number % RARE == RARE / 2 { event.with_tag("rare").expect("a tag") } else { event }
}

async fn fill(store: &RusqliteStore, events: u64) {
    for first in (0..events).step_by(1_000) {
        let rows: Vec<_> = (first..events.min(first + 1_000)).map(event).collect();
        let append = Append::to(format!("day-{}", first / 1_000 % 365), Expected::Any, rows);
        store.append(append.expect("an append")).await.expect("stored");
    }
}

/// Waits until the index is up to date, and returns how far it is behind.
async fn settle(store: &RusqliteStore, file: &Path, events: u64) -> u64 {
    let connection = rusqlite::Connection::open(file).expect("a connection");
    loop {
        let indexed: i64 = connection
            .query_row("SELECT position FROM downlink_indexed", (), |row| row.get(0))
            .expect("the index");
        let indexed = indexed.unsigned_abs();
        if events - indexed < 4_096 {
            return store.head().await.expect("a head").position().get() - indexed;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn whole(store: &RusqliteStore, mut read: ReadLog) -> Vec<Cursor> {
    let limit = read.limit();
    let mut found = Vec::new();
    loop {
        let page = store.read_log(read.clone()).await.expect("a page");
        found.extend(page.events.iter().map(downlink::Event::cursor));
        if !page.more || found.len() >= limit {
            return found;
        }
        read = read.with_after(page.scanned);
    }
}

async fn median(store: &RusqliteStore, read: &ReadLog) -> Duration {
    let mut times = Vec::new();
    for _ in 0..9 {
        let began = Instant::now();
        whole(store, read.clone()).await;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

async fn boundary(store: &RusqliteStore, filter: &Filter, after: Cursor) -> Duration {
    let mut times = Vec::new();
    for number in 0..9 {
        // The boundary was read long ago, so everything after it has to be checked.
        let check = Check::NothingAfter(filter.clone(), after);
        let append = Append::to("decided", Expected::Any, [event(number)]).expect("an append");
        let began = Instant::now();
        store.append(append.with_check(check)).await.expect("stored");
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

async fn append_for(store: &RusqliteStore, time: Duration) -> u64 {
    let until = Instant::now() + time;
    let appenders = (0..APPENDERS).map(|appender| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut count = 0;
            while Instant::now() < until {
                let event = event(appender * 3 + count);
                let append = Append::to(format!("own-{appender}"), Expected::Any, [event]);
                store.append(append.expect("an append")).await.expect("stored");
                count += 1;
            }
            count
        })
    });
    let mut count = 0;
    for appender in appenders.collect::<Vec<_>>() {
        count += appender.await.expect("an appender");
    }
    count
}
