use std::sync::Arc;

use tokio::time::sleep;

use super::shared::Shared;

/// Makes idle subscriptions yield checkpoints, until the hub stops: one task and one
/// timer for all of them.
pub(super) async fn run(shared: Arc<Shared>) {
    let interval = shared.tuning.checkpoint_interval / shared.fan_out.ticks_per_round();
    while shared.stop.run_until_cancelled(sleep(interval)).await.is_some() {
        shared.fan_out.tick();
    }
}
