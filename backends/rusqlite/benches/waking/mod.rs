//! The measurement that both drivers share.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use downlink::{After, Bus, EventStore, EventStoreExt, Expected, Hub, Item, NewEvent, Subscribe};
use tokio::time::sleep;

pub(crate) type Opened = (Arc<dyn EventStore>, Arc<dyn Bus>);

/// With this argument the program runs as the process that appends.
const APPEND: &str = "--append";

/// How fast another process appends.
#[derive(Clone, Copy)]
struct Pace {
    name: &'static str,
    /// The pause between two appends. Up to a quarter of it is added to each, so
    /// that appends do not synchronize with the polls.
    pause: Duration,
}

const PACES: [Pace; 3] = [
    Pace { name: "an append every 300 ms", pause: Duration::from_millis(300) },
    Pace { name: "an append every 20 ms", pause: Duration::from_millis(20) },
    Pace { name: "appends without a pause", pause: Duration::ZERO },
];

/// Measures, or appends for the process that measures.
pub(crate) fn run(open: impl AsyncFn(PathBuf) -> Opened) {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build();
    let runtime = runtime.expect("a runtime");
    if let (Some(file), Some(pause)) = (value(APPEND), value("--pause")) {
        let pause = Duration::from_micros(pause.parse().expect("microseconds"));
        runtime.block_on(append(&open, file.into(), pause));
        return;
    }
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let seconds = value("--seconds").map_or(10, |seconds| seconds.parse().expect("seconds"));
    let time = if is_test { Duration::from_millis(20) } else { Duration::from_secs(seconds) };
    runtime.block_on(measure(&open, time));
}

async fn append(open: &impl AsyncFn(PathBuf) -> Opened, file: PathBuf, pause: Duration) {
    let (store, _bus) = open(file).await;
    for number in 0_u32.. {
        let departed = NewEvent::json("FlightDeparted", "{}").expect("an event");
        store.append_to("flight-UA1545", Expected::Any, [departed]).await.expect("an append");
        println!("{}", now().as_nanos());
        let quarter = pause / 4;
        sleep(pause + quarter * (number * 7 % 11) / 11).await;
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970")
}

async fn measure(open: &impl AsyncFn(PathBuf) -> Opened, time: Duration) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let file = folder.path().join("flights.db");
    drop(open(file.clone()).await);
    println!("{:<40} {:>12} {:>12} {:>14}", "", "woken, p50", "woken, p99", "CPU of the bus");
    let (_, bus) = open(file.clone()).await;
    // The pauses grow to the longest one first.
    let settling = time.min(Duration::from_millis(500));
    sleep(settling).await;
    print("no appends", &[], share(time).await);
    drop(bus);
    for pace in PACES {
        let waits = wakes(open, &file, pace, time).await;
        let (_, bus) = open(file.clone()).await;
        let _appender = Appender::start(&file, pace, Stdio::null());
        sleep(settling).await;
        print(pace.name, &waits, share(time).await);
        drop(bus);
    }
}

fn print(what: &str, waits: &[Duration], share: f64) {
    let at = |share: usize| {
        let last = waits.len().checked_sub(1)?;
        Some(format!("{:.2?}", waits[last * share / 100]))
    };
    let [p50, p99] = [50, 99].map(|share| at(share).unwrap_or_default());
    println!("{what:<40} {p50:>12} {p99:>12} {:>12.2} %", share * 100.0);
}

/// The delays from the acknowledgement of each event in another process to its
/// delivery by a subscription in this one, sorted.
async fn wakes(
    open: &impl AsyncFn(PathBuf) -> Opened,
    file: &PathBuf,
    pace: Pace,
    time: Duration,
) -> Vec<Duration> {
    let (store, bus) = open(file.clone()).await;
    // Polling is practically off, so only the bus can wake the hub.
    let hub = Hub::builder(store, bus).with_poll_interval(Duration::from_hours(1)).start();
    let hub = hub.await.expect("a hub");
    let mut subscription =
        hub.subscribe(Subscribe::new().with_after(After::Now)).await.expect("a subscription");
    while !matches!(subscription.next().await, Some(Ok(Item::Live { .. }))) {}
    let mut appender = Appender::start(file, pace, Stdio::piped());
    let mut acknowledged = appender.acknowledged();
    let (began, mut waits) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        let Some(Ok(item)) = subscription.next().await else { panic!("the subscription ended") };
        if matches!(item, Item::Event(_)) {
            let woken = now();
            // If the event arrives before its acknowledgement, the delay is zero.
            let acknowledged = acknowledged.next().expect("an acknowledgement of each event");
            waits.push(woken.saturating_sub(acknowledged));
        }
    }
    hub.shutdown().await;
    waits.sort_unstable();
    waits
}

/// The other process; killed when it is dropped.
struct Appender(Child);

impl Appender {
    fn start(file: &PathBuf, pace: Pace, out: Stdio) -> Self {
        let program = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(program);
        command.arg(APPEND).arg(file).args(["--pause", &pace.pause.as_micros().to_string()]);
        Self(command.stdout(out).spawn().expect("a process"))
    }

    /// When each append was acknowledged.
    fn acknowledged(&mut self) -> impl Iterator<Item = Duration> + use<> {
        let out = self.0.stdout.take().expect("stdout was piped");
        BufReader::new(out).lines().map(|line| {
            let nanos = line.expect("a line").parse().expect("nanoseconds");
            Duration::from_nanos(nanos)
        })
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The share of one core that this process uses during this time.
async fn share(time: Duration) -> f64 {
    let (began, before) = (Instant::now(), on_cpu());
    sleep(time).await;
    on_cpu().saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64()
}

/// The CPU time of all threads of this process on Linux; zero on other systems.
fn on_cpu() -> Duration {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let spent = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
    });
    spent.sum()
}
