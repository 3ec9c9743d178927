use std::fmt;
use std::sync::Arc;

use super::{Fold, MemoryProjections};
use crate::cursor::Cursor;
use crate::error::Result;
use crate::hub::Hub;
use crate::projection::ProjectionHandle;

/// A [`Fold`] that runs, and its value. Clones share them.
pub struct Folded<S> {
    name: &'static str,
    models: MemoryProjections<S>,
    handle: ProjectionHandle,
}

impl<S: Clone + Default + Send + Sync + 'static> Fold<S> {
    /// Runs this projection until the hub ends, and returns when it has applied the events
    /// that are in the log now.
    ///
    /// # Errors
    ///
    /// Those of [`start`](crate::projection::ProjectionBuilder::start) and
    /// [`wait_live`](ProjectionHandle::wait_live).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the projection runs on.
    pub async fn start(self, hub: &Hub) -> Result<Folded<S>> {
        let (name, models) = (self.name, MemoryProjections::new());
        let handle = hub.project(self, models.clone()).start()?;
        handle.wait_live().await?;
        Ok(Folded { name, models, handle })
    }
}

impl<S: Default> Folded<S> {
    /// The value, and the cursor of the last event in it.
    #[must_use]
    pub fn read(&self) -> (Arc<S>, Cursor) {
        self.models.live_state_with_checkpoint(self.name).unwrap_or((Arc::default(), Cursor::START))
    }
}

impl<S> Folded<S> {
    /// Where the value is kept, for live queries.
    #[must_use]
    pub fn models(&self) -> &MemoryProjections<S> {
        &self.models
    }

    /// The projection, to wait for its progress.
    pub fn handle(&self) -> &ProjectionHandle {
        &self.handle
    }
}

impl<S> Clone for Folded<S> {
    fn clone(&self) -> Self {
        Self { name: self.name, models: self.models.clone(), handle: self.handle.clone() }
    }
}

impl<S> fmt::Debug for Folded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folded").field("handle", &self.handle).finish_non_exhaustive()
    }
}
