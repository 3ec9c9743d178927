//! How fast a read model is built from an existing log, and how much a running
//! projection slows down appends.
//!
//! ```console
//! $ cargo bench -p downlink-rusqlite --bench project
//! $ cargo bench -p downlink-rusqlite --bench project -- --events 1000000
//! ```

use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use downlink::{
    Append, BoxError, Error, Event, EventStore, Expected, Filter, Hub, LocalBus, NewEvent,
    Projection,
};
use downlink_rusqlite::{RusqliteStore, Tx};
use futures::future::try_join_all;

/// The allocator of the example server.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const FLIGHTS: u64 = 1_000;
const APPENDERS: u64 = 16;

/// What a read model writes for each event.
#[derive(Clone, Copy, Debug)]
enum Model {
    /// One row for each batch.
    Total,
    /// One row for each flight, updated.
    Flights,
    /// One row for each event, added.
    Journal,
}

#[async_trait]
impl Projection for Model {
    type Tx = Tx;

    fn name(&self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Flights => "flights",
            Self::Journal => "journal",
        }
    }

    fn version(&self) -> u32 {
        1
    }

    fn filter(&self) -> Filter {
        Filter::everything()
    }

    async fn prepare(&self, tx: &mut Tx) -> Result<(), BoxError> {
        tx.execute_batch(match self {
            Self::Total => {
                "DROP TABLE IF EXISTS total; CREATE TABLE total (n); INSERT INTO total VALUES (0)"
            }
            Self::Flights => {
                "DROP TABLE IF EXISTS flights; \
                 CREATE TABLE flights (flight TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID"
            }
            Self::Journal => "DROP TABLE IF EXISTS journal; CREATE TABLE journal (flight, payload)",
        })?;
        Ok(())
    }

    async fn apply(&self, events: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
        match self {
            Self::Total => {
                tx.prepare_cached("UPDATE total SET n = n + ?1")?
                    .execute([i64::try_from(events.len())?])?;
            }
            Self::Flights => {
                let mut add = tx.prepare_cached(
                    "INSERT INTO flights VALUES (?1, 1) ON CONFLICT (flight) DO UPDATE SET n = n + 1",
                )?;
                for event in events {
                    add.execute([event.stream().as_str()])?;
                }
            }
            Self::Journal => {
                let mut add = tx.prepare_cached("INSERT INTO journal VALUES (?1, ?2)")?;
                for event in events {
                    add.execute((event.stream().as_str(), &event.payload()[..]))?;
                }
            }
        }
        Ok(())
    }
}

struct Sizes {
    events: u64,
    rounds: u32,
    round: Duration,
}

impl Sizes {
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        if arguments.iter().any(|argument| argument == "--test") {
            return Self { events: 2_000, rounds: 1, round: Duration::from_millis(2) };
        }
        let at = arguments.iter().position(|argument| argument == "--events");
        let events = at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(300_000);
        Self { events, rounds: 3, round: Duration::from_secs(1) }
    }
}

fn main() {
    let sizes = Sizes::from_arguments();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("a folder on the disk of the target");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let store = fill(&folder.path().join("flights.db"), sizes.events).await;
        println!("{:<44} {:>12}", format!("building from {} events", sizes.events), "events/s");
        for model in [Model::Total, Model::Flights, Model::Journal] {
            for batch in [250, 1_000, 4_000] {
                let rate = build(&store, model, batch, &sizes).await;
                println!("{:<44} {rate:>12.0}", format!("  {model:?}, {batch} at a time"));
            }
        }
        println!("{:<44} {:>12}", format!("appending, {APPENDERS} at a time"), "events/s");
        for model in [None, Some(Model::Total), Some(Model::Flights)] {
            let rate = append_during(&store, model, &sizes).await;
            let what = model
                .map_or("without a projection".to_owned(), |model| format!("projecting {model:?}"));
            println!("{:<44} {rate:>12.0}", format!("  {what}"));
        }
    });
}

async fn fill(path: &Path, events: u64) -> RusqliteStore {
    let store = downlink_rusqlite::open(path).await.expect("a store");
    for first in (0..events).step_by(500) {
        let last = events.min(first + 500);
        let mut append = Append::default();
        for number in first..last {
            append = append
                .and(format!("flight-{}", number % FLIGHTS), Expected::Any, [delayed(number)])
                .expect("a valid name");
        }
        store.append(append).await.expect("an append");
    }
    store
}

fn delayed(number: u64) -> NewEvent {
    let payload = format!(r#"{{"flight":"UA{number}","minutes":{},"gate":"C71"}}"#, number % 90);
    NewEvent::json("FlightDelayed", payload).expect("a valid event")
}

/// Returns the fastest rate of several rounds.
async fn build(store: &RusqliteStore, model: Model, batch: usize, sizes: &Sizes) -> f64 {
    let mut fastest = Duration::MAX;
    for _ in 0..sizes.rounds {
        let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.expect("a hub");
        let running = hub.project(model, store.clone()).with_batch(batch, usize::MAX);
        let running = running.start().expect("a projection");
        running.pause().await.expect("a projection that runs");
        running.reset().await.expect("a reset");
        let head = hub.head().await.expect("a head");
        let began = Instant::now();
        running.resume().await.expect("a projection that runs");
        running.wait_for(head).await.expect("a read model");
        fastest = fastest.min(began.elapsed());
        hub.shutdown().await;
    }
    per_second(sizes.events, fastest)
}

async fn append_during(store: &RusqliteStore, model: Option<Model>, sizes: &Sizes) -> f64 {
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.expect("a hub");
    let running =
        model.map(|model| hub.project(model, store.clone()).start().expect("a projection"));
    let head = hub.head().await.expect("a head");
    if let Some(running) = &running {
        running.wait_for(head).await.expect("a read model");
    }
    let began = Instant::now();
    let appenders = (0..APPENDERS).map(|appender| {
        let hub = hub.clone();
        async move {
            let mut count = 0_u64;
            while began.elapsed() < sizes.round {
                let stream = format!("flight-{}", (appender + count) % FLIGHTS);
                hub.append_to(stream, Expected::Any, [delayed(count)]).await?;
                count += 1;
            }
            Result::<_, Error>::Ok(count)
        }
    });
    let counts = try_join_all(appenders).await.expect("appends");
    let rate = per_second(counts.iter().sum(), began.elapsed());
    hub.shutdown().await;
    rate
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no 53 bits")]
fn per_second(events: u64, time: Duration) -> f64 {
    events as f64 / time.as_secs_f64()
}
