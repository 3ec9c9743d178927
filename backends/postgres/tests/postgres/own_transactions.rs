//! Appends in transactions that the application has begun itself.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use downlink::store::{Appended, Read};
use downlink::{
    Append, Cursor, ErrorKind, Event, EventId, EventStore, Expected, Hub, Item, NewEvent, Result,
    Subscribe, Subscription,
};
use downlink_conformance_tests::WriteLock;
use downlink_postgres::PostgresStore;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::commit_cut::check_log;
use crate::fixture::Lock;
use crate::proxy::{Cut, Proxy};
use crate::server::{Server, fresh_schema, options};

/// What takes longer hangs.
const DEADLINE: Duration = Duration::from_mins(1);

/// A store, a table of the application, and connections of the application.
struct Scene {
    schema: String,
    store: PostgresStore,
    pool: PgPool,
}

impl Scene {
    async fn new() -> Self {
        Self::at(&Server::get().url()).await
    }

    /// The store and the application connect to this URL.
    async fn at(url: &str) -> Self {
        let schema = fresh_schema();
        let store = options(&schema).with_busy_deadline(DEADLINE);
        let store = store.connect(url).await.expect("a store");
        let pool = PgPoolOptions::new().max_connections(16).acquire_timeout(DEADLINE);
        let pool = pool.connect(url).await.expect("a pool");
        let table = format!("CREATE TABLE {schema}.taken (id uuid NOT NULL)");
        sqlx::raw_sql(AssertSqlSafe(table)).execute(&pool).await.expect("a table");
        Self { schema, store, pool }
    }

    /// Stores the row that belongs to an append.
    async fn add_row(&self, connection: &mut PgConnection, append: &Append) {
        let insert = format!("INSERT INTO {}.taken VALUES ($1)", self.schema);
        let insert = sqlx::query(AssertSqlSafe(insert)).bind(id_of(append));
        insert.execute(connection).await.expect("a row");
    }

    async fn rows(&self) -> HashSet<Uuid> {
        let select = format!("SELECT id FROM {}.taken", self.schema);
        let rows: Vec<Uuid> =
            sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(&self.pool).await.expect("rows");
        let (count, rows) = (rows.len(), HashSet::from_iter(rows));
        assert_eq!(count, rows.len(), "a row is stored twice");
        rows
    }

    async fn log(&self) -> Vec<Event> {
        let (mut events, mut after) = (Vec::new(), Cursor::START);
        loop {
            let read = Read::log().with_after(after).with_limit(1_000);
            let page = self.store.read_log(read).await.expect("the log");
            events.extend(page.events);
            after = page.scanned;
            if !page.more {
                return events;
            }
        }
    }

    /// Compares the rows with the events of the streams of the application.
    async fn check_both(&self) -> Vec<Event> {
        let log = self.log().await;
        check_log(&log);
        let events = log.iter().filter(|event| event.stream().as_str() != "plain");
        let events: HashSet<_> = events.map(|event| uuid(event.id())).collect();
        assert_eq!(self.rows().await, events, "rows and events were not stored together");
        log
    }
}

fn append(stream: &str, expected: Expected) -> Append {
    let event = NewEvent::json("GateTaken", "{}").expect("an event");
    Append::to(stream, expected, [event]).expect("a valid name")
}

fn uuid(id: EventId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

fn id_of(append: &Append) -> Uuid {
    uuid(append.events().next().expect("an event").id())
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    CommitWith,
    /// Commits some time after its append.
    Late,
    RollBack,
    /// Loses its connection after its append.
    Vanish,
    /// Does nothing for longer than the server permits, and commits then.
    Hang,
}

/// Runs one transaction. Returns whether it was acknowledged.
async fn race(scene: &Scene, ending: Ending, append: Append) -> bool {
    if ending == Ending::Vanish || ending == Ending::Hang {
        return race_alone(scene, ending, append).await;
    }
    let mut tx = scene.pool.begin().await.expect("a transaction");
    scene.add_row(&mut tx, &append).await;
    if ending == Ending::CommitWith {
        return scene.store.commit_with(tx, append).await.is_ok();
    }
    scene.store.append_in(&mut tx, append).await.expect("an append");
    sleep(Duration::from_millis(20)).await;
    if ending == Ending::RollBack {
        tx.rollback().await.expect("to be rolled back");
        return false;
    }
    tx.commit().await.is_ok()
}

/// The same with a connection of its own.
async fn race_alone(scene: &Scene, ending: Ending, append: Append) -> bool {
    let mut connection = PgConnection::connect(&Server::get().url()).await.expect("a connection");
    let mut tx = connection.begin().await.expect("a transaction");
    scene.add_row(&mut tx, &append).await;
    scene.store.append_in(&mut tx, append).await.expect("an append");
    if ending == Ending::Vanish {
        // The socket is closed without a word.
        std::mem::forget(tx);
        drop(connection);
        return false;
    }
    sleep(Duration::from_secs(4)).await;
    assert!(tx.commit().await.is_err(), "the server did not end a transaction that hangs");
    false
}

/// Reads the log as it grows, until it has seen this event.
async fn follow(store: PostgresStore, last: EventId) -> Vec<Event> {
    let (mut seen, mut after) = (Vec::<Event>::new(), Cursor::START);
    while seen.last().is_none_or(|event| event.id() != last) {
        let page = store.read_log(Read::log().with_after(after)).await.expect("a page");
        after = page.scanned;
        seen.extend(page.events);
        tokio::task::yield_now().await;
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_reader_misses_nothing_however_transactions_end() {
    let scene = Arc::new(Scene::new().await);
    let last = append("plain", Expected::Any);
    let last_id = last.events().next().expect("an event").id();
    let following = tokio::spawn(follow(scene.store.clone(), last_id));
    let mut racing = JoinSet::new();
    for racer in 0..12 {
        let scene = Arc::clone(&scene);
        racing.spawn(async move {
            let mut outcomes = Vec::new();
            for round in 0..5 {
                let ending = match (racer, round) {
                    (0, 2) => Ending::Hang,
                    _ => [Ending::CommitWith, Ending::Late, Ending::RollBack, Ending::Vanish]
                        [(racer + round) % 4],
                };
                let taken = append(&format!("gate-{}", racer % 3), Expected::Any);
                outcomes.push((id_of(&taken), ending, race(&scene, ending, taken).await));
                scene.store.append(append("plain", Expected::Any)).await.expect("a plain append");
            }
            outcomes
        });
    }
    let outcomes = timeout(DEADLINE, racing.join_all()).await.expect("a racer hangs");
    scene.store.append(last).await.expect("the last append");
    let seen = timeout(DEADLINE, following).await.expect("a reader misses the last event").unwrap();
    let log = scene.check_both().await;
    assert_eq!(seen, log, "a reader that follows the log has seen something else");
    let rows = scene.rows().await;
    for (id, ending, acknowledged) in outcomes.into_iter().flatten() {
        let commits = matches!(ending, Ending::CommitWith | Ending::Late);
        assert_eq!((acknowledged, rows.contains(&id)), (commits, commits), "{ending:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_commit_that_is_cut_is_resolved() {
    for cut in [Cut::Answer, Cut::Commit, Cut::CommitSilently, Cut::CommitUntilTheNextBegins] {
        let proxy = Proxy::start(Server::get().socket()).await;
        let scene = Scene::at(&proxy.url()).await;
        let taken = append("gate-C71", Expected::NoStream);
        let mut tx = scene.pool.begin().await.expect("a transaction");
        scene.add_row(&mut tx, &taken).await;
        proxy.cut(&[cut]);
        let outcome = timeout(DEADLINE, scene.store.commit_with(tx, taken)).await;
        let outcome = outcome.expect("the commit hangs after its connection was cut");
        assert!(proxy.has_cut_all(), "{cut:?}: nothing was cut");
        let log = scene.check_both().await;
        match outcome {
            Ok(appended) => assert_eq!(log.len(), 1, "{cut:?}: {appended:?} is not stored"),
            Err(error) => {
                assert!(log.is_empty(), "{cut:?}: '{error}', but it is stored");
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{cut:?}: '{error}'");
                assert!(matches!(cut, Cut::Commit | Cut::CommitSilently), "{cut:?}: '{error}'");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_refused_append_releases_the_lock_and_leaves_the_transaction() {
    let scene = Scene::new().await;
    let mut tx = scene.pool.begin().await.unwrap();
    let lock_timeout = async |tx: &mut PgConnection| -> String {
        let select = "SELECT current_setting('lock_timeout') || current_setting('enable_seqscan')";
        sqlx::query_scalar(select).fetch_one(tx).await.unwrap()
    };
    let before = lock_timeout(&mut tx).await;
    let refused = scene.store.append_in(&mut tx, append("gate-C71", Expected::Exists)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(lock_timeout(&mut tx).await, before);
    // It does not wait.
    scene.store.append(append("plain", Expected::Any)).await.unwrap();
    let taken = append("gate-C71", Expected::NoStream);
    scene.add_row(&mut tx, &taken).await;
    let first = scene.store.append_in(&mut tx, taken).await.unwrap();
    let again = append("gate-C71", Expected::Exact(first.writes[0].last));
    scene.add_row(&mut tx, &again).await;
    let second = scene.store.append_in(&mut tx, again).await.unwrap();
    assert!(second.first > first.last());
    tx.commit().await.unwrap();
    assert_eq!(scene.check_both().await.len(), 3);
}

/// Commits a transaction with a row of this append.
async fn commit(scene: &Scene, begin: &'static str, append: &Append) -> Result<Appended> {
    let mut tx = scene.pool.begin_with(begin).await.expect("a transaction");
    scene.add_row(&mut tx, append).await;
    scene.store.commit_with(tx, append.clone()).await
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn what_is_not_stored_leaves_no_row() {
    let scene = Scene::new().await;
    let taken = append("gate-C71", Expected::NoStream);
    for begin in ["BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN ISOLATION LEVEL REPEATABLE READ"] {
        let refused = commit(&scene, begin, &taken).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{begin}: {refused}");
    }
    let mut tx = scene.pool.begin().await.unwrap();
    assert!(sqlx::raw_sql("SELECT no_such_column").execute(&mut *tx).await.is_err());
    let refused = scene.store.commit_with(tx, taken.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert!(!commit(&scene, "BEGIN", &taken).await.unwrap().duplicate);
    assert!(commit(&scene, "BEGIN", &taken).await.unwrap().duplicate);
    let conflict = append("gate-C71", Expected::NoStream);
    let refused = commit(&scene, "BEGIN", &conflict).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    assert_eq!(scene.check_both().await.len(), 1);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_lock_that_is_not_free_is_busy_and_rolls_back() {
    let scene = Scene::new().await;
    let lock = Lock::of(scene.schema.clone()).await.unwrap();
    lock.hold().await.unwrap();
    let impatient = options(&scene.schema).with_busy_deadline(Duration::from_millis(50));
    let impatient = impatient.connect(&Server::get().url()).await.unwrap();
    let scene = Scene { store: impatient, ..scene };
    let refused = commit(&scene, "BEGIN", &append("gate-C71", Expected::Any)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
    lock.release().await.unwrap();
    assert!(scene.check_both().await.is_empty());
}

/// The hubs of this process and of another one, which poll too seldom to help.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn hubs_learn_of_them_at_once() {
    let scene = Scene::new().await;
    let url = Server::get().url();
    let other = options(&scene.schema).connect(&url).await.unwrap();
    let mut subscriptions = Vec::new();
    let mut hubs = Vec::new();
    for store in [scene.store.clone(), other] {
        let bus = options(&scene.schema).connect_bus(&url).await.unwrap();
        let hub = Hub::builder(store, bus).with_poll_interval(Duration::from_hours(1));
        let hub = hub.start().await.unwrap();
        subscriptions.push(hub.subscribe(Subscribe::new()).await.unwrap());
        hubs.push(hub);
    }
    // After this one, both follow the log and have nothing more to read.
    let plain = append("plain", Expected::Any);
    hubs[0].append(plain.clone()).await.unwrap();
    for subscription in &mut subscriptions {
        assert_eq!(next_event(subscription).await, id_of(&plain));
    }
    let taken = append("gate-C71", Expected::Any);
    commit(&scene, "BEGIN", &taken).await.unwrap();
    for subscription in &mut subscriptions {
        assert_eq!(next_event(subscription).await, id_of(&taken));
    }
    let also = append("gate-C71", Expected::Any);
    let mut tx = scene.pool.begin().await.unwrap();
    scene.store.append_in(&mut tx, also.clone()).await.unwrap();
    tx.commit().await.unwrap();
    for subscription in &mut subscriptions {
        assert_eq!(next_event(subscription).await, id_of(&also));
    }
    for hub in hubs {
        hub.shutdown().await;
    }
}

async fn next_event(subscription: &mut Subscription) -> Uuid {
    loop {
        let item = timeout(DEADLINE, subscription.next()).await.expect("a hint").expect("an item");
        if let Item::Event(event) = item.expect("no error") {
            return uuid(event.id());
        }
    }
}
