//! The store behind PgBouncer in transaction mode, with less connections to the server than clients.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use downlink::commit::Transacted;
use downlink::decider::{Snapshot, SnapshotKey, SnapshotStore};
use downlink::live::QueryStore;
use downlink::projection::ProjectionStore;
use downlink::store::Read;
use downlink::{
    Append, BoxError, Bus, ErrorKind, Event, EventStore, EventType, Expected, NewEvent, Result,
};
use downlink_conformance_tests::live::LiveFixture;
use downlink_conformance_tests::projection::{Opened, ProjectionFixture};
use downlink_conformance_tests::{
    Application, BusFixture, GroupCommitFixture, Guard, SnapshotFixture, SnapshotPlace,
    StoreFixture, TransactionalFixture, WriteLock,
};
use downlink_postgres::{Options, PostgresStore};
use downlink_transports::client::TransportKind;
use futures::FutureExt;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row};

use crate::fixture::{Local, Lock};
use crate::live_feed::LiveFeed;
use crate::models::{Models, Tables, execute};
use crate::proxy::Proxy;
use crate::server::{Server, fresh_schema, options};

/// The pooler in front of the server. Each user and database has a pool of its own.
struct Pooler(Server);

impl Pooler {
    fn get() -> &'static Self {
        static POOLER: OnceLock<Pooler> = OnceLock::new();
        POOLER.get_or_init(|| {
            let server = Server::get().folder().to_string_lossy();
            Self(Server::run(&["pooler", &server]))
        })
    }

    /// The URL of a user, and so of a pool of three connections.
    fn url(&self, user: &str) -> String {
        self.0.url().replace("user=downlink", &format!("user={user}"))
    }

    /// The same with a pool of one connection.
    fn single(&self, user: &str) -> String {
        self.url(user).replace("/postgres?", "/single?")
    }

    fn socket(&self) -> PathBuf {
        self.0.socket()
    }
}

/// A user of this name.
async fn create_user(name: &str) -> Result<()> {
    execute(format!("CREATE ROLE {name} SUPERUSER LOGIN")).await
}

fn pooled(schema: &str) -> Options {
    options(schema).with_pooler(true).with_busy_deadline(Duration::from_mins(1))
}

/// A store behind the pooler.
pub(crate) async fn connect(schema: &str) -> Result<PostgresStore> {
    create_user(schema).await?;
    pooled(schema).connect(&Pooler::get().url(schema)).await
}

/// A log behind the pooler, which has as many clients as the store has connections.
struct Pooled;

#[async_trait]
impl StoreFixture for Pooled {
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Guard)> {
        let schema = fresh_schema();
        Ok((Arc::new(connect(&schema).await?), Guard::new(schema)))
    }
}

#[async_trait]
impl GroupCommitFixture for Pooled {
    async fn open(&self, poison: &EventType) -> Result<(Arc<dyn EventStore>, Box<dyn WriteLock>)> {
        let schema = fresh_schema();
        let store = connect(&schema).await?;
        let lock = Lock::of(schema).await?;
        lock.poison(poison).await?;
        Ok((Arc::new(store), Box::new(lock)))
    }
}

#[async_trait]
impl SnapshotFixture for Pooled {
    async fn create(&self) -> Result<Box<dyn SnapshotPlace>> {
        let schema = fresh_schema();
        create_user(&schema).await?;
        Ok(Box::new(PooledSchema(schema)))
    }
}

struct PooledSchema(String);

#[async_trait]
impl SnapshotPlace for PooledSchema {
    async fn open(&self) -> Result<Arc<dyn SnapshotStore>> {
        Ok(Arc::new(pooled(&self.0).connect(&Pooler::get().url(&self.0)).await?))
    }
}

/// Notifies through the pooler, and listens without it.
struct NotifyThrough;

#[async_trait]
impl BusFixture for NotifyThrough {
    async fn open(&self, store: &Guard) -> Result<Arc<dyn Bus>> {
        let schema = store.get::<String>().expect("what the store keeps");
        let options = pooled(schema).with_listen_url(Server::get().url());
        Ok(Arc::new(options.connect_bus(&Pooler::get().url(schema)).await?))
    }
}

/// Hears nothing of other processes.
struct Deaf;

#[async_trait]
impl BusFixture for Deaf {
    async fn open(&self, store: &Guard) -> Result<Arc<dyn Bus>> {
        let schema = store.get::<String>().expect("what the store keeps");
        Ok(Arc::new(pooled(schema).connect_bus(&Pooler::get().url(schema)).await?))
    }
}

/// [`Models`] behind the pooler.
struct PooledModels;

async fn tables() -> Result<Tables> {
    let schema = fresh_schema();
    create_user(&schema).await?;
    let tables = format!("{schema}_tables");
    execute(format!("ALTER ROLE {schema} SET search_path = {tables}")).await?;
    Tables::with(tables, pooled(&schema), &Pooler::get().url(&schema)).await
}

#[async_trait]
impl ProjectionFixture for PooledModels {
    type Tx = PgConnection;

    async fn open(&self) -> Result<Opened<PgConnection>> {
        Ok(tables().await?.opened())
    }

    async fn make_list(&self, list: &str, tx: &mut PgConnection) -> Result<(), BoxError> {
        Models.make_list(list, tx).await
    }

    async fn add_line(
        &self,
        list: &str,
        line: &str,
        tx: &mut PgConnection,
    ) -> Result<(), BoxError> {
        Models.add_line(list, line, tx).await
    }

    async fn lines(&self, opened: &Opened<PgConnection>, list: &str) -> Result<Vec<String>> {
        Models.lines(opened, list).await
    }
}

#[async_trait]
impl LiveFixture for PooledModels {
    async fn open_queries(&self) -> Result<(Opened<Self::Tx>, Arc<dyn QueryStore<Tx = Self::Tx>>)> {
        let tables = tables().await?;
        let store = tables.store.clone();
        Ok((tables.opened(), Arc::new(store)))
    }

    async fn read_lines(&self, list: &str, tx: &mut PgConnection) -> Result<Vec<String>, BoxError> {
        Models.read_lines(list, tx).await
    }
}

#[async_trait]
impl TransactionalFixture for PooledModels {
    async fn open(&self) -> Result<(Arc<dyn EventStore>, Arc<dyn Application>)> {
        let tables = tables().await?.with_rows().await?;
        Ok((Arc::new(tables.store.clone()), Arc::new(tables)))
    }
}

mod store {
    use super::*;
    downlink_conformance_tests::event_store!(Pooled, ignore = "needs PostgreSQL: ./check postgres");
}

mod grouping {
    use super::*;
    downlink_conformance_tests::group_commit_store!(
        Pooled,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod snapshots {
    use super::*;
    downlink_conformance_tests::snapshot_store!(
        Pooled,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod notifying {
    use super::*;
    downlink_conformance_tests::notifying_store!(
        Pooled,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod transactional {
    use super::*;
    downlink_conformance_tests::transactional_store!(
        PooledModels,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod projection_store {
    use super::*;
    downlink_conformance_tests::projection_store!(
        PooledModels,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod projection {
    use super::*;
    downlink_conformance_tests::projection!(
        PooledModels,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod subscription {
    use super::*;
    downlink_conformance_tests::subscription!(
        Pooled,
        NotifyThrough,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod local_subscription {
    use super::*;
    downlink_conformance_tests::subscription!(
        Pooled,
        Local,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod deaf_subscription {
    use super::*;
    downlink_conformance_tests::subscription!(
        Pooled,
        Deaf,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

downlink_conformance_tests::live_matrix! {
    stores { pooled_live: PooledModels }
    transports { sse: LiveFeed(TransportKind::Sse) }
    ignore = "needs PostgreSQL: ./check postgres"
}

fn departed(expected: Expected) -> Append {
    let event = NewEvent::json("FlightDeparted", r#"{"gate":"C71"}"#).expect("an event");
    Append::to("flight-UA1545", expected, [event]).expect("an append")
}

fn snapshot_at(last: &Event) -> Snapshot {
    Snapshot {
        schema: 1,
        version: last.version(),
        event: last.id(),
        recorded_at: last.recorded_at(),
        state: "{}".into(),
    }
}

/// Another client of the pooler.
async fn client(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a URL");
    let options = options.extra_float_digits(None).statement_cache_capacity(0);
    options.connect().await.expect("another client")
}

/// What a client finds in the session of the server: its process, its statements, the settings that
/// are not its defaults, and its locks. Left out are settings that the pooler itself makes.
const SESSION: &str = "SELECT pg_backend_pid()::text, \
    (SELECT count(*) FROM pg_prepared_statements)::text, \
    (SELECT coalesce(string_agg(name || '=' || setting, ' '), '') FROM pg_settings \
     WHERE setting IS DISTINCT FROM reset_val AND name NOT IN \
     ('client_encoding', 'DateStyle', 'TimeZone', 'application_name', 'standard_conforming_strings')), \
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())::text, \
    current_user::text, current_setting('TimeZone'), \
    (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema())::text, \
    (SELECT count(*) FROM pg_listening_channels())::text";

async fn session(client: &mut PgConnection) -> Vec<String> {
    let row = sqlx::raw_sql(SESSION).fetch_one(client).await.expect("the session");
    (0..8).map(|column| row.get(column)).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn no_state_is_left_in_a_session() {
    let schema = fresh_schema();
    create_user(&schema).await.unwrap();
    let url = Pooler::get().single(&schema);
    let mut other = client(&url).await;
    let before = session(&mut other).await;
    let store = pooled(&schema).connect(&url).await.unwrap();
    let mut check = async |after: &str| {
        assert_eq!(session(&mut other).await, before, "{after}");
    };
    check("creating the log").await;
    let appended = store.append(departed(Expected::Any)).await.unwrap();
    check("an append").await;
    store.append(departed(Expected::NoStream)).await.unwrap_err();
    check("a conflict").await;
    let stored = store.read_stream(Read::stream("flight-UA1545".try_into().unwrap())).await;
    let last = &stored.unwrap().events[0];
    let key = SnapshotKey { stream: last.stream().clone(), name: "Flight".into() };
    store.save(&key, snapshot_at(last)).await.unwrap();
    check("saving a snapshot").await;
    assert_eq!(store.load(&key, 2).await.unwrap(), Some(snapshot_at(last)));
    check("loading a snapshot").await;
    assert_eq!(store.read_log(Read::log()).await.unwrap().head, appended.cursor);
    check("a page").await;
    store.head().await.unwrap();
    check("the head").await;
    // A statement that is prepared, and settings of the session.
    let set: Result<Transacted<i32>, BoxError> = store
        .transact(|tx| {
            async move {
                let set = "SET work_mem = '77MB'; SET TimeZone = 'Europe/Berlin'; \
                           SET enable_seqscan = on; SELECT pg_advisory_lock(7); \
                           CREATE TEMPORARY TABLE scratch (n int); LISTEN scratch; \
                           SET ROLE pg_monitor";
                sqlx::raw_sql(set).execute(tx.rows().await?).await?;
                sqlx::raw_sql("RESET ROLE").execute(tx.rows().await?).await?;
                let answer = sqlx::query_scalar("SELECT $1").bind(42);
                let answer = answer.fetch_one(tx.rows().await?).await?;
                tx.append(departed(Expected::Any)).await?;
                sqlx::raw_sql("SET ROLE pg_monitor").execute(tx.rows().await?).await?;
                sqlx::raw_sql("RESET ROLE; SET work_mem = '78MB'")
                    .execute(tx.rows().await?)
                    .await?;
                Ok(answer)
            }
            .boxed()
        })
        .await;
    assert_eq!(set.unwrap(), Transacted::Committed(42));
    check("a job").await;
    assert_eq!(store.read_log(Read::log()).await.unwrap().events.len(), 2);
    assert_eq!(store.live("tally").await.unwrap(), None);
    check("a look-up").await;
}

/// As code does that is not made for a pooler: it leaves a statement with the name that sqlx gives.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn statements_that_other_clients_have_left_are_no_obstacle() {
    let schema = fresh_schema();
    create_user(&schema).await.unwrap();
    let url = Pooler::get().single(&schema);
    let store = pooled(&schema).connect(&url).await.unwrap();
    let mut other = client(&url).await;
    for name in 1..9 {
        let prepare = format!("PREPARE sqlx_s_{name} AS SELECT 'of another client'");
        sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut other).await.unwrap();
    }
    let answer: Result<Transacted<i32>, BoxError> = store
        .transact(|tx| {
            async move {
                let answer = sqlx::query_scalar("SELECT $1").bind(42);
                Ok(answer.fetch_one(tx.rows().await?).await?)
            }
            .boxed()
        })
        .await;
    assert_eq!(answer.unwrap(), Transacted::Committed(42));
    // Rows are text here, and bytes have two forms in it.
    sqlx::raw_sql("SET bytea_output = 'escape'").execute(&mut other).await.unwrap();
    let append = departed(Expected::Any);
    store.append(append.clone()).await.unwrap();
    assert!(store.append(append.clone()).await.unwrap().duplicate);
    let page = store.read_log(Read::log()).await.unwrap();
    assert!(page.events.iter().map(Event::payload).eq(append.events().map(NewEvent::payload)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn the_transaction_of_the_application_goes_through_it_too() {
    let schema = fresh_schema();
    let store = connect(&schema).await.unwrap();
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(2);
    let through: PgConnectOptions = Pooler::get().url(&schema).parse().unwrap();
    let through = through.extra_float_digits(None).statement_cache_capacity(0);
    let pool = pool.connect_with(through).await.unwrap();
    for round in 0..10 {
        let mut tx = pool.begin().await.unwrap();
        if round % 2 == 0 {
            let appended = store.append_in(&mut tx, departed(Expected::Any)).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(store.head().await.unwrap(), appended.cursor);
        } else {
            let appended = store.commit_with(tx, departed(Expected::Any)).await.unwrap();
            assert_eq!(store.head().await.unwrap(), appended.cursor);
        }
    }
    assert_eq!(store.read_log(Read::log()).await.unwrap().events.len(), 10);
}

/// The round trips of an append and of a page, after the connections were made.
async fn round_trips(proxy: &Proxy, store: &PostgresStore) -> (usize, usize) {
    let (mut append, mut page) = (0, 0);
    for _ in 0..3 {
        let before = proxy.round_trips();
        store.append(departed(Expected::Any)).await.expect("an append");
        let between = proxy.round_trips();
        store.read_log(Read::log()).await.expect("a page");
        (append, page) = (between - before, proxy.round_trips() - between);
    }
    (append, page)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_page_takes_one_round_trip_and_an_append_one_more_than_without() {
    let proxy = Proxy::start(Server::get().socket()).await;
    let direct = options(&fresh_schema()).connect(&proxy.url()).await.unwrap();
    assert_eq!(round_trips(&proxy, &direct).await, (3, 1));
    let proxy = Proxy::start(Pooler::get().socket()).await;
    let pooled = pooled(&fresh_schema()).connect(&proxy.url()).await.unwrap();
    assert_eq!(round_trips(&proxy, &pooled).await, (4, 1));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_store_that_is_not_made_for_it_is_refused() {
    let schema = fresh_schema();
    create_user(&schema).await.unwrap();
    let url = Pooler::get().url(&schema);
    let error = options(&schema).connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("Options::with_pooler"), "{error}");
    let by_url = format!("{url}&statement-cache-capacity=0");
    let store =
        options(&schema).connect(&by_url).await.expect("a store with the pooler in its URL");
    store.append(departed(Expected::Any)).await.expect("an append");
}
