use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use downlink::projection::{DeadLetter, FailurePolicy, Status};
use downlink::{Cursor, Hub, Position, ProjectionHandle, Result};
use futures::StreamExt;

use super::ReadModel;

/// Options of a running projection.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// What happens to events that fail.
    pub policy: FailurePolicy,
    /// The most events that are applied in one step.
    pub batch: usize,
    /// The duration of the worker's lease, if it needs one.
    pub lease: Option<Duration>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { policy: FailurePolicy::stop(), batch: 100, lease: None }
    }
}

/// What the laws need of a running projection, so that they can test broken
/// ones, too. Dropping it stops the projection.
#[async_trait]
pub trait RunningProjection: Send + Sync {
    /// See [`ProjectionHandle::wait_for`].
    async fn wait_for(&self, cursor: Cursor) -> Result<()>;

    /// See [`ProjectionHandle::wait_live`].
    async fn wait_live(&self) -> Result<()>;

    /// Waits until the stored checkpoint is at this cursor or beyond.
    async fn wait_stored(&self, cursor: Cursor) -> Result<()>;

    /// See [`ProjectionHandle::resume`].
    async fn resume(&self) -> Result<()>;

    /// See [`ProjectionHandle::dead_letters`].
    async fn dead_letters(&self, after: Position, limit: usize) -> Result<Vec<DeadLetter>>;
}

/// Runs projections.
pub trait RunnerFixture: Send + Sync + 'static {
    /// Starts a projection.
    fn start(
        &self,
        hub: &Hub,
        model: Arc<dyn ReadModel>,
        drive: RunOptions,
    ) -> Result<Box<dyn RunningProjection>>;
}

/// Runs projections with the hubs of this workspace.
#[derive(Clone, Copy, Debug)]
pub struct DownlinkRunner;

impl RunnerFixture for DownlinkRunner {
    fn start(
        &self,
        hub: &Hub,
        model: Arc<dyn ReadModel>,
        drive: RunOptions,
    ) -> Result<Box<dyn RunningProjection>> {
        let builder =
            model.project(hub).with_policy(drive.policy).with_batch(drive.batch, usize::MAX);
        let builder = match drive.lease {
            Some(lease) => builder.with_lease(lease),
            None => builder,
        };
        Ok(Box::new(builder.start()?))
    }
}

#[async_trait]
impl RunningProjection for ProjectionHandle {
    async fn wait_for(&self, cursor: Cursor) -> Result<()> {
        Self::wait_for(self, cursor).await
    }

    async fn wait_live(&self) -> Result<()> {
        Self::wait_live(self).await
    }

    async fn wait_stored(&self, cursor: Cursor) -> Result<()> {
        let mut changes = self.changes();
        while let Some(progress) = changes.next().await {
            if progress.checkpoint.position() >= cursor.position() {
                return Ok(());
            }
            if let Status::Failed(error) = progress.status {
                return Err(error);
            }
        }
        Self::wait_for(self, cursor).await
    }

    async fn resume(&self) -> Result<()> {
        Self::resume(self).await
    }

    async fn dead_letters(&self, after: Position, limit: usize) -> Result<Vec<DeadLetter>> {
        Self::dead_letters(self, after, limit).await
    }
}
