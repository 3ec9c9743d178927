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
use super::batcher::{Batch, Batcher};
use super::existing::{self, Existing};
use super::timeline::Timeline;
use super::{LoadError, LoadOptions, LoadReport, Progress, source};
use crate::database::Database;
use crate::day::FlightDataError;

/// The batches that wait to be appended.
const QUEUE_LEN: usize = 64;

/// Loads all flights of a file into a log; see [`LoadOptions`]. Ends early, and
/// tells so, when `stop` is cancelled.
///
/// # Errors
///
/// [`LoadError`], which says what to do. What was stored stays.
///
/// # Cancel safety
///
/// Dropped half-way, it has stored the first part of the year; the same load
/// goes on there.
pub async fn load(
    options: &LoadOptions,
    mut progress: Progress,
    stop: &CancellationToken,
) -> Result<LoadReport, LoadError> {
    progress.prepare(format!("reading {}", options.file.display()));
    let file = options.file.clone();
    let year = outcome(spawn_blocking(move || source::read(&file))).await?;
    let log_failed = |error| LoadError::Log(options.db.clone(), error);
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
    ) -> Result<LoadReport, LoadError> {
        progress.prepare(format!("looking at what {} has", self.options.db.display()));
        let (timeline, existing) = self.skip_existing(timeline).await?;
        progress.begin("flights", flights, existing.finished);
        let began = Instant::now();
        let (offered, batches) = mpsc::channel(QUEUE_LEN);
        let produced = spawn_blocking({
            let load = self.clone();
            let last = existing.last.clone();
            move || load.produce(timeline, last, &offered)
        });
        let tally = appender::append(&*self.store, received(batches), progress).await;
        let tally = tally.map_err(|error| LoadError::Log(self.options.db, error))?;
        outcome(produced).await?;
        Ok(sum_up(&existing, &tally, began.elapsed(), flights))
    }

    async fn skip_existing(
        &self,
        mut timeline: Peekable<Timeline>,
    ) -> Result<(Peekable<Timeline>, Existing), LoadError> {
        let Self { options, store, stop } = self.clone();
        let runtime = Handle::current();
        outcome(spawn_blocking(move || {
            let existing = existing::skip_existing(&mut timeline, &*store, &options, &stop);
            runtime.block_on(existing).map(|existing| (timeline, existing))
        }))
        .await
    }

    /// Offers batches until the year is over or nobody takes them any more.
    fn produce(
        &self,
        timeline: Peekable<Timeline>,
        last: Option<(StreamId, Version)>,
        offered: &mpsc::Sender<Batch>,
    ) -> Result<(), LoadError> {
        let failed = |error| LoadError::Flights(self.options.file.clone(), error);
        let mut batcher = Batcher::after(last);
        for planned in timeline {
            let planned = planned.map_err(failed)?;
            let full = batcher.push(&planned);
            let full =
                full.map_err(|error| failed(FlightDataError::Event(planned.flight, error)))?;
            let is_taken = full.is_none_or(|batch| offered.blocking_send(batch).is_ok());
            if self.stop.is_cancelled() || !is_taken {
                return Ok(());
            }
        }
        // Whoever does not take it has a reason of their own to tell.
        let _ = batcher.finish().map(|batch| offered.blocking_send(batch));
        Ok(())
    }
}

fn received(mut batches: mpsc::Receiver<Batch>) -> impl Stream<Item = Batch> {
    stream::poll_fn(move |context| batches.poll_recv(context))
}

fn sum_up(existing: &Existing, tally: &Tally, took: Duration, flights: u64) -> LoadReport {
    let finished = existing.finished + tally.finished;
    LoadReport {
        flights: finished,
        stored: tally.stored,
        existing: existing.events + tally.existing,
        cursor: tally.cursor.unwrap_or(existing.cursor),
        took,
        complete: finished == flights,
    }
}

/// What a task on a thread of its own came to; its panic is ours.
async fn outcome<T>(task: JoinHandle<Result<T, LoadError>>) -> Result<T, LoadError> {
    task.await.unwrap_or_else(|error| panic::resume_unwind(error.into_panic()))
}
