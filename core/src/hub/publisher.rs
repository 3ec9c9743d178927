use std::sync::Arc;

use tokio::time::timeout;
use tracing::warn;

use super::shared::Shared;
use super::stats::count;
use crate::bus::{Bus, Hint};
use crate::supervise::{logged, unwound};

/// Tells the bus what was stored, however many appends there were in the
/// meantime: what is announced while the bus takes a hint makes another one.
/// Ends when the tail has announced everything that the hub stored.
pub(super) async fn run(shared: Arc<Shared>, bus: Arc<dyn Bus>) {
    while let Some(hint) = shared.settled.run_until_cancelled(shared.announcement.next()).await {
        publish(&shared, &*bus, hint).await;
    }
    if let Some(hint) = shared.announcement.take() {
        publish(&shared, &*bus, hint).await;
    }
}

async fn publish(shared: &Shared, bus: &dyn Bus, hint: Hint) {
    // The future is made inside, too: a bus may panic at once.
    let published = unwound(async { bus.publish(hint).await });
    match timeout(shared.tuning.publish_deadline, published).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error)) | Err(error)) => failed(shared, &error),
        Err(elapsed) => failed(shared, &elapsed),
    }
}

fn failed(shared: &Shared, error: &dyn std::error::Error) {
    count(&shared.counters.failed_publications);
    logged(|| warn!(%error, "the bus did not take a hint; listeners look by themselves"));
}
