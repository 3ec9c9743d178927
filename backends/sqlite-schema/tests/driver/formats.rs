//! Files of earlier releases, and logs in databases of applications.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use downlink::event::ContentType;
use downlink::id::ProjectionId;
use downlink::projection::ProjectionStore;
use downlink::{ErrorKind, EventStore, Filter, FilterItem, Position, Read};
use downlink_sqlite_schema::FORMAT;

use crate::support::driver::{self, Options, Store};
use crate::support::{TempLog, all, append, chain, copy, stored};

/// A log that release 0.1 wrote: 60 events in 20 streams, with tags, metadata,
/// content of other types, and a projection.
const FORMAT_1: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../sqlite-schema/tests/data/format-1.sqlite");

/// The same log as a later release migrated it, with the projection live.
const FORMAT_2: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../sqlite-schema/tests/data/format-2.sqlite");

/// The same log as a later release migrated it from format 2.
const FORMAT_3: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../sqlite-schema/tests/data/format-3.sqlite");

const FORMAT_OF: &str = "SELECT value FROM downlink_meta WHERE name = 'format'";

/// How release 0.1 stored an event.
const APPEND_OF_1: [&str; 2] = [
    "INSERT INTO events (position, id, stream, version, prev, jump, type, recorded_at, payload) \
     VALUES (61, x'ff', 1, 4, 3, 0, 1, 1, '{}')",
    "UPDATE head SET position = 61, id = x'ff', recorded_at = 1, generation = 100",
];

async fn of_format_1() -> (TempLog, Store) {
    let temp = TempLog::new();
    copy(Path::new(FORMAT_1), &temp.path);
    let store = temp.open().await;
    (temp, store)
}

fn number(temp: &TempLog, sql: &str) -> i64 {
    temp.sql().query_row(sql, (), |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_file_of_format_1_is_migrated_without_loss() {
    let (temp, store) = of_format_1().await;
    let page = all(&store).await;
    assert_eq!(page.events.len(), 60);
    assert_eq!(page.head.to_string(), "000000000000003c-31f1a8d8");
    let tagged = Filter::any_of([FilterItem::new().with_tag("airport:JFK").unwrap()]).unwrap();
    let found = store.read_log(Read::log().with_filter(tagged.clone())).await.unwrap().events;
    let expected: Vec<_> =
        page.events.iter().filter(|event| tagged.matches_event(event)).cloned().collect();
    assert!(!expected.is_empty());
    assert_eq!(found, expected);
    let binary = ContentType::new("application/octet-stream").unwrap();
    assert!(page.events.iter().any(|event| *event.content_type() == binary));

    let board = ProjectionId::new("board", 1).unwrap();
    assert_eq!(store.checkpoint(&board).await.unwrap(), page.head);
    assert_eq!(number(&temp, "SELECT count(*) FROM board"), 60);

    assert_eq!(stored(&store, "flight-UA0", 1).await.first.get(), 61);
    assert!(store.verify().await.unwrap().is_sound());
    store.close().await;
    assert_eq!(number(&temp, "PRAGMA user_version"), FORMAT);
    let store = temp.open().await;
    assert_eq!(all(&store).await.events.len(), 61);
}

#[tokio::test]
async fn the_announced_cursor_survives_a_migration() {
    let board = ProjectionId::new("board", 1).unwrap();
    let in_a_rebuild = "UPDATE downlink_projections SET announced = 40, \
                        checkpoint = '0000000000000000-00000000'";
    for (state, announced) in [("", 60), (in_a_rebuild, 40)] {
        let temp = TempLog::new();
        copy(Path::new(FORMAT_2), &temp.path);
        temp.sql().execute_batch(state).unwrap();
        let store = temp.open().await;
        assert_eq!(number(&temp, FORMAT_OF), FORMAT);
        let event = all(&store).await.events.swap_remove(announced - 1);
        assert_eq!(store.announced(&board).await.unwrap(), Some(event.cursor()));
        let head = store.head().await.unwrap();
        assert!(store.announce(&board, event.cursor(), head).await.unwrap());
        assert!(store.verify().await.unwrap().is_sound());
        store.close().await;
        let store = temp.open().await;
        assert_eq!(store.announced(&board).await.unwrap(), Some(head));
    }
}

/// SQLite ignores a view of a table that is gone until some table is altered.
#[tokio::test]
async fn a_broken_view_does_not_prevent_a_migration() {
    for format in [FORMAT_1, FORMAT_2, FORMAT_3] {
        let temp = TempLog::new();
        copy(Path::new(format), &temp.path);
        let broken = "CREATE TABLE gates (name); CREATE VIEW free AS SELECT * FROM gates; \
                      DROP TABLE gates";
        temp.sql().execute_batch(broken).unwrap();
        let store = temp.open().await;
        assert_eq!(all(&store).await.events.len(), 60);
        assert!(store.verify().await.unwrap().is_sound());
    }
}

/// How a release of format 3 appends.
const APPEND_OF_3: &str = "INSERT INTO downlink_events (position, id, stream, version, prev, jump, \
     type, recorded_at, payload) VALUES (61, x'ffffffffffffffffffffffffffffffff', 21, 1, 0, 0, 1, 1795936865808455, x'7b7d'); \
     INSERT INTO downlink_streams VALUES (21, 'flight-UA21'); \
     INSERT INTO downlink_stream_heads VALUES (21, 1, 61); \
     UPDATE downlink_head SET position = 61, id = x'ffffffffffffffffffffffffffffffff', recorded_at = 1795936865808455, \
     generation = generation + 1";

#[tokio::test]
async fn a_file_of_format_3_is_migrated_without_loss() {
    let temp = TempLog::new();
    copy(Path::new(FORMAT_3), &temp.path);
    let store = temp.open().await;
    let page = all(&store).await;
    assert_eq!(page.events.len(), 60);
    let board = ProjectionId::new("board", 1).unwrap();
    assert_eq!(store.checkpoint(&board).await.unwrap(), page.head);
    assert_eq!(store.announced(&board).await.unwrap(), Some(page.head));
    assert_eq!(number(&temp, FORMAT_OF), FORMAT);
    stored(&store, "flight-UA0", 1).await;
    assert!(store.verify().await.unwrap().is_sound());
    store.close().await;
    assert_eq!(all(&temp.open().await).await.events.len(), 61);
}

#[tokio::test]
async fn every_format_is_migrated_to_the_same_tables() {
    let tables = "SELECT group_concat(concat_ws(' ', name, sql)) FROM (SELECT * FROM sqlite_schema \
                  WHERE tbl_name LIKE 'downlink\\_%' ESCAPE '\\' ORDER BY name)";
    let tables =
        |temp: &TempLog| -> String { temp.sql().query_row(tables, (), |row| row.get(0)).unwrap() };
    let new = TempLog::new();
    new.open().await.close().await;
    for format in [FORMAT_1, FORMAT_2, FORMAT_3] {
        let temp = TempLog::new();
        copy(Path::new(format), &temp.path);
        temp.open().await.close().await;
        assert_eq!(number(&temp, FORMAT_OF), FORMAT);
        // SQLite quotes the names of tables that were renamed.
        assert_eq!(tables(&temp).replace('"', ""), tables(&new), "{format}");
    }
}

#[tokio::test]
async fn a_process_of_format_3_goes_on_appending() {
    let temp = TempLog::new();
    copy(Path::new(FORMAT_3), &temp.path);
    let old = temp.sql();
    let store = temp.open().await;
    old.execute_batch(&format!("BEGIN IMMEDIATE; {APPEND_OF_3}; COMMIT")).unwrap();
    assert_eq!(all(&store).await.events.len(), 61);
}

/// How a release of format 2 adds a projection.
#[tokio::test]
async fn a_process_of_format_2_adds_no_row_that_this_release_cannot_read() {
    let temp = TempLog::new();
    copy(Path::new(FORMAT_2), &temp.path);
    let old = temp.sql();
    let _store = temp.open().await;
    let adding = "INSERT INTO downlink_projections (name, version, checkpoint, live, announced) \
                  VALUES ('gates', 1, '0000000000000000-00000000', 0, 0)";
    let error = old.execute(adding, ()).unwrap_err().to_string();
    assert!(error.contains("no column named announced"), "{error}");
}

/// A process of release 0.1 has the file open.
#[tokio::test]
async fn an_earlier_release_fails_visibly_and_writes_nothing_more() {
    let temp = TempLog::new();
    copy(Path::new(FORMAT_1), &temp.path);
    let old = temp.sql();
    let mut prepared = APPEND_OF_1.map(|text| old.prepare(text).unwrap());
    let store = temp.open().await;
    for statement in &mut prepared {
        let error = statement.execute(()).unwrap_err().to_string();
        assert!(error.contains("no such table"), "{error}");
    }
    drop(prepared);
    assert_eq!(all(&store).await.events.len(), 60);
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn verify_does_not_migrate_a_file() {
    let temp = TempLog::new();
    copy(Path::new(FORMAT_1), &temp.path);
    let error = driver::verify(&temp.path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(chain(&error).contains("earlier release"), "{}", chain(&error));
    assert_eq!(number(&temp, "PRAGMA user_version"), 1);
}

#[tokio::test]
async fn two_stores_can_migrate_at_the_same_time() {
    for _ in 0..10 {
        let temp = TempLog::new();
        copy(Path::new(FORMAT_1), &temp.path);
        let (one, other) = tokio::join!(temp.open(), temp.open());
        stored(&one, "flight-UA0", 1).await;
        stored(&other, "flight-UA0", 1).await;
        assert_eq!(all(&one).await.events.len(), 62);
        assert!(other.verify().await.unwrap().is_sound());
    }
}

/// A database of an application, which counts its own versions.
fn application() -> TempLog {
    let temp = TempLog::new();
    let tables = "PRAGMA application_id = 7; PRAGMA user_version = 40; \
         CREATE TABLE gates (name TEXT PRIMARY KEY); INSERT INTO gates VALUES ('C71')";
    temp.sql().execute_batch(tables).unwrap();
    temp
}

#[tokio::test]
async fn a_log_is_created_in_a_database_of_an_application_only_with_the_option() {
    let temp = application();
    let before = fs::read(&temp.path).unwrap();
    let error = driver::open(&temp.path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("with_application_database"), "{error}");
    assert_eq!(fs::read(&temp.path).unwrap(), before);

    let options = Options::new().with_application_database();
    let store = options.clone().open(&temp.path).await.unwrap();
    stored(&store, "flight-UA1545", 3).await;
    temp.sql().execute("INSERT INTO gates VALUES ('B22')", ()).unwrap();
    assert_eq!(stored(&store, "flight-UA1545", 1).await.first.get(), 4);
    store.close().await;

    assert_eq!(number(&temp, "PRAGMA application_id"), 7);
    assert_eq!(number(&temp, "PRAGMA user_version"), 40);
    assert_eq!(number(&temp, "SELECT count(*) FROM gates"), 2);
    assert_eq!(number(&temp, FORMAT_OF), FORMAT);
    // The option is needed each time, so that no other program opens it by accident.
    assert_eq!(driver::open(&temp.path).await.unwrap_err().kind(), ErrorKind::Invalid);
    let store = options.open(&temp.path).await.unwrap();
    assert_eq!(all(&store).await.events.len(), 4);
    assert!(store.verify().await.unwrap().is_sound());
    assert!(driver::verify(&temp.path).await.unwrap().is_sound());
}

#[tokio::test]
async fn a_file_without_tables_of_an_application_is_opened_with_that_option_too() {
    let temp = TempLog::new();
    temp.open().await.close().await;
    let store = Options::new().with_application_database().open(&temp.path).await.unwrap();
    assert_eq!(stored(&store, "flight-UA1545", 1).await.first, Position::new(1).unwrap());
}

#[tokio::test]
async fn a_database_that_cannot_have_a_log_is_left_alone() {
    for (what, cause) in [
        ("PRAGMA encoding = 'UTF-16le'; CREATE TABLE gates (name)", "UTF-8"),
        ("CREATE TABLE downlink_events (position)", "downlink_"),
        ("CREATE VIEW Downlink_board AS SELECT 1", "downlink_"),
    ] {
        let temp = TempLog::new();
        temp.sql().execute_batch(what).unwrap();
        let before = fs::read(&temp.path).unwrap();
        let open = Options::new().with_application_database().open(&temp.path);
        let error = open.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}");
        assert!(error.to_string().contains(cause), "{what}: {error}");
        assert_eq!(fs::read(&temp.path).unwrap(), before, "{what}");
    }
    let temp = application();
    let options = Options::new().with_application_database();
    options.clone().open(&temp.path).await.unwrap().close().await;
    let trigger = "CREATE TRIGGER audit AFTER INSERT ON downlink_events BEGIN SELECT 1; END";
    temp.sql().execute_batch(trigger).unwrap();
    let error = options.open(&temp.path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("audit"), "{error}");
}

#[tokio::test]
async fn on_connect_runs_on_every_connection() {
    let (temp, count) = (application(), Arc::new(AtomicUsize::new(0)));
    let on_connect = driver::on_connect("PRAGMA foreign_keys = ON", Arc::clone(&count));
    let options = Options::new().with_application_database().with_on_connect(on_connect);
    let store = options.open(&temp.path).await.unwrap();
    let after_opening = count.load(Ordering::Relaxed);
    assert!(after_opening >= 1);
    stored(&store, "flight-UA1545", 1).await;
    all(&store).await;
    store.verify().await.unwrap();
    assert!(count.load(Ordering::Relaxed) >= 3, "the writer, a reader and a verifier");

    let broken = driver::on_connect("SELECT * FROM nowhere", Arc::clone(&count));
    let options = Options::new().with_application_database().with_on_connect(broken);
    let error = options.open(&temp.path).await.unwrap_err();
    assert!(chain(&error).contains("no such table: nowhere"), "{}", chain(&error));
}

#[tokio::test]
async fn a_transaction_of_the_application_that_takes_too_long_is_named() {
    let temp = application();
    let options =
        Options::new().with_application_database().with_busy_deadline(Duration::from_millis(200));
    let store = options.open(&temp.path).await.unwrap();
    let own = temp.sql();
    own.execute_batch("BEGIN IMMEDIATE; INSERT INTO gates VALUES ('B22')").unwrap();
    let error = store.append(append("flight-UA1545", 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(chain(&error).contains("outside of the store"), "{}", chain(&error));
    own.execute_batch("COMMIT").unwrap();
    assert_eq!(stored(&store, "flight-UA1545", 1).await.first.get(), 1);
}
