//! Measurements that the benchmarks compare.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use downlink::{Append, EventStore, Expected, Read, StreamId};

use crate::raw::{Random, event, stream};

/// The number of rounds. Short alternating rounds, because the disk's speed drifts.
pub(crate) const ROUNDS: u32 = 20;

pub(crate) struct Sizes {
    pub(crate) events: u64,
    pub(crate) streams: u64,
    pub(crate) round: Duration,
}

impl Sizes {
    pub(crate) fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let value = |name: &str, default: u64| {
            let at = arguments.iter().position(|argument| argument == name);
            at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
        };
        if arguments.iter().any(|argument| argument == "--test") {
            return Self { events: 2_000, streams: 100, round: Duration::from_millis(2) };
        }
        let events = value("--events", 3_000_000);
        let streams = value("--streams", (events / 100).max(1));
        Self { events, streams, round: Duration::from_secs(value("--seconds", 10)) / ROUNDS }
    }
}

/// The rate of a measurement.
#[derive(Default)]
pub(crate) struct Rate {
    pub(crate) events: u64,
    pub(crate) time: Duration,
    pub(crate) waits: Vec<Duration>,
}

impl Rate {
    pub(crate) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.time += other.time;
        self.waits.extend(other.waits);
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate needs no 53 bits")]
    fn per_second(&self) -> f64 {
        self.events as f64 / self.time.as_secs_f64()
    }

    fn waits(&self) -> String {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        match waits.as_slice() {
            [] => String::new(),
            [.., longest] => format!("{:>9.1?} {:>9.1?}", waits[waits.len() / 2], longest),
        }
    }
}

pub(crate) fn fdatasync(folder: &Path) -> Duration {
    let mut file = File::create(folder.join("sync")).expect("a file");
    let mut times: Vec<_> = (0..200)
        .map(|_| {
            file.rewind().expect("a place");
            file.write_all(&[7; 4_096]).expect("room");
            let began = Instant::now();
            file.sync_data().expect("a disk");
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

pub(crate) fn print(name: &str, of: &Rate, rate: &Rate) {
    let ratio = of.per_second() / rate.per_second();
    println!("  {name:<56} {:>10.0} {ratio:>6.2} {}", rate.per_second(), rate.waits());
}

/// Runs `count` tasks that each append one event after the other.
pub(crate) async fn appenders(
    store: &(impl EventStore + Clone),
    streams: u64,
    count: u64,
    round: Duration,
) -> Rate {
    let began = Instant::now();
    let tasks: Vec<_> = (0..count)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut random = Random::new(task + 1);
                let mut waits = Vec::new();
                while began.elapsed() < round {
                    let name: StreamId = stream(random.below(streams)).try_into().expect("a name");
                    let append = Append::to(name, Expected::Any, [event()]).expect("an append");
                    let asked = Instant::now();
                    store.append(append).await.expect("stored");
                    waits.push(asked.elapsed());
                }
                waits
            })
        })
        .collect();
    let mut rate = Rate::default();
    for task in tasks {
        rate.waits.extend(task.await.expect("no panic"));
    }
    rate.time = began.elapsed();
    rate.events = u64::try_from(rate.waits.len()).expect("a few");
    rate
}

pub(crate) fn batches(round: Duration, mut append: impl FnMut(&mut Random) -> u64) -> Rate {
    let (began, mut random, mut rate) = (Instant::now(), Random::new(7), Rate::default());
    while began.elapsed() < round {
        let asked = Instant::now();
        rate.events += append(&mut random);
        rate.waits.push(asked.elapsed());
    }
    rate.time = began.elapsed();
    rate
}

pub(crate) async fn replay(store: &(impl EventStore + Clone), events: u64) -> Rate {
    let (began, mut rate) = (Instant::now(), Rate::default());
    let mut read = Read::log();
    while rate.events < events {
        let page = store.read_log(read.clone()).await.expect("a page");
        rate.events += u64::try_from(page.events.len()).expect("a few");
        if !page.more {
            break;
        }
        read = read.with_after(page.scanned);
    }
    rate.time = began.elapsed();
    rate
}

pub(crate) async fn stream_pages(store: &(impl EventStore + Clone), sizes: &Sizes) -> Rate {
    let (began, mut rate, mut random) = (Instant::now(), Rate::default(), Random::new(3));
    while began.elapsed() < sizes.round * ROUNDS / 4 {
        let name = stream(random.below(sizes.streams)).try_into().expect("a name");
        let after = downlink::Version::new(1 + random.below(sizes.events / sizes.streams))
            .expect("a version");
        let asked = Instant::now();
        let page = store
            .read_stream(Read::stream(name).with_after(after).with_limit(10))
            .await
            .expect("a page");
        rate.waits.push(asked.elapsed());
        rate.events += u64::try_from(page.events.len()).expect("a few");
    }
    rate.time = began.elapsed();
    rate
}
