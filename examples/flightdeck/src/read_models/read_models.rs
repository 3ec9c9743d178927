use std::sync::Arc;
use std::time::Duration;

use downlink::live::{Live, LiveBuilder};
use downlink::projection::FailurePolicy;
use downlink::{Hub, ProjectionHandle, Result};
use downlink_any::Log;
use tokio::time::timeout;

use super::Model;

/// How long a process may be silent before another one builds the read models.
const LEASE: Duration = Duration::from_secs(10);

/// How long the program waits for its read models when it starts.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The read models of this process.
///
/// Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct ReadModels {
    projections: Arc<[ProjectionHandle]>,
    live: Live,
}

impl ReadModels {
    /// Starts the projections and the live queries. They run until the hub ends. An event that cannot be applied is
    /// set aside; the others are applied. Of the processes that share a database one builds each model.
    // ANCHOR: live
    pub(crate) fn start(hub: &Hub, log: &Log) -> Result<Self> {
        let start = |model| {
            let builder = hub.project(model, log.models()).with_policy(FailurePolicy::skip());
            if log.is_in_file() { builder.start() } else { builder.with_lease(LEASE).start() }
        };
        let projections = Model::ALL.into_iter().map(start).collect::<Result<Arc<[_]>>>()?;
        let live = Live::builder(hub, log.models());
        let live = Model::ALL.into_iter().fold(live, LiveBuilder::with_query);
        let live = projections.iter().fold(live, LiveBuilder::with_model).start()?;
        Ok(Self { projections, live })
    }
    // ANCHOR_END: live

    /// The models as live queries.
    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// The projections, to observe their progress.
    pub(crate) fn projections(&self) -> &[ProjectionHandle] {
        &self.projections
    }

    /// Waits until all models are live, but only for a few seconds: with a long log, the
    /// program starts before they are.
    pub(crate) async fn wait_live(&self) -> Result<()> {
        for projection in self.projections() {
            match timeout(MAX_WAIT, projection.wait_live()).await {
                Ok(live) => live?,
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }
}
