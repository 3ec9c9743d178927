//! Read models in the file of the log: what only this backend can get wrong.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use downlink::id::ProjectionId;
use downlink::projection::{ProjectionStore, Step, StepOutcome};
use downlink::{BoxError, Cursor, ErrorKind, Event, EventStore, Filter, Projection};
use downlink_sqlx::{Options, SqlxStore, Tx};
use futures::poll;
use sqlx::Connection;
use sqlx::error::{DatabaseError, ErrorKind as ErrorKindOfSqlx};
use support::{TempLog, all, append, chain, stored};

/// A projection whose writes a test defines, in SQL.
#[derive(Debug)]
struct Board(&'static str);

#[async_trait]
impl Projection for Board {
    type Tx = Tx;

    fn name(&self) -> &'static str {
        "board"
    }

    fn version(&self) -> u32 {
        1
    }

    fn filter(&self) -> Filter {
        Filter::everything()
    }

    async fn prepare(&self, tx: &mut Tx) -> Result<(), BoxError> {
        let tables = "DROP TABLE IF EXISTS board; CREATE TABLE board (line)";
        sqlx::raw_sql(tables).execute(tx).await?;
        Ok(())
    }

    async fn apply(&self, _: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
        sqlx::query("INSERT INTO board VALUES ('before')").execute(&mut *tx).await?;
        match self.0 {
            "nested" => nested(tx).await,
            "swallow" => {
                let _ = sqlx::raw_sql("COMMIT").execute(&mut *tx).await;
                Ok(())
            }
            "unhook" => {
                let mut handle = tx.lock_handle().await?;
                handle.remove_update_hook();
                handle.remove_commit_hook();
                Ok(())
            }
            "locked" => Err(sqlx::Error::Database(Box::new(Locked)).into()),
            sql => Ok(sqlx::raw_sql(sql).execute(tx).await.map(drop)?),
        }
    }
}

/// SQLite's error when a statement conflicts with another on the same connection.
#[derive(Debug)]
struct Locked;

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl StdError for Locked {}

impl DatabaseError for Locked {
    fn message(&self) -> &'static str {
        "database table is locked"
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        Some("6".into())
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKindOfSqlx {
        ErrorKindOfSqlx::Other
    }
}

/// Nests two transactions, one of which it leaves open.
async fn nested(tx: &mut Tx) -> Result<(), BoxError> {
    let mut kept = tx.begin().await?;
    sqlx::query("INSERT INTO board VALUES ('kept')").execute(&mut *kept).await?;
    kept.commit().await?;
    let mut left = tx.begin().await?;
    sqlx::query("DELETE FROM board").execute(&mut *left).await?;
    Ok(())
}

type Doing = Arc<dyn Projection<Tx = Tx>>;

fn running(sql: &'static str) -> Doing {
    Arc::new(Board(sql))
}

/// A step over everything that is in the log.
async fn whole(store: &SqlxStore) -> Step {
    let page = all(store).await;
    let from = store.checkpoint(&board()).await.unwrap();
    let events: Vec<_> =
        page.events.into_iter().filter(|event| event.position() > from.position()).collect();
    Step::new(from, events.last().map_or(from, Event::cursor), events)
}

fn board() -> ProjectionId {
    ProjectionId::new("board", 1).unwrap()
}

fn lines(temp: &TempLog) -> u32 {
    let count = "SELECT count(*) FROM board";
    temp.sql().query_row(count, (), |row| row.get(0)).unwrap_or_default()
}

async fn failed(store: &SqlxStore, projection: &Doing) -> String {
    match store.step(projection, whole(store).await).await.unwrap() {
        StepOutcome::Failed(error) => error.to_string(),
        other => panic!("{projection:?}: {other:?}"),
    }
}

async fn still_works(store: &SqlxStore, temp: &TempLog) {
    let step = whole(store).await;
    let stepped = store.step(&running(""), step).await.unwrap();
    assert!(matches!(stepped, StepOutcome::Applied { .. }), "{stepped:?}");
    assert_eq!(lines(temp), 1);
    still_appends(store).await;
}

async fn still_appends(store: &SqlxStore) {
    stored(store, "flight-UA1545", 1).await;
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_projection_can_neither_change_the_log_nor_end_its_transaction() {
    let temp = TempLog::new();
    let store = Options::new().with_index_lag(1).open(&temp.path).await.unwrap();
    stored(&store, "flight-UA1545", 3).await;
    while store.index_lag().await.unwrap() > 0 {
        tokio::task::yield_now().await;
    }
    // SQLite calls no hook for a table that is emptied, so these have a row each.
    let rows = "INSERT INTO downlink_leases VALUES ('board', 1, x'', 0); \
                INSERT INTO downlink_snapshots VALUES ('flight-UA1545', 'Flight', 1, 1, x'', 0, x''); \
                INSERT INTO downlink_moved VALUES ('old', 1, 1, 1)";
    temp.sql().execute_batch(rows).unwrap();
    for (foreign, expected) in [
        ("DELETE FROM downlink_events", "tables of the log"),
        ("DELETE FROM downlink_leases", "tables of the log"),
        ("DELETE FROM downlink_snapshots", "tables of the log"),
        ("DELETE FROM downlink_moved", "tables of the log"),
        ("UPDATE downlink_snapshots SET state = x'01'", "tables of the log"),
        ("DELETE FROM downlink_events WHERE position = 3", "tables of the log"),
        ("DROP TABLE Downlink_Stream_Heads", "tables of the log"),
        ("ALTER TABLE downlink_streams RENAME TO gone", "tables of the log"),
        ("UPDATE downlink_head SET position = 0", "tables of the log"),
        ("INSERT INTO downlink_types (name) VALUES ('Mine')", "tables of the log"),
        ("UPDATE downlink_projections SET checkpoint = ''", "tables of the log"),
        ("UPDATE downlink_postings SET positions = x''", "tables of the log"),
        ("DELETE FROM downlink_postings WHERE kind = 1", "tables of the log"),
        ("UPDATE downlink_meta SET value = 9 WHERE name = 'format'", "tables of the log"),
        ("INSERT INTO downlink_dead_letters VALUES (1, 1, x'', '', 0)", "tables of the log"),
        (
            "CREATE TRIGGER mine AFTER INSERT ON downlink_events BEGIN SELECT 1; END",
            "tables of the log",
        ),
        ("CREATE INDEX mine ON downlink_events (type)", "tables of the log"),
        ("CREATE TEMP TABLE downlink_events (position)", "tables of the log"),
        ("BEGIN", "within a transaction"),
        ("COMMIT", "constraint failed"),
        ("swallow", "ended its transaction"),
        ("ROLLBACK", "ended its transaction"),
        ("ROLLBACK; BEGIN", "ended its transaction"),
        ("ROLLBACK; BEGIN; SAVEPOINT downlink_step", "ended its transaction"),
        ("ROLLBACK; CREATE TABLE board (line)", "constraint failed"),
        (
            "ROLLBACK; BEGIN; SAVEPOINT downlink_job; SAVEPOINT downlink_step",
            "ended its transaction",
        ),
        ("SELECT 1; COMMIT", "constraint failed"),
        ("/* so */ ROLLBACK", "ended its transaction"),
        ("-- so\nEND TRANSACTION", "constraint failed"),
        ("ATTACH ':memory:' AS other", "tables of the log"),
        ("ATTACH '/nowhere/other.db' AS other", "unable to open"),
        ("PRAGMA query_only = ON", "its connection"),
        ("PRAGMA query_only = ON; INSERT INTO board VALUES (1)", "readonly"),
        ("PRAGMA busy_timeout = 0", "its connection"),
        ("PRAGMA ignore_check_constraints = ON", "its connection"),
        ("unhook", "its connection"),
        ("locked", "table is locked"),
        ("PRAGMA synchronous = OFF", "inside a transaction"),
    ] {
        let message = failed(&store, &running(foreign)).await;
        assert!(message.contains(expected), "{foreign}: {message}");
        assert_eq!(store.checkpoint(&board()).await.unwrap(), Cursor::START, "{foreign}");
        assert_eq!(lines(&temp), 0, "{foreign}");
    }
    still_works(&store, &temp).await;
}

#[tokio::test]
async fn a_projection_may_read_the_log_and_nest_transactions() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 3).await;
    let sql = "INSERT INTO board SELECT id FROM downlink_events; \
               SAVEPOINT here; DELETE FROM board; ROLLBACK TO here; RELEASE here";
    store.step(&running(sql), whole(&store).await).await.unwrap();
    assert_eq!(lines(&temp), 1 + 3);
    stored(&store, "flight-UA1545", 1).await;
    store.step(&running("nested"), whole(&store).await).await.unwrap();
    assert_eq!(lines(&temp), 1 + 3 + 2);
    still_appends(&store).await;
}

#[tokio::test]
async fn a_trigger_that_rolls_back_undoes_the_whole_step() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 1).await;
    let sql = "CREATE TEMP TABLE once (a); \
               CREATE TEMP TRIGGER t AFTER INSERT ON once BEGIN SELECT RAISE(ROLLBACK, 'no'); END; \
               INSERT INTO once VALUES (1)";
    assert!(failed(&store, &running(sql)).await.contains("no"));
    assert_eq!(lines(&temp), 0);
    still_works(&store, &temp).await;
}

#[tokio::test]
async fn a_deferred_constraint_fails_the_projection() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 1).await;
    let sql = "CREATE TABLE gates (id INTEGER PRIMARY KEY); \
               CREATE TABLE flights (gate REFERENCES gates (id) DEFERRABLE INITIALLY DEFERRED); \
               INSERT INTO flights VALUES (1)";
    failed(&store, &running(sql)).await;
    still_works(&store, &temp).await;
}

#[tokio::test]
async fn a_full_disk_fails_the_store_and_not_the_projection() {
    let temp = TempLog::new();
    let store = Options::new().with_max_size(256 << 10).open(&temp.path).await.unwrap();
    stored(&store, "flight-UA1545", 1).await;
    let step = whole(&store).await;
    for _ in 0..3 {
        let big = running("INSERT INTO board VALUES (zeroblob(1000000))");
        let error = store.step(&big, step.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{}", chain(&error));
        stored(&store, "flight-AA1141", 1).await;
    }
    assert_eq!(lines(&temp), 0);
    still_works(&store, &temp).await;
}

#[tokio::test]
async fn a_foreign_lock_past_the_deadline_is_busy() {
    let temp = TempLog::new();
    let options = Options::new().with_busy_deadline(Duration::from_millis(20));
    let store = options.open(&temp.path).await.unwrap();
    stored(&store, "flight-UA1545", 1).await;
    let step = whole(&store).await;
    let other = temp.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.step(&running(""), step).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{}", chain(&error));
    other.execute_batch("ROLLBACK").unwrap();
    still_works(&store, &temp).await;
}

#[tokio::test]
async fn a_step_that_finds_the_queue_full_is_overloaded_at_once() {
    let temp = TempLog::new();
    let options = Options::new().with_queue(2).with_busy_deadline(Duration::from_mins(1));
    let store = options.open(&temp.path).await.unwrap();
    stored(&store, "flight-UA1545", 1).await;
    let step = whole(&store).await;
    let other = temp.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (board, appended) = (running(""), append("s", 1));
    let mut one = store.append(appended);
    let mut two = store.step(&board, step.clone());
    assert!(poll!(&mut one).is_pending() && poll!(&mut two).is_pending());
    let error = store.step(&board, step).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    other.execute_batch("ROLLBACK").unwrap();
    one.await.unwrap();
    two.await.unwrap();
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 1).await;
    let step = whole(&store).await;
    store.close().await;
    let error = store.step(&running(""), step).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn steps_and_appends_are_served_in_the_order_of_their_arrival() {
    let temp = TempLog::new();
    let store = Options::new().with_busy_deadline(Duration::from_mins(1)).open(&temp.path);
    let store = store.await.unwrap();
    stored(&store, "flight-UA1545", 1).await;
    let step = whole(&store).await;
    let count = running("INSERT INTO board SELECT count(*) FROM downlink_events");
    let other = temp.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (mut held, mut before) =
        (store.append(append("held", 1)), store.append(append("before", 1)));
    let mut between = store.step(&count, step);
    let mut after = store.append(append("after", 1));
    assert!(poll!(&mut held).is_pending() && poll!(&mut before).is_pending());
    assert!(poll!(&mut between).is_pending() && poll!(&mut after).is_pending());
    other.execute_batch("ROLLBACK").unwrap();
    after.await.unwrap();
    assert!(matches!(between.await.unwrap(), StepOutcome::Applied { .. }));
    before.await.unwrap();
    held.await.unwrap();
    let counted: u32 = temp
        .sql()
        .query_row("SELECT line FROM board WHERE line <> 'before'", (), |row| row.get(0))
        .unwrap();
    assert_eq!(counted, 3);
}
