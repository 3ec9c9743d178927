//! Read models in the file of the log: what only this backend can get wrong.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use downlink::id::ProjectionId;
use downlink::projection::{ProjectionStore, Step, StepOutcome};
use downlink::{
    BoxError, Cursor, ErrorKind, Event, EventStore, EventStoreExt, Filter, Hub, LocalBus,
    Projection,
};
use downlink_rusqlite::{Options, RusqliteStore, Tx};
use downlink_sqlite_schema::sql;
use futures::poll;
use support::{TempLog, all, append, chain, stored};
use tokio::time::timeout;

/// A projection whose writes a test defines.
struct Board<F>(F);

impl<F> fmt::Debug for Board<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Board")
    }
}

#[async_trait]
impl<F> Projection for Board<F>
where
    F: Fn(&Tx) -> Result<(), BoxError> + Send + Sync + 'static,
{
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
        tx.execute_batch("DROP TABLE IF EXISTS board; CREATE TABLE board (line)")?;
        Ok(())
    }

    async fn apply(&self, events: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
        if events[0].event_type().as_str() == "Wait" {
            tokio::task::yield_now().await;
        }
        tx.execute("INSERT INTO board VALUES ('before')", ())?;
        (self.0)(tx)
    }
}

type Doing = Arc<dyn Projection<Tx = Tx>>;

fn doing(work: impl Fn(&Tx) -> Result<(), BoxError> + Send + Sync + 'static) -> Doing {
    Arc::new(Board(work))
}

fn running(sql: &'static str) -> Doing {
    doing(move |tx| Ok(tx.execute_batch(sql)?))
}

/// A step over everything that is in the log.
async fn whole(store: &RusqliteStore) -> Step {
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

async fn failed(store: &RusqliteStore, projection: &Doing) -> String {
    match store.step(projection, whole(store).await).await.unwrap() {
        StepOutcome::Failed(error) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn still_works(store: &RusqliteStore, temp: &TempLog) {
    let step = whole(store).await;
    let stepped = store.step(&running(""), step).await.unwrap();
    assert!(matches!(stepped, StepOutcome::Applied { .. }), "{stepped:?}");
    assert_eq!(lines(temp), 1);
    stored(store, "flight-UA1545", 1).await;
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_projection_can_neither_change_the_log_nor_end_its_transaction() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 3).await;
    for foreign in [
        "DELETE FROM downlink_events",
        "DROP TABLE Downlink_Stream_Heads",
        "DROP TABLE IF EXISTS downlink_events",
        "ALTER TABLE downlink_streams RENAME TO gone",
        "UPDATE downlink_head SET position = 0",
        "INSERT INTO downlink_types (name) VALUES ('Mine')",
        "UPDATE downlink_projections SET checkpoint = ''",
        "CREATE TRIGGER mine AFTER INSERT ON downlink_events BEGIN SELECT 1; END",
        "CREATE INDEX mine ON downlink_events (type)",
        "CREATE TEMP TABLE downlink_events (position)",
        "CREATE TEMP VIEW downlink_events AS SELECT 1 AS position",
        "CREATE TEMP TRIGGER mine AFTER INSERT ON downlink_events BEGIN SELECT 1; END",
        "CREATE VIEW downlink_mine AS SELECT 1",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SELECT 1; COMMIT",
        "/* so */ COMMIT",
        "-- so\nEND TRANSACTION",
        ";; commit",
        "ATTACH ':memory:' AS other",
        "PRAGMA synchronous = OFF",
    ] {
        let message = failed(&store, &running(foreign)).await;
        assert!(message.contains("not authorized"), "{foreign}: {message}");
        assert_eq!(store.checkpoint(&board()).await.unwrap(), Cursor::START, "{foreign}");
    }
    still_works(&store, &temp).await;
}

#[tokio::test]
async fn a_projection_may_read_the_log_and_use_savepoints() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 3).await;
    let sql = "INSERT INTO board SELECT id FROM downlink_events; \
               SAVEPOINT here; DELETE FROM board; ROLLBACK TO here; RELEASE here";
    store.step(&running(sql), whole(&store).await).await.unwrap();
    assert_eq!(lines(&temp), 1 + 3);
}

#[tokio::test]
async fn a_cached_statement_of_the_store_is_refused_to_a_projection() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 1).await;
    store.step(&running(""), whole(&store).await).await.unwrap();
    stored(&store, "flight-UA1545", 1).await;
    failed(&store, &running("no such statement")).await;
    // The store has prepared these before, when no authorizer was set.
    for own in [
        "ROLLBACK",
        "COMMIT",
        sql::BEGIN_WRITE,
        "UPDATE downlink_head SET position = ?1, id = ?2, recorded_at = ?3, generation = ?4",
    ] {
        let end = doing(move |tx| Ok(tx.prepare_cached(own).map(drop)?));
        let message = failed(&store, &end).await;
        assert!(message.contains("not authorized"), "{own}: {message}");
        assert_eq!(lines(&temp), 1);
    }
    store.step(&running(""), whole(&store).await).await.unwrap();
    assert_eq!(lines(&temp), 2);
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

/// These errors are permanent, although SQLite reports a lock, so the step is not
/// retried.
#[tokio::test]
async fn conflicting_statements_fail_the_projection() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 1).await;
    let drops_while_reading = doing(|tx| {
        let mut lines = tx.prepare("SELECT line FROM board")?;
        let mut lines = lines.query(())?;
        lines.next()?;
        Ok(tx.execute_batch("DROP TABLE board")?)
    });
    let message = failed(&store, &drops_while_reading).await;
    assert!(message.contains("locked"), "{message}");
    let nests_while_writing = doing(|tx| {
        let mut lines = tx.prepare("INSERT INTO board VALUES (1), (2) RETURNING line")?;
        let mut lines = lines.query(())?;
        lines.next()?;
        Ok(tx.execute_batch("SAVEPOINT mine")?)
    });
    let message = failed(&store, &nests_while_writing).await;
    assert!(message.contains("in progress"), "{message}");
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.unwrap();
    let stopped = hub.project(Stubborn, store.clone()).start().unwrap();
    let stopped =
        timeout(Duration::from_mins(1), stopped.wait_live()).await.expect("the projection stops");
    assert!(chain(&stopped.unwrap_err()).contains("locked"));
    hub.shutdown().await;
    still_works(&store, &temp).await;
}

/// Empties its tables while it lists them.
#[derive(Debug)]
struct Stubborn;

#[async_trait]
impl Projection for Stubborn {
    type Tx = Tx;

    fn name(&self) -> &'static str {
        "stubborn"
    }

    fn version(&self) -> u32 {
        1
    }

    fn filter(&self) -> Filter {
        Filter::everything()
    }

    async fn prepare(&self, tx: &mut Tx) -> Result<(), BoxError> {
        tx.execute_batch("CREATE TABLE stubborn_a (x); CREATE TABLE stubborn_b (x)")?;
        let mut own = tx.prepare("SELECT name FROM sqlite_schema WHERE name LIKE 'stubborn%'")?;
        let mut own = own.query(())?;
        while let Some(row) = own.next()? {
            tx.execute_batch(&format!("DROP TABLE {}", row.get::<_, String>(0)?))?;
        }
        Ok(())
    }

    async fn apply(&self, _: &[Event], _: &mut Tx) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_projection_that_awaits_something_else_fails() {
    let temp = TempLog::new();
    let store = temp.open().await;
    store
        .append_to("flight-UA1545", downlink::Expected::Any, [support::event("Wait")])
        .await
        .unwrap();
    let message = failed(&store, &running("")).await;
    assert!(message.contains("finish at once"), "{message}");
    assert_eq!(lines(&temp), 0);
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
async fn steps_and_appends_are_served_in_the_order_of_their_arrival() {
    let temp = TempLog::new();
    let store = Options::new().with_busy_deadline(Duration::from_mins(1)).open(&temp.path);
    let store = store.await.unwrap();
    stored(&store, "flight-UA1545", 1).await;
    let step = whole(&store).await;
    let count = doing(|tx| {
        Ok(tx.execute("INSERT INTO board SELECT count(*) FROM downlink_events", ()).map(drop)?)
    });
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
