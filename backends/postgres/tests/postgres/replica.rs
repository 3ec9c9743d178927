//! Streaming replicas, which serve pages far behind the end of the log.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use downlink::commit::Commits;
use downlink::store::{Appended, Page, ReadLog, ReadStream};
use downlink::{Append, Cursor, ErrorKind, EventStore, Expected, NewEvent, Position, Result};
use downlink_conformance_tests::{Guard, StoreFixture};
use downlink_postgres::{Options, PostgresStore};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::fixture::Local;
use crate::models::execute;
use crate::proxy::Proxy;
use crate::server::{Server, fresh_schema, options};

/// What takes longer hangs.
const DEADLINE: Duration = Duration::from_mins(1);

/// A replica of the server of the tests.
struct Replica(Server);

impl Replica {
    fn start(option: &str) -> Self {
        let primary = Server::get().folder().to_string_lossy();
        Self(Server::run(&["replica", &primary, option]))
    }

    /// One that is some milliseconds late.
    fn fast() -> &'static Self {
        static REPLICA: OnceLock<Replica> = OnceLock::new();
        REPLICA.get_or_init(|| Self::start("max_standby_streaming_delay=0"))
    }

    /// One that is always late.
    fn late() -> &'static Self {
        static REPLICA: OnceLock<Replica> = OnceLock::new();
        REPLICA.get_or_init(|| Self::start("recovery_min_apply_delay=150ms"))
    }

    /// One that a test pauses.
    fn paused() -> &'static Self {
        static REPLICA: OnceLock<Replica> = OnceLock::new();
        REPLICA.get_or_init(|| Self::start("max_standby_streaming_delay=-1"))
    }

    fn url(&self) -> String {
        self.0.url()
    }

    async fn ask<T>(&self, sql: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let mut connection = PgConnection::connect(&self.url()).await.expect("a replica");
        let asked = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        asked.fetch_one(&mut connection).await.expect("an answer of the replica")
    }

    /// Waits until it has all that the primary has written.
    async fn catch_up(&self) {
        let mut primary = PgConnection::connect(&Server::get().url()).await.expect("the primary");
        let written: String = sqlx::query_scalar("SELECT pg_current_wal_lsn()::text")
            .fetch_one(&mut primary)
            .await
            .expect("a place in the log of the primary");
        let has_all = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn");
        let caught_up = async {
            while !self.ask::<bool>(&has_all).await {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(DEADLINE, caught_up).await.expect("the replica does not catch up");
    }
}

/// Options with which each page that can come from the replica does.
fn eager(schema: &str, replica: &str) -> Options {
    options(schema).with_replica(replica).with_replica_distance(0)
}

/// A store with a replica that has what was appended before each read.
struct Fast;

#[derive(Debug)]
struct CaughtUp {
    store: PostgresStore,
    has_grown: AtomicBool,
}

#[async_trait]
impl StoreFixture for Fast {
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Guard)> {
        let replica = eager(&fresh_schema(), &Replica::fast().url());
        let store = replica.connect(&Server::get().url()).await?;
        Ok((Arc::new(CaughtUp { store, has_grown: AtomicBool::new(true) }), Guard::none()))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventStore for CaughtUp {
    async fn append(&self, append: Append) -> Result<Appended> {
        let appended = self.store.append(append).await;
        self.has_grown.store(true, Ordering::SeqCst);
        appended
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        if self.has_grown.swap(false, Ordering::SeqCst) {
            Replica::fast().catch_up().await;
        }
        self.store.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.store.read_stream(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.store.head().await
    }

    fn commits(&self) -> Option<Commits> {
        self.store.commits()
    }
}

/// A store with a replica that is always late.
struct Late;

#[async_trait]
impl StoreFixture for Late {
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Guard)> {
        let replica = eager(&fresh_schema(), &Replica::late().url());
        Ok((Arc::new(replica.connect(&Server::get().url()).await?), Guard::none()))
    }
}

mod fast {
    use super::*;
    downlink_conformance_tests::event_store!(Fast, ignore = "needs PostgreSQL: ./check postgres");
}

mod late {
    use super::*;
    downlink_conformance_tests::event_store!(Late, ignore = "needs PostgreSQL: ./check postgres");
}

mod late_subscription {
    use super::*;
    downlink_conformance_tests::subscription!(
        Late,
        Local,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

/// Appends this many events in groups of 100.
async fn fill(store: &PostgresStore, events: usize) -> Cursor {
    let mut head = Cursor::START;
    for _ in 0..events / 100 {
        let departed = |_| NewEvent::json("FlightDeparted", r#"{"gate":"C71"}"#).expect("an event");
        let departed: Vec<_> = (0..100).map(departed).collect();
        let append = Append::to("flight-UA1545", Expected::Any, departed).expect("an append");
        head = store.append(append).await.expect("an append").cursor;
    }
    head
}

/// All pages of the log.
async fn pages(store: &PostgresStore) -> Vec<Page> {
    let (mut pages, mut after) = (Vec::<Page>::new(), Cursor::START);
    while pages.last().is_none_or(|page| page.more) {
        let read = ReadLog::log().with_after(after).with_limit(50);
        let page = store.read_log(read).await.expect("a page");
        after = page.scanned;
        pages.push(page);
    }
    pages
}

/// A log of this many events, through a store without a replica.
async fn log(events: usize) -> (String, PostgresStore) {
    let schema = fresh_schema();
    let store = options(&schema).connect(&Server::get().url()).await.expect("a log");
    fill(&store, events).await;
    (schema, store)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn pages_of_the_replica_are_those_of_the_primary() {
    let (schema, plain) = log(2_000).await;
    let proxy = Proxy::start(Replica::fast().0.socket()).await;
    let replicated = eager(&schema, &proxy.url()).with_replica_distance(500);
    let store = replicated.connect(&Server::get().url()).await.unwrap();
    Replica::fast().catch_up().await;
    // From here on the store knows how long the log is.
    assert!(store.read_log(ReadLog::log()).await.unwrap().more);
    assert_eq!(proxy.round_trips(), 0);
    assert_eq!(pages(&store).await, pages(&plain).await);
    // 31 of 40 pages begin 500 or more before the end; the first one prepares the statement.
    assert_eq!(proxy.round_trips(), 32, "the replica was not asked for each page far behind");
    // The end of the log is that of the primary, which has grown.
    let head = fill(&plain, 100).await;
    let page = store.read_log(ReadLog::log().with_limit(50)).await.unwrap();
    assert_eq!((page.head, page.events.len(), page.more), (head, 50, true));
    assert_eq!(proxy.round_trips(), 33);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_replica_that_is_paused_hides_nothing() {
    let (schema, plain) = log(300).await;
    let replica = Replica::paused();
    replica.catch_up().await;
    replica.ask::<()>("SELECT pg_wal_replay_pause()").await;
    let store = eager(&schema, &replica.url()).connect(&Server::get().url()).await.unwrap();
    let end_of_replica = store.head().await.unwrap();
    let head = fill(&store, 300).await;
    for limit in [1, 7, 100, 299, 300, 301, 1_000] {
        let read = ReadLog::log().with_limit(limit);
        let page = store.read_log(read.clone()).await.unwrap();
        assert_eq!(page, plain.read_log(read).await.unwrap(), "{limit}");
        assert_eq!(page.head, head);
    }
    assert_eq!(pages(&store).await, pages(&plain).await);
    for after in [end_of_replica, head] {
        let page = store.read_log(ReadLog::log().with_after(after)).await.unwrap();
        assert_eq!((page.scanned, page.head), (head, head));
    }
    let beyond = Position::new(head.position().get() + 1).unwrap();
    let refused = store.read_log(ReadLog::log().with_after(beyond)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::CursorAhead, "{refused}");
    replica.ask::<()>("SELECT pg_wal_replay_resume()").await;
}

/// A server that accepts connections and never answers, and how many it has accepted.
async fn silent_server() -> (String, Arc<AtomicUsize>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let (accepted, mut accepting) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    let count = Arc::clone(&accepted);
    accepting.spawn(async move {
        let mut connections = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            connections.push(connection);
        }
    });
    (format!("postgres://downlink@127.0.0.1:{port}/postgres"), accepted, accepting)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_replica_that_does_not_answer_is_left_alone() {
    let (schema, plain) = log(1_000).await;
    let (silent, accepted, _accepting) = silent_server().await;
    let missing = "postgres:///postgres?user=downlink&host=/no-such-folder";
    for replica in [&*silent, missing] {
        let store = eager(&schema, replica).connect(&Server::get().url()).await.unwrap();
        store.head().await.unwrap();
        for _ in 0..5 {
            let read = timeout(DEADLINE, pages(&store)).await.expect("a replica that is down");
            assert_eq!(read, pages(&plain).await);
        }
    }
    let accepted = accepted.load(Ordering::SeqCst);
    assert!((1..=5).contains(&accepted), "asked {accepted} times for 100 pages");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_replica_of_another_log_is_not_believed() {
    let (schema, plain) = log(500).await;
    let database = format!("other_{schema}");
    execute(format!("CREATE DATABASE {database}")).await.unwrap();
    let elsewhere = Server::get().url().replace("/postgres?", &format!("/{database}?"));
    let other = options(&schema).connect(&elsewhere).await.unwrap();
    fill(&other, 600).await;
    let store = eager(&schema, &elsewhere).connect(&Server::get().url()).await.unwrap();
    store.head().await.unwrap();
    for from in [0, 50, 100, 450] {
        // A position is trusted, so the replica has a page for it.
        let read = ReadLog::log().with_after(Position::new(from).unwrap()).with_limit(20);
        let page = store.read_log(read.clone()).await.unwrap();
        assert_eq!(page, plain.read_log(read).await.unwrap());
    }
    assert_eq!(pages(&store).await, pages(&plain).await);
}

/// The replica stops reads that keep it from going on with the log of the primary.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_read_that_the_replica_stops_goes_to_the_primary() {
    let (schema, plain) = log(2_000).await;
    let replica = Replica::fast();
    replica.catch_up().await;
    let store = eager(&schema, &replica.url()).connect(&Server::get().url()).await.unwrap();
    let head = store.head().await.unwrap();
    let lock = format!(
        "BEGIN; LOCK TABLE {schema}.events IN ACCESS EXCLUSIVE MODE; COMMIT; SELECT pg_sleep(0.001)"
    );
    let locking = tokio::spawn(async move {
        loop {
            execute(lock.clone()).await.expect("the lock");
        }
    });
    let stopped = "SELECT sum(confl_lock) > 0 FROM pg_stat_database_conflicts";
    let reading = async {
        while !replica.ask::<bool>(stopped).await {
            let mut readers = JoinSet::new();
            for _ in 0..4 {
                let store = store.clone();
                readers
                    .spawn(async move { store.read_log(ReadLog::log().with_limit(1_000)).await });
            }
            for page in readers.join_all().await {
                let page = page.expect("a page");
                assert_eq!((page.head, page.events.len()), (head, 1_000));
            }
        }
    };
    timeout(2 * DEADLINE, reading).await.expect("the replica stops no read");
    locking.abort();
    assert_eq!(pages(&store).await, pages(&plain).await);
}
