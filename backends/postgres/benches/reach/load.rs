use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use downlink::{Append, EventStore, Expected, NewEvent};
use downlink_postgres::PostgresStore;
use sqlx::PgPool;
use tokio::task::JoinSet;

use crate::by_hand::ByHand;

pub(crate) const EVENT: &str =
    r#"{"flight":"UA1545","from":"EWR","to":"IAH","gate":"C71","delay":2}"#;

/// A departure of the flight with this number.
pub(crate) fn append(flight: usize) -> Append {
    let departed = NewEvent::json("FlightDeparted", EVENT).expect("an event");
    Append::to(format!("flight-{flight}"), Expected::Any, [departed]).expect("an append")
}

/// Something that stores events.
pub(crate) trait Load: Clone + Send + Sync + 'static {
    /// Stores some events for one of the tasks, and returns how many.
    fn store(&self, task: usize) -> impl Future<Output = usize> + Send;
}

/// One `INSERT` in each transaction, through a pool.
#[derive(Clone)]
pub(crate) struct Plain(pub(crate) ByHand);

impl Load for Plain {
    async fn store(&self, _: usize) -> usize {
        self.0.insert(&self.0.pool, 1).await
    }
}

/// Transactions of 64 rows.
#[derive(Clone)]
pub(crate) struct Raw(pub(crate) ByHand);

impl Load for Raw {
    async fn store(&self, _: usize) -> usize {
        let mut tx = self.0.pool.begin().await.expect("a transaction");
        let stored = self.0.insert(&mut *tx, 64).await;
        tx.commit().await.expect("a commit");
        stored
    }
}

impl Load for PostgresStore {
    async fn store(&self, task: usize) -> usize {
        EventStore::append(self, append(task)).await.expect("an append");
        1
    }
}

/// A row of the application and an event, in its transactions.
#[derive(Clone)]
pub(crate) struct Together {
    pub(crate) pool: PgPool,
    pub(crate) store: PostgresStore,
}

impl Load for Together {
    async fn store(&self, task: usize) -> usize {
        let mut tx = self.pool.begin().await.expect("a transaction");
        let gate = sqlx::query("INSERT INTO gates VALUES ('C71')");
        gate.execute(&mut *tx).await.expect("a row");
        self.store.commit_with(tx, append(task)).await.expect("a commit");
        1
    }
}

/// How many events a load stores in a second, from this many tasks.
pub(crate) async fn rate<L: Load>(load: &L, tasks: usize, time: Duration) -> f64 {
    let began = Instant::now();
    let stored = stored(load, tasks, time).await;
    per_second(stored, began.elapsed())
}

/// How many events a load stores in this time.
pub(crate) async fn stored<L: Load>(load: &L, tasks: usize, time: Duration) -> usize {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for task in 0..tasks {
        let load = load.clone();
        running.spawn(async move {
            let mut stored = 0;
            while began.elapsed() < time {
                stored += load.store(task).await;
            }
            stored
        });
    }
    running.join_all().await.into_iter().sum()
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no 53 bits")]
pub(crate) fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// The next number of a counter, from 1.
pub(crate) fn next(counter: &AtomicUsize, count: usize) -> usize {
    counter.fetch_add(count, Ordering::Relaxed) + 1
}
