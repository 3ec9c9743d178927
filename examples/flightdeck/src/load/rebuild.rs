use std::time::Instant;

use downlink::{ProjectionHandle, Result, Status};
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{LoadError, LoadOptions, Progress, RebuildReport};
use crate::database::Database;
use crate::read_models::ReadModels;

/// Makes the read models of a log that was loaded, as far as they are not made
/// yet. Ends early, and tells so, when `stop` is cancelled.
///
/// # Errors
///
/// [`LoadError::Log`] if the log cannot be read or the models not be written.
///
/// # Cancel safety
///
/// Dropped half-way, the models have the first part of the log; they are
/// completed when FlightDeck shows it.
pub async fn rebuild(
    options: &LoadOptions,
    mut progress: Progress,
    stop: &CancellationToken,
) -> Result<RebuildReport, LoadError> {
    let failed = |error| LoadError::Log(options.db.clone(), error);
    let database = Database::open(options.store, &options.db).await.map_err(failed)?;
    let hub = database.hub().await.map_err(failed)?;
    let read_models = ReadModels::start(&hub, &database).map_err(failed)?;
    let rebuilt = follow(read_models.projections(), &mut progress, stop).await;
    progress.end();
    hub.shutdown().await;
    database.close().await;
    rebuilt.map_err(failed)
}

/// Waits until all projections have the whole log, and tells how far the
/// slowest of them is.
async fn follow(
    projections: &[ProjectionHandle],
    progress: &mut Progress,
    stop: &CancellationToken,
) -> Result<RebuildReport> {
    let began = Instant::now();
    let head = projections.iter().map(|projection| projection.progress().head.position()).max();
    progress.begin("events", head.unwrap_or_default().get(), 0);
    let mut changes = stream::select_all(projections.iter().map(ProjectionHandle::changes));
    let mut made = Made::default();
    while let Some(Some(change)) = stop.run_until_cancelled(changes.next()).await {
        if let Status::Stopped(error) = change.status {
            return Err(error);
        }
        let before = std::mem::replace(&mut made, Made::of(projections));
        progress
            .advance(made.events - before.events, made.position.saturating_sub(before.position));
        if made.everything {
            break;
        }
    }
    let Made { events, everything, .. } = made;
    Ok(RebuildReport {
        events,
        models: projections.len(),
        took: began.elapsed(),
        complete: everything,
    })
}

/// How far the slowest projection is.
#[derive(Default)]
struct Made {
    /// The events that it was given.
    events: u64,
    position: u64,
    everything: bool,
}

impl Made {
    fn of(projections: &[ProjectionHandle]) -> Self {
        let all: Vec<_> = projections.iter().map(ProjectionHandle::progress).collect();
        Self {
            events: all.iter().map(|progress| progress.applied).min().unwrap_or_default(),
            position: all
                .iter()
                .map(|progress| progress.position.position().get())
                .min()
                .unwrap_or_default(),
            everything: all.iter().all(downlink::Progress::is_caught_up),
        }
    }
}
