use std::time::{Duration, Instant};

use downlink::EventStore;
use downlink_postgres::PostgresStore;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::aim::Aim;
use crate::appender_process::connect;
use crate::arguments::Arguments;
use crate::load::append;
use crate::server::{Server, fresh_schema};
use crate::table;

const APPENDERS: usize = 16;

/// The pause of an appender between two appends: a load that leaves the machine some room, because
/// the question is what the snapshot changes.
const PAUSE: Duration = Duration::from_millis(20);

/// The slowest appends beside a snapshot that another transaction holds, as `pg_dump` does.
pub(crate) async fn measure(server: &Server, arguments: &Arguments) {
    let store = connect(&fresh_schema(), &server.url()).await;
    let (held, window) = (arguments.snapshot, arguments.snapshot / 5);
    // Warms up.
    delays(&store, window / 4).await;
    let before = p99(delays(&store, window).await);
    let mut snapshot = PgConnection::connect(&server.url()).await.expect("a connection");
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class";
    sqlx::raw_sql(begin).execute(&mut snapshot).await.expect("a snapshot");
    let rest = held.saturating_sub(window);
    delays(&store, rest).await;
    let beside = p99(delays(&store, window).await);
    sqlx::raw_sql("COMMIT").execute(&mut snapshot).await.expect("to end the snapshot");
    let after = p99(delays(&store, window).await);
    table::print("append, p99, before a snapshot is held", &table::micros(before));
    let measure =
        format!("append, p99, in the last {window:.0?} of a snapshot held for {held:.0?}");
    table::print_ratio(&measure, &table::micros(beside), beside / before, Aim::AtMost(1.5));
    table::print("append, p99, after the snapshot has ended", &table::micros(after));
}

/// How long each append takes, in microseconds.
async fn delays(store: &PostgresStore, time: Duration) -> Vec<f64> {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for flight in 0..APPENDERS {
        let store = store.clone();
        running.spawn(async move {
            let mut delays = Vec::new();
            while began.elapsed() < time {
                let called = Instant::now();
                store.append(append(flight)).await.expect("an append");
                delays.push(called.elapsed().as_secs_f64() * 1e6);
                sleep(PAUSE).await;
            }
            delays
        });
    }
    running.join_all().await.concat()
}

fn p99(mut delays: Vec<f64>) -> f64 {
    delays.sort_unstable_by(f64::total_cmp);
    delays[delays.len() * 99 / 100]
}
