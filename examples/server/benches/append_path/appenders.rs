use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io::stdin;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use downlink::store::Appended;
use downlink::{Append, Bus, EventStore, Expected, Hub, NewEvent, StreamId, Subscribe};
use downlink_rusqlite::{BusOptions, RusqliteBus};
use downlink_sqlx::SqlxBus;

use crate::Result;
use crate::counting_store::CountingStore;
use crate::raw::{Linked, Random, event, stream};
use crate::subject::Store;
use crate::support::warm_up::{WARM_UP_BYTES, WARM_UP_EVENTS};

/// The number of streams that appenders choose from.
pub(crate) const STREAMS: u64 = 1_000;

/// As many bytes as the events that warm up a server.
pub(crate) const WARM_UP_ROWS: u64 = 100_000;

/// Reads a number of seconds from each line of the input, appends for that time, and
/// prints a line of results. Each measurement is a separate process, so that one build
/// can measure another.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Appenders {
    #[arg(long)]
    through: Through,
    #[arg(long)]
    store: Store,
    #[arg(long)]
    file: PathBuf,
    /// The number of concurrent appenders
    #[arg(long)]
    count: usize,
    /// Grow the write-ahead log to its full size first
    #[arg(long)]
    warm_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Through {
    Store,
    /// A hub with one subscriber.
    Hub,
    /// Transactions of `count` rows on a plain connection.
    Loop,
}

impl fmt::Display for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store => "store",
            Self::Hub => "hub",
            Self::Loop => "loop",
        })
    }
}

/// The results, as one process prints them and another parses them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Appends {
    events: u64,
    /// Reads of the log by the hub.
    reads: u64,
    seconds: f64,
}

impl Appenders {
    pub(crate) fn run(&self) -> Result<()> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(async {
            match self.through {
                Through::Store => self.through_store().await,
                Through::Hub => self.through_hub().await,
                Through::Loop => self.through_loop().await,
            }
        })
    }

    async fn through_store(&self) -> Result<()> {
        let store = open(self.store, &self.file).await?;
        let append = move |append| {
            let store = Arc::clone(&store);
            async move { store.append(append).await }
        };
        self.measure(append, || 0).await
    }

    async fn through_hub(&self) -> Result<()> {
        let store = CountingStore::new(open(self.store, &self.file).await?);
        let bus = open_bus(self.store, &self.file).await?;
        let hub = Hub::builder(Arc::new(store.clone()), bus).start().await?;
        let mut subscription = hub.subscribe(Subscribe::new()).await?;
        tokio::spawn(async move { while subscription.next().await.is_some() {} });
        let append = move |append| {
            let hub = hub.clone();
            async move { hub.append(append).await }
        };
        self.measure(append, || store.reads()).await
    }

    async fn through_loop(&self) -> Result<()> {
        drop(open(self.store, &self.file).await?);
        let (mut raw, mut random) = (Linked::open(&self.file), Random::new(7));
        let rows = u64::try_from(self.count)?;
        if self.warm_up {
            raw.append(WARM_UP_ROWS, STREAMS, &mut random);
        }
        for line in stdin().lines() {
            let (time, began, mut events) = (seconds(&line?)?, Instant::now(), 0);
            while began.elapsed() < time {
                events += raw.append(rows, STREAMS, &mut random);
            }
            println!("{}", Appends { events, reads: 0, seconds: began.elapsed().as_secs_f64() });
        }
        Ok(())
    }

    async fn measure<A, F>(&self, append: A, reads: impl Fn() -> u64) -> Result<()>
    where
        A: Fn(Append) -> F + Clone + Send + 'static,
        F: Future<Output = downlink::Result<Appended>> + Send,
    {
        let warm_up = if self.warm_up { WARM_UP_EVENTS } else { 0 };
        for number in 0..warm_up {
            let payload = format!("\"{}\"", "x".repeat(WARM_UP_BYTES));
            let event = NewEvent::json("FlightDeparted", payload)?;
            append(Append::to(stream(number), Expected::Any, [event])?).await?;
        }
        for line in stdin().lines() {
            let (time, read, began) = (seconds(&line?)?, reads(), Instant::now());
            let events = appenders(self.count, time, &append).await?;
            let seconds = began.elapsed().as_secs_f64();
            println!("{}", Appends { events, reads: reads() - read, seconds });
        }
        Ok(())
    }
}

/// Appends from `count` tasks; each appends one event at a time.
async fn appenders<A, F>(count: usize, time: Duration, append: &A) -> Result<u64>
where
    A: Fn(Append) -> F + Clone + Send + 'static,
    F: Future<Output = downlink::Result<Appended>> + Send,
{
    let began = Instant::now();
    let tasks: Vec<_> = (1..)
        .take(count)
        .map(|seed| {
            let append = append.clone();
            tokio::spawn(async move {
                let (mut random, mut events) = (Random::new(seed), 0);
                while began.elapsed() < time {
                    let name: StreamId = stream(random.below(STREAMS)).try_into()?;
                    append(Append::to(name, Expected::Any, [event()])?).await?;
                    events += 1;
                }
                Ok::<_, downlink::Error>(events)
            })
        })
        .collect();
    let mut events = 0;
    for task in tasks {
        events += task.await??;
    }
    Ok(events)
}

fn seconds(line: &str) -> Result<Duration> {
    Ok(Duration::try_from_secs_f64(line.parse()?)?)
}

impl Appends {
    pub(crate) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.reads += other.reads;
        self.seconds += other.seconds;
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    pub(crate) fn per_second(self) -> f64 {
        self.events as f64 / self.seconds
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    pub(crate) fn reads_per_append(self) -> f64 {
        self.reads as f64 / self.events as f64
    }
}

impl fmt::Display for Appends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, reads, seconds } = self;
        write!(f, "{events} {reads} {seconds}")
    }
}

impl FromStr for Appends {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(line: &str) -> Result<Self> {
        let mut words = line.split_whitespace();
        let mut next =
            || words.next().ok_or_else(|| format!("expected three numbers, got {line:?}"));
        Ok(Self { events: next()?.parse()?, reads: next()?.parse()?, seconds: next()?.parse()? })
    }
}

async fn open(store: Store, file: &Path) -> Result<Arc<dyn EventStore>> {
    Ok(match store {
        Store::Rusqlite => Arc::new(downlink_rusqlite::open(file).await?),
        Store::Sqlx => Arc::new(downlink_sqlx::open(file).await?),
    })
}

/// The bus of the example server.
async fn open_bus(store: Store, file: &Path) -> Result<Arc<dyn Bus>> {
    let options = BusOptions::new().without_polling();
    Ok(match store {
        Store::Rusqlite => Arc::new(RusqliteBus::open_with(file, options).await?),
        Store::Sqlx => Arc::new(SqlxBus::open_with(file, options).await?),
    })
}
