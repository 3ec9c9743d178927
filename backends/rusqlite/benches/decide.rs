//! How long a command takes on a long stream, with snapshots and without, and what saving them costs.
//!
//! ```console
//! $ cargo bench -p downlink-rusqlite --bench decide
//! ```

use std::convert::Infallible;
use std::time::{Duration, Instant};

use downlink::decider::Snapshots;
use downlink::{Append, Decider, EventStore, Executor, Expected, Hub, LocalBus, NewEvent};
use downlink_rusqlite::RusqliteStore;
use serde::{Deserialize, Serialize};

/// The allocator of the example server.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Sums the delays of a flight.
struct Delays;

#[derive(Debug, Serialize, Deserialize)]
enum Event {
    FlightDelayed { minutes: u64 },
}

/// What a command does.
#[derive(Clone, Copy)]
enum Command {
    /// Nothing, once the state is loaded.
    Load,
    Delay,
}

impl Decider for Delays {
    type State = u64;
    type Command = Command;
    type Event = Event;
    type Error = Infallible;

    fn initial(&self) -> u64 {
        0
    }

    fn decide(&self, _: &u64, command: &Command) -> Result<Vec<Event>, Infallible> {
        Ok(match command {
            Command::Load => Vec::new(),
            Command::Delay => vec![Event::FlightDelayed { minutes: 1 }],
        })
    }

    fn evolve(&self, sum: u64, event: &Event) -> u64 {
        let Event::FlightDelayed { minutes } = event;
        sum + minutes
    }
}

fn main() {
    let is_test = std::env::args().any(|argument| argument == "--test");
    let (lengths, rounds): (&[usize], u32) =
        if is_test { (&[200], 2) } else { (&[10, 100, 1_000, 10_000], 200) };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("a folder on the disk of the target");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let path = folder.path().join("flights.db");
        let store = downlink_rusqlite::open(path).await.expect("a store");
        let hub = Hub::builder(store.clone(), LocalBus::new()).start().await.expect("a hub");
        let plain = Executor::new(&hub, Delays);
        let every = |events| Snapshots::new(store.clone(), "Delays", 1).with_every(events);
        let with_snapshots = Executor::new(&hub, Delays).with_snapshots(every(1));
        println!("{:<44} {:>12} {:>12}", "loading a stream (median)", "events", "a snapshot");
        for &events in lengths {
            let stream = format!("flight-UA{events}");
            fill(&store, &stream, events).await;
            with_snapshots.execute(&*stream, Command::Delay).await.expect("a snapshot");
            let events = format!("  of {events} events");
            let [from_events, from_snapshot] = [
                median(&plain, &stream, Command::Load, rounds).await,
                median(&with_snapshots, &stream, Command::Load, rounds).await,
            ];
            println!("{events:<44} {from_events:>12.1?} {from_snapshot:>12.1?}");
        }
        println!("{:<44} {:>12}", "a command that appends (median)", "time");
        for (what, executor) in [
            ("without snapshots", plain),
            (
                "a snapshot after every 100 events",
                Executor::new(&hub, Delays).with_snapshots(every(100)),
            ),
            ("a snapshot after every event", with_snapshots),
        ] {
            let time = median(&executor, what, Command::Delay, rounds.min(80)).await;
            println!("{:<44} {time:>12.1?}", format!("  {what}"));
        }
        hub.shutdown().await;
        store.close().await;
    });
}

/// Adds this many events to a stream.
async fn fill(store: &RusqliteStore, stream: &str, events: usize) {
    for first in (0..events).step_by(500) {
        let delayed = (first..events.min(first + 500)).map(|_| delayed()).collect::<Vec<_>>();
        let append = Append::to(stream, Expected::Any, delayed).expect("a valid name");
        store.append(append).await.expect("an append");
    }
}

fn delayed() -> NewEvent {
    NewEvent::json("FlightDelayed", r#"{"minutes":1}"#).expect("a valid event")
}

async fn median(
    executor: &Executor<Delays>,
    stream: &str,
    command: Command,
    rounds: u32,
) -> Duration {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let began = Instant::now();
        executor.execute(stream, command).await.expect("an answer");
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}
