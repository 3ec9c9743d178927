use std::time::Instant;

use downlink::projection::Status;
use downlink::{ProjectionHandle, Result};
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{LoadError, LoadOptions, Progress, RebuildReport};
use crate::read_models::ReadModels;

/// Builds the read models of a loaded log, as far as they are incomplete. Ends early if
/// `stop` is cancelled, with an incomplete report.
///
/// # Errors
///
/// [`LoadError::Log`] if the log cannot be read or the models cannot be written.
///
/// # Cancel safety
///
/// If the future is dropped, the models have a prefix of the log. FlightDeck completes them
/// when it serves the log.
pub async fn rebuild(
    options: &LoadOptions,
    mut progress: Progress,
    stop: &CancellationToken,
) -> Result<RebuildReport, LoadError> {
    let failed = |error| options.log.refused(error);
    let log = options.log.open().await?;
    let hub = log.hub().await.map_err(failed)?;
    let read_models = ReadModels::start(&hub, &log).map_err(failed)?;
    let rebuilt = follow(read_models.projections(), &mut progress, stop).await;
    progress.end();
    hub.shutdown().await;
    log.close().await;
    Ok(rebuilt.map_err(failed)?)
}

/// Waits until all projections have the whole log, and reports the progress of the
/// slowest.
async fn follow(
    projections: &[ProjectionHandle],
    progress: &mut Progress,
    stop: &CancellationToken,
) -> Result<RebuildReport> {
    let began = Instant::now();
    let head = projections.iter().map(|projection| projection.progress().head.position()).max();
    progress.begin("events", head.unwrap_or_default().get(), 0);
    let mut changes = stream::select_all(projections.iter().map(ProjectionHandle::changes));
    let mut slowest = Slowest::default();
    while let Some(Some(change)) = stop.run_until_cancelled(changes.next()).await {
        if let Status::Failed(error) = change.status {
            return Err(error);
        }
        let before = std::mem::replace(&mut slowest, Slowest::of(projections));
        progress.advance(
            slowest.events - before.events,
            slowest.position.saturating_sub(before.position),
        );
        if slowest.is_complete {
            break;
        }
    }
    let Slowest { events, is_complete, .. } = slowest;
    Ok(RebuildReport {
        events,
        models: projections.len(),
        took: began.elapsed(),
        complete: is_complete,
    })
}

/// The progress of the slowest projection.
#[derive(Default)]
struct Slowest {
    /// The events that it has applied.
    events: u64,
    position: u64,
    is_complete: bool,
}

impl Slowest {
    fn of(projections: &[ProjectionHandle]) -> Self {
        let all: Vec<_> = projections.iter().map(ProjectionHandle::progress).collect();
        Self {
            events: all.iter().map(|progress| progress.applied).min().unwrap_or_default(),
            position: all
                .iter()
                .map(|progress| progress.position.position().get())
                .min()
                .unwrap_or_default(),
            is_complete: all.iter().all(downlink::projection::Progress::is_caught_up),
        }
    }
}
