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
use crate::day::FlightDataError;

/// The capacity of the queue of batches.
const QUEUE_LEN: usize = 64;

/// Loads all flights of a file into a log; see [`LoadOptions`]. Ends early if `stop` is
/// cancelled, with an incomplete report.
///
/// # Errors
///
/// [`LoadError`], whose message says what to do. Stored events stay.
///
/// # Cancel safety
///
/// If the future is dropped, a prefix of the year is stored; the same load resumes after
/// it.
pub async fn load(
    options: &LoadOptions,
    mut progress: Progress,
    stop: &CancellationToken,
) -> Result<LoadReport, LoadError> {
    progress.prepare(format!("reading {}", options.file.display()));
    let file = options.file.clone();
    let year = outcome(spawn_blocking(move || source::read(&file))).await?;
    let log = options.log.open().await?;
    let load = Load { options: options.clone(), store: log.store(), stop: stop.clone() };
    let flights = u64::try_from(year.flights()).unwrap_or(u64::MAX);
    let loaded = load.run(Timeline::new(year).peekable(), flights, &mut progress).await;
    progress.end();
    log.close().await;
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
        progress.prepare(format!("reading {}", self.options.log));
        let (timeline, existing) = self.skip_existing(timeline).await?;
        progress.begin("flights", flights, existing.finished);
        let began = Instant::now();
        let (sender, batches) = mpsc::channel(QUEUE_LEN);
        let produced = spawn_blocking({
            let load = self.clone();
            let last = existing.last.clone();
            move || load.produce(timeline, last, &sender)
        });
        let tally = appender::append(&*self.store, received(batches), progress).await;
        let tally = tally.map_err(|error| self.options.log.refused(error))?;
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

    /// Sends batches until the year is over or the receiver is dropped.
    fn produce(
        &self,
        timeline: Peekable<Timeline>,
        last: Option<(StreamId, Version)>,
        sender: &mpsc::Sender<Batch>,
    ) -> Result<(), LoadError> {
        let failed = |error| LoadError::Flights(self.options.file.clone(), error);
        let mut batcher = Batcher::after(last);
        for planned in timeline {
            let planned = planned.map_err(failed)?;
            let full = batcher.push(&planned);
            let full =
                full.map_err(|error| failed(FlightDataError::Event(planned.flight, error)))?;
            let is_taken = full.is_none_or(|batch| sender.blocking_send(batch).is_ok());
            if self.stop.is_cancelled() || !is_taken {
                return Ok(());
            }
        }
        // If the receiver is dropped, its error is returned.
        let _ = batcher.finish().map(|batch| sender.blocking_send(batch));
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

/// The outcome of a blocking task; its panic is resumed here.
async fn outcome<T>(task: JoinHandle<Result<T, LoadError>>) -> Result<T, LoadError> {
    task.await.unwrap_or_else(|error| panic::resume_unwind(error.into_panic()))
}
