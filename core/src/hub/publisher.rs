use std::sync::Arc;

use futures::FutureExt;
use tokio::time::timeout;
use tracing::warn;

use super::shared::Shared;
use super::stats::count;
use crate::{Bus, Hint};

/// Tells the bus that something was stored, however many appends there were in
/// the meantime. The permit of `publish` is taken before the hint leaves, so
/// the last append of a burst is always followed by one.
pub(super) async fn run(shared: Arc<Shared>, bus: Arc<dyn Bus>) {
    loop {
        let stopped = tokio::select! {
            () = shared.publish.notified() => false,
            () = shared.stop.cancelled() => true,
        };
        if stopped && shared.publish.notified().now_or_never().is_none() {
            return;
        }
        let hint = Hint::at(shared.tip().position());
        match timeout(shared.tuning.publish_deadline, bus.publish(hint)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failed(&shared, &error),
            Err(elapsed) => failed(&shared, &elapsed),
        }
        if stopped {
            return;
        }
    }
}

fn failed(shared: &Shared, error: &dyn std::error::Error) {
    count(&shared.counters.failed_publications);
    warn!(%error, "the bus did not take a hint; listeners look by themselves");
}
