//! Workers of a projection with leases, whose connections are lost and whose processes are stopped.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use downlink::id::ProjectionId;
use downlink::projection::{Lease, LeaseOutcome, LeaseToken, ProjectionStore, Status};
use downlink::{
    BoxError, Event, EventStore, EventStoreExt, Expected, Filter, Hub, LocalBus, NewEvent,
    Position, Projection, ProjectionHandle, Read,
};
use downlink_conformance_tests::WriteLock;
use downlink_conformance_tests::cross_process::Respawn;
use downlink_postgres::PostgresStore;
use futures::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::time::timeout;

use crate::fixture::Lock;
use crate::proxy::{Cut, Proxy};
use crate::server::{Server, fresh_schema, options};

/// What takes longer hangs.
const DEADLINE: Duration = Duration::from_mins(1);

const LEASE: Duration = Duration::from_secs(1);

/// How often a connection is lost.
const LOSSES: usize = 40;

/// The positions of the log in the order in which they were applied, in this table.
#[derive(Debug)]
struct Positions(String);

#[async_trait]
impl Projection for Positions {
    type Tx = PgConnection;

    fn name(&self) -> &'static str {
        "positions"
    }

    fn version(&self) -> u32 {
        1
    }

    fn filter(&self) -> Filter {
        Filter::everything()
    }

    async fn prepare(&self, tx: &mut PgConnection) -> Result<(), BoxError> {
        let create = format!(
            "DROP TABLE IF EXISTS {0}; CREATE TABLE {0} (number bigserial, position bigint)",
            self.0
        );
        sqlx::raw_sql(AssertSqlSafe(create)).execute(tx).await?;
        Ok(())
    }

    async fn apply(&self, events: &[Event], tx: &mut PgConnection) -> Result<(), BoxError> {
        let add = format!("INSERT INTO {} (position) VALUES ($1)", self.0);
        for event in events {
            let add = sqlx::query(AssertSqlSafe(add.clone()));
            add.bind(event.position().get().cast_signed()).execute(&mut *tx).await?;
        }
        Ok(())
    }
}

impl Positions {
    /// Compares the table with the log.
    async fn verify(&self, store: &PostgresStore) {
        let mut connection = PgConnection::connect(&Server::get().url()).await.expect("a server");
        let select = format!("SELECT position FROM {} ORDER BY number", self.0);
        let applied: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(select))
            .fetch_all(&mut connection)
            .await
            .expect("the table");
        let log = store.read_log(Read::log().with_limit(1_000)).await.expect("the log").events;
        let log: Vec<_> = log.iter().map(|event| event.position().get().cast_signed()).collect();
        assert_eq!(applied, log, "the read model is not the log");
    }
}

async fn hub(store: &PostgresStore) -> Hub {
    let hub = Hub::builder(store.clone(), LocalBus::new());
    hub.with_poll_interval(Duration::from_millis(50)).start().await.expect("a hub")
}

async fn append(store: &PostgresStore, count: usize) -> downlink::Cursor {
    let events = (0..count).map(|_| NewEvent::json("FlightDelayed", "{}").expect("an event"));
    store.append_to("flight-UA1545", Expected::Any, events).await.expect("an append").cursor
}

async fn wait_for(worker: &ProjectionHandle, cursor: downlink::Cursor) {
    let waited = timeout(DEADLINE, worker.wait_for(cursor)).await;
    waited.expect("a worker hangs").expect("a worker that continues");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_lease_does_not_wait_for_the_lock_of_the_log() {
    let schema = fresh_schema();
    let store = options(&schema).connect(&Server::get().url()).await.expect("a store");
    let lock = Lock::of(schema).await.expect("a connection");
    let board = ProjectionId::new("board", 1).expect("a valid name");
    let lease = Lease::new(LeaseToken::generate(), LEASE);
    lock.hold().await.expect("the lock");
    for _ in 0..2 {
        let taken = timeout(DEADLINE, store.lease(&board, lease)).await.expect("it hangs");
        assert_eq!(taken.expect("an answer"), LeaseOutcome::Held);
    }
    store.release(&board, lease.token()).await.expect("a lease that is given up");
    lock.release().await.expect("the lock to be free");
}

/// Connections are lost while they are idle, and at COMMIT before and after it was executed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn workers_that_lose_connections_make_no_step_twice() {
    let schema = fresh_schema();
    let direct = options(&schema).connect(&Server::get().url()).await.expect("a store");
    let table = format!("positions_of_{schema}");
    let announced: Arc<Mutex<Vec<Position>>> = Arc::default();
    let mut workers = Vec::new();
    for _ in 0..2 {
        let proxy = Proxy::start(Server::get().socket()).await;
        let store = options(&schema).connect(&proxy.url()).await.expect("a store");
        let hub = hub(&store).await;
        let told = Arc::clone(&announced);
        let builder = hub.project(Positions(table.clone()), store.clone()).with_lease(LEASE);
        let worker = builder.on_applied(move |events| {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told.extend(events.iter().map(Event::position));
            std::future::ready(())
        });
        workers.push((proxy, hub, worker.start().expect("a projection to start")));
    }
    for loss in 0..LOSSES {
        let (proxy, _, worker) = &workers[loss % 2];
        match loss % 3 {
            0 => proxy.hang_up(),
            1 => proxy.cut(&[Cut::Answer]),
            _ => proxy.cut(&[Cut::Commit]),
        }
        let cursor = append(&direct, 1 + loss % 5).await;
        if loss % 4 == 0 {
            wait_for(worker, cursor).await;
        }
    }
    let last = append(&direct, 1).await;
    for (_, _, worker) in &workers {
        wait_for(worker, last).await;
        worker.shutdown().await;
    }
    Positions(table).verify(&direct).await;
    let told = announced.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(!told.is_empty(), "nothing was announced");
    assert!(
        told.iter().enumerate().all(|(index, position)| !told[..index].contains(position)),
        "an event was announced twice: {told:?}"
    );
}

/// A process that is stopped while it has the lease, and continues when another has it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_stopped_worker_stands_by_when_it_continues() {
    if let Some(address) = Respawn::address() {
        let parts: Vec<_> = address.split(' ').collect();
        let store = options(parts[0]).connect(parts[1]).await.expect("a store");
        report(&store, parts[2]).await;
        return;
    }
    let (schema, url) = (fresh_schema(), Server::get().url());
    let store = options(&schema).connect(&url).await.expect("a store");
    let table = format!("positions_of_{schema}");
    let path = concat!(module_path!(), "::a_stopped_worker_stands_by_when_it_continues");
    let mut command = Respawn::of_test(path).command(&format!("{schema} {url} {table}"));
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("this program can be started again");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("it runs");
    until_line(&mut lines, "works").await;
    let hub = hub(&store).await;
    let builder = hub.project(Positions(table.clone()), store.clone()).with_lease(LEASE);
    let worker = builder.start().expect("a projection to start");
    wait_for(&worker, append(&store, 3).await).await;

    kill_process(id, Signal::STOP).expect("it runs");
    wait_for(&worker, append(&store, 3).await).await;
    assert!(worker.progress().applied >= 3, "the other worker has taken over");
    kill_process(id, Signal::CONT).expect("it runs");
    until_line(&mut lines, "stands by").await;
    wait_for(&worker, append(&store, 3).await).await;
    child.kill().await.expect("it runs");
    Positions(table).verify(&store).await;
}

/// Projects, and prints what the worker does.
async fn report(store: &PostgresStore, table: &str) {
    let hub = hub(store).await;
    let builder = hub.project(Positions(table.to_owned()), store.clone()).with_lease(LEASE);
    let worker = builder.start().expect("a projection to start");
    let mut changes = worker.changes();
    while let Some(progress) = changes.next().await {
        match progress.status {
            Status::CaughtUp => println!("\nworks"),
            Status::Standby => println!("\nstands by"),
            _ => {}
        }
    }
}

async fn until_line(lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>, wanted: &str) {
    let found = async {
        while lines.next_line().await.expect("a line").expect("the process runs") != wanted {}
    };
    timeout(DEADLINE, found).await.unwrap_or_else(|_| panic!("the process never {wanted}"));
}
