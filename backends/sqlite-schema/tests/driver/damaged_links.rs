//! Wrong links: a read that follows them returns the right events or `Corrupt`,
//! and never hangs.

use std::time::Duration;

use downlink::store::Page;
use downlink::{
    Error, ErrorKind, EventStore, Filter, FilterItem, Position, Read, StreamId, Version,
};
use rusqlite::Connection;
use tokio::time::timeout;

use crate::support::driver::{DAMAGES_EACH, Store, verify};
use crate::support::{AnyRead, TempLog, append, stored};

const STREAM: &str = "flight-UA1545";
const OTHER: &str = "flight-AA1";
const LAST: u64 = 8;
/// Enough events that a filter for streams follows their links.
const BETWEEN: usize = 600;

/// The position of the stream's event with this version.
fn place_of(version: u64) -> u64 {
    let filler = if version > LAST / 2 { BETWEEN as u64 } else { 0 };
    2 * version - 1 + filler
}

/// A log with a stream of some events, each followed by one of another stream.
async fn log(temp: &TempLog) -> Store {
    let store = temp.open().await;
    for version in 1..=LAST {
        let at = stored(&store, STREAM, 1).await.cursor.position();
        assert_eq!(at.get(), place_of(version));
        stored(&store, OTHER, 1).await;
        if version == LAST / 2 {
            stored(&store, "flight-filler", BETWEEN).await;
        }
    }
    store
}

/// All reads that follow links.
fn reads() -> Vec<AnyRead> {
    let (mut streams, mut reads) = (Vec::new(), Vec::new());
    let named = |name: &str| StreamId::new(name).unwrap();
    let departed: Filter = FilterItem::new().with_type_prefix("Flight").unwrap().into();
    for after in [0, 1, 3, 4, 5, 7, 8] {
        let read = Read::stream(named(STREAM));
        let read = Version::new(after).map_or(read.clone(), |after| read.with_after(after));
        streams.extend([
            read.clone(),
            read.clone().with_limit(2),
            read.with_filter(departed.clone()),
        ]);
    }
    let one = FilterItem::new().with_stream(STREAM).unwrap();
    let both = one.clone().with_stream(OTHER).unwrap();
    for filter in [Filter::from(one), Filter::from(both)] {
        let read = Read::log().with_filter(filter);
        for version in [1, 2, 3, 4] {
            let at = Position::new(place_of(version)).unwrap();
            reads.extend([read.clone().with_after(at), read.clone().with_after(at).with_limit(1)]);
        }
        for version in [5, 6, 8] {
            let at = Position::new(place_of(version)).unwrap();
            let back = read.clone().backward().with_after(at);
            reads.extend([back.clone(), back.with_limit(1)]);
        }
        reads.extend([read.clone(), read.clone().backward(), read.with_limit(2)]);
    }
    let back: Vec<_> = streams.iter().map(|read| read.clone().backward()).collect();
    let streams = streams.into_iter().chain(back).map(AnyRead::Stream);
    streams.chain(reads.into_iter().map(AnyRead::Log)).collect()
}

type Answer = Result<(Vec<(u64, u64)>, bool, u64), ErrorKind>;

fn answer(page: Result<Page, Error>) -> Answer {
    let place = |event: &downlink::Event| (event.position().get(), event.version().get());
    page.map(|page| {
        (page.events.iter().map(place).collect(), page.more, page.scanned.position().get())
    })
    .map_err(|error| error.kind())
}

async fn answers(store: &Store, reads: &[AnyRead], what: &str) -> Vec<Answer> {
    let mut answers = Vec::new();
    for read in reads {
        let page = timeout(Duration::from_secs(20), read.page(store)).await;
        answers.push(answer(page.unwrap_or_else(|_| panic!("no answer to {read:?} after {what}"))));
    }
    answers
}

/// Damages the file in each of these ways in turn, and repairs it again.
async fn damaged_by(damages: impl IntoIterator<Item = String>) {
    let temp = TempLog::new();
    let store = log(&temp).await;
    let reads = reads();
    let right = answers(&store, &reads, "nothing").await;
    assert!(right.iter().all(Result::is_ok), "{right:?}");
    let other = temp.sql();
    for damage in damages.into_iter().step_by(DAMAGES_EACH) {
        keep(&other);
        other.execute_batch(&damage).unwrap_or_else(|error| panic!("{damage}: {error}"));
        let mut reported = 0;
        let found = answers(&store, &reads, &damage).await;
        for ((read, right), found) in reads.iter().zip(&right).zip(&found) {
            reported += u32::from(*found == Err(ErrorKind::Corrupt));
            assert!(
                found == right || *found == Err(ErrorKind::Corrupt),
                "{damage}\n{read:?}\nis {found:?}\ninstead of {right:?}"
            );
        }
        let report = store.verify().await.unwrap();
        assert!(!report.is_sound(), "{damage}");
        // A link that none of these reads follows is only found by `verify`.
        assert!(reported > 0 || damage.contains("jump"), "{damage}: no read reports it");
        restore(&other);
    }
    assert_eq!(answers(&store, &reads, "repairs").await, right);
    assert!(store.verify().await.unwrap().is_sound());
}

const TABLES: [&str; 2] = ["downlink_events", "downlink_stream_heads"];

fn keep(connection: &Connection) {
    for table in TABLES {
        let copy = format!(
            "DROP TABLE IF EXISTS temp.kept_{table}; CREATE TEMP TABLE kept_{table} AS SELECT * FROM {table} \
             WHERE stream IN (1, 2)"
        );
        connection.execute_batch(&copy).unwrap();
    }
}

fn restore(connection: &Connection) {
    for table in TABLES {
        let back = format!(
            "BEGIN; DELETE FROM {table} WHERE stream IN (1, 2) OR stream > 3; \
             INSERT INTO {table} SELECT * FROM temp.kept_{table}; COMMIT"
        );
        connection.execute_batch(&back).unwrap();
    }
}

fn link_damages(column: &str) -> Vec<String> {
    let mut damages = Vec::new();
    for version in 1..=LAST {
        let own = place_of(version);
        // To nothing, an event of another stream, the event itself, earlier and later events of
        // the stream, a position without an event, and invalid positions.
        let targets = (1..=LAST).map(place_of).map(u64::cast_signed).chain([
            0,
            2,
            own.cast_signed() + 1,
            5_000,
            i64::MAX,
            -1,
        ]);
        for target in targets {
            let is_right = match column {
                "prev" => version.checked_sub(1),
                _ => Some(version & (version - 1)),
            };
            let right = is_right.filter(|to| *to > 0).map_or(0, |to| place_of(to).cast_signed());
            // The first event has no links, so none is followed there.
            if target != right && version > 1 {
                damages.push(format!(
                    "UPDATE downlink_events SET {column} = {target} WHERE position = {own}"
                ));
            }
        }
    }
    damages
}

#[tokio::test]
async fn a_link_to_the_wrong_event_is_corrupt() {
    damaged_by(link_damages("prev")).await;
}

#[tokio::test]
async fn a_jump_to_the_wrong_event_is_corrupt_or_not_taken() {
    damaged_by(link_damages("jump")).await;
}

/// Both links at once, so that neither leads out of the circle.
#[tokio::test]
async fn a_circle_of_links_is_corrupt() {
    let circle = |version: u64, to: u64| {
        let (at, to) = (place_of(version), place_of(to));
        format!("UPDATE downlink_events SET prev = {to}, jump = {to} WHERE position = {at}")
    };
    let own = (2..=LAST).map(|version| circle(version, version));
    let ahead = (2..LAST).map(|version| circle(version, version + 1));
    damaged_by(own.chain(ahead)).await;
}

#[tokio::test]
async fn a_head_that_points_elsewhere_is_corrupt() {
    let set = |what: String| format!("UPDATE downlink_stream_heads SET {what} WHERE stream = 1");
    let positions = [0, 1, 2, 5_000, i64::MAX, -1].map(|at| set(format!("position = {at}")));
    let earlier = (1..LAST).map(|version| set(format!("position = {}", place_of(version))));
    let versions = [1, 5, 7, 9, 100, i64::MAX].map(|version| set(format!("version = {version}")));
    let gone = ["DELETE FROM downlink_stream_heads WHERE stream = 1".into()];
    damaged_by(positions.into_iter().chain(earlier).chain(versions).chain(gone)).await;
}

#[tokio::test]
async fn an_event_that_is_not_the_one_linked_to_is_corrupt() {
    let mut damages = Vec::new();
    for version in 1..=LAST {
        let at = place_of(version);
        let set = |what: &str| format!("UPDATE downlink_events SET {what} WHERE position = {at}");
        damages.extend([
            set("version = version + 1"),
            set("version = version + 8"),
            set("stream = 2"),
            set("stream = 999"),
            format!("DELETE FROM downlink_events WHERE position = {at}"),
        ]);
    }
    damaged_by(damages).await;
}

/// If a stream head is an earlier event, the stream only looks shorter.
#[tokio::test]
async fn an_outdated_head_is_found_by_verify() {
    let temp = TempLog::new();
    log(&temp).await.close().await;
    let set = format!("version = 5, position = {}", place_of(5));
    let sql = format!("UPDATE downlink_stream_heads SET {set} WHERE stream = 1");
    temp.sql().execute_batch(&sql).unwrap();
    assert!(!verify(&temp.path).await.unwrap().is_sound());
}

#[tokio::test]
async fn nothing_is_appended_after_a_head_that_points_elsewhere() {
    for damage in [
        "UPDATE downlink_stream_heads SET position = 2 WHERE stream = 1",
        "UPDATE downlink_stream_heads SET position = 5000 WHERE stream = 1",
        "UPDATE downlink_stream_heads SET version = 7 WHERE stream = 1",
        "UPDATE downlink_stream_heads SET version = 9 WHERE stream = 1",
        "DELETE FROM downlink_stream_heads WHERE stream = 1",
    ] {
        let temp = TempLog::new();
        let store = log(&temp).await;
        let head = store.head().await.unwrap();
        store.close().await;
        temp.sql().execute_batch(damage).unwrap();
        let store = temp.open().await;
        let error = store.append(append(STREAM, 1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{damage}: {error}");
        assert_eq!(store.head().await.unwrap(), head, "{damage}");
        stored(&store, OTHER, 1).await;
    }
}

#[tokio::test]
async fn no_copy_is_made_of_a_file_with_a_broken_link() {
    let temp = TempLog::new();
    let store = log(&temp).await;
    let broken =
        format!("UPDATE downlink_events SET prev = position WHERE position = {}", place_of(5));
    temp.sql().execute_batch(&broken).unwrap();
    let error = store.backup(temp.folder.path().join("copy.db")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}
