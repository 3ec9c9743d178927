use std::iter::Peekable;
use std::panic;
use std::sync::Arc;
use std::time::{Duration, Instant};

use downlink::{EventStore, StreamId, Version};
use futures::{Stream, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::appender::{self, Tally};
use super::cutter::{Batch, Cutter};
use super::known::{self, Known};
use super::timeline::Timeline;
use super::{LoadOptions, Loaded, NotLoaded, Progress, source};
use crate::Database;
use crate::day::BadDay;

/// The batches that wait to be appended.
const WAITING: usize = 64;

/// Loads all flights of a file into a log; see [`LoadOptions`]. Ends early, and
/// tells so, when `stop` is cancelled.
///
/// # Errors
///
/// [`NotLoaded`], which says what to do. What was stored stays.
///
/// # Cancel safety
///
/// Dropped half-way, it has stored the first part of the year; the same load
/// goes on there.
pub async fn load(
    options: &LoadOptions,
    mut progress: Progress,
    stop: &CancellationToken,
) -> Result<Loaded, NotLoaded> {
    progress.prepare(format!("reading {}", options.file.display()));
    let file = options.file.clone();
    let year = outcome(spawn_blocking(move || source::read(&file))).await?;
    let log_failed = |error| NotLoaded::Log(options.db.clone(), error);
    let database = Database::open(options.store, &options.db).await.map_err(log_failed)?;
    let load = Load { options: options.clone(), store: database.store(), stop: stop.clone() };
    let flights = u64::try_from(year.flights()).unwrap_or(u64::MAX);
    let loaded = load.run(Timeline::new(year).peekable(), flights, &mut progress).await;
    progress.end();
    database.close().await;
    loaded
}

#[derive(Clone, Debug)]
struct Load {
    options: LoadOptions,
    store: Arc<dyn EventStore>,
    stop: CancellationToken,
}

impl Load {
    async fn run(
        self,
        timeline: Peekable<Timeline>,
        flights: u64,
        progress: &mut Progress,
    ) -> Result<Loaded, NotLoaded> {
        progress.prepare(format!("looking at what {} has", self.options.db.display()));
        let (timeline, known) = self.pass_over(timeline).await?;
        progress.begin("flights", flights, known.finished);
        let began = Instant::now();
        let (offered, batches) = mpsc::channel(WAITING);
        let produced = spawn_blocking({
            let load = self.clone();
            let last = known.last.clone();
            move || load.produce(timeline, last, &offered)
        });
        let tally = appender::append(&*self.store, received(batches), progress).await;
        let tally = tally.map_err(|error| NotLoaded::Log(self.options.db, error))?;
        outcome(produced).await?;
        Ok(sum_up(&known, &tally, began.elapsed(), flights))
    }

    async fn pass_over(
        &self,
        mut timeline: Peekable<Timeline>,
    ) -> Result<(Peekable<Timeline>, Known), NotLoaded> {
        let Self { options, store, stop } = self.clone();
        let runtime = Handle::current();
        outcome(spawn_blocking(move || {
            let known = known::pass_over(&mut timeline, &*store, &options, &stop);
            runtime.block_on(known).map(|known| (timeline, known))
        }))
        .await
    }

    /// Offers batches until the year is over or nobody takes them any more.
    fn produce(
        &self,
        timeline: Peekable<Timeline>,
        last: Option<(StreamId, Version)>,
        offered: &mpsc::Sender<Batch>,
    ) -> Result<(), NotLoaded> {
        let failed = |error| NotLoaded::Flights(self.options.file.clone(), error);
        let mut cutter = Cutter::after(last);
        for happening in timeline {
            let happening = happening.map_err(failed)?;
            let full = cutter.push(&happening);
            let full = full.map_err(|error| failed(BadDay::Event(happening.flight, error)))?;
            let is_taken = full.is_none_or(|batch| offered.blocking_send(batch).is_ok());
            if self.stop.is_cancelled() || !is_taken {
                return Ok(());
            }
        }
        // Whoever does not take it has a reason of their own to tell.
        let _ = cutter.cut().map(|batch| offered.blocking_send(batch));
        Ok(())
    }
}

fn received(mut batches: mpsc::Receiver<Batch>) -> impl Stream<Item = Batch> {
    stream::poll_fn(move |context| batches.poll_recv(context))
}

fn sum_up(known: &Known, tally: &Tally, took: Duration, flights: u64) -> Loaded {
    let finished = known.finished + tally.finished;
    Loaded {
        flights: finished,
        stored: tally.stored,
        known: known.events + tally.known,
        cursor: tally.cursor.unwrap_or(known.cursor),
        took,
        complete: finished == flights,
    }
}

/// What a task on a thread of its own came to; its panic is ours.
async fn outcome<T>(task: JoinHandle<Result<T, NotLoaded>>) -> Result<T, NotLoaded> {
    task.await.unwrap_or_else(|error| panic::resume_unwind(error.into_panic()))
}
