use std::sync::Arc;

use tokio::time::timeout;
use tracing::warn;

use super::hub_stats::count;
use super::shared::Shared;
use crate::bus::{Bus, Hint};
use crate::supervise::{logged, unwound};

/// Publishes hints about stored events to the bus. Hints that are added while
/// the bus accepts one are merged into the next. Ends when no further hint will
/// be added.
pub(super) async fn run(shared: Arc<Shared>, bus: Arc<dyn Bus>) {
    while let Some(hint) =
        shared.hints_complete.run_until_cancelled(shared.pending_hint.next()).await
    {
        publish(&shared, &*bus, hint).await;
    }
    if let Some(hint) = shared.pending_hint.take() {
        publish(&shared, &*bus, hint).await;
    }
}

async fn publish(shared: &Shared, bus: &dyn Bus, hint: Hint) {
    // The future is created inside as well: a bus may panic before it returns one.
    let published = unwound(async { bus.publish(hint).await });
    match timeout(shared.tuning.publish_deadline, published).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error)) | Err(error)) => failed(shared, &error),
        Err(elapsed) => failed(shared, &elapsed),
    }
}

fn failed(shared: &Shared, error: &dyn std::error::Error) {
    count(&shared.counters.failed_publications);
    logged(|| warn!(%error, "the bus did not accept a hint; listeners will poll the log"));
}
