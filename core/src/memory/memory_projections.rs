use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::memory_leases::MemoryLeases;
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Position, ProjectionId};
use crate::limits;
use crate::live::{Evaluated, Model as LiveModel, QueryStore, Work};
use crate::projection::{
    DeadLetter, Lease, LeaseOutcome, LeaseToken, Projection, ProjectionStore, Step, StepOutcome,
};

/// Keeps read models in memory, as values of the type `S`.
///
/// A step copies the value, has the projection change the copy, and then
/// replaces the value, so that readers see only complete steps. Clones share
/// the models. Nothing survives the process: a projection is rebuilt from its
/// log when the program starts.
///
/// # Examples
///
/// See [`Hub::project`](crate::Hub::project).
pub struct MemoryProjections<S> {
    models: Arc<Mutex<HashMap<ProjectionId, Model<S>>>>,
    leases: Arc<MemoryLeases>,
}

struct Model<S> {
    state: Arc<S>,
    checkpoint: Cursor,
    is_live: bool,
    /// Up to where events were announced, if this is the live version.
    announced: Cursor,
    dead_letters: Vec<DeadLetter>,
}

impl<S: Default> Model<S> {
    fn new() -> Self {
        Self {
            state: Arc::default(),
            checkpoint: Cursor::START,
            is_live: false,
            announced: Cursor::START,
            dead_letters: Vec::new(),
        }
    }
}

impl<S> MemoryProjections<S> {
    /// Creates a store without models.
    #[must_use]
    pub fn new() -> Self {
        Self { models: Arc::default(), leases: Arc::default() }
    }

    /// The current read model; `None` before its first step.
    #[must_use]
    pub fn state(&self, id: &ProjectionId) -> Option<Arc<S>> {
        self.locked().get(id).map(|model| Arc::clone(&model.state))
    }

    /// The read model of the projection with this name that queries should
    /// read; `None` if no version was ever complete.
    #[must_use]
    pub fn live_state(&self, name: &str) -> Option<Arc<S>> {
        self.live_state_with_checkpoint(name).map(|(state, _)| state)
    }

    /// The current read model and its checkpoint; `None` before its first step.
    #[must_use]
    pub fn state_with_checkpoint(&self, id: &ProjectionId) -> Option<(Arc<S>, Cursor)> {
        self.locked().get(id).map(|model| (Arc::clone(&model.state), model.checkpoint))
    }

    /// The read model that queries should read and its checkpoint, read
    /// atomically; `None` if no version with this name was ever complete.
    #[must_use]
    pub fn live_state_with_checkpoint(&self, name: &str) -> Option<(Arc<S>, Cursor)> {
        let models = self.locked();
        let live = models.iter().find(|(id, model)| id.name() == name && model.is_live);
        live.map(|(_, model)| (Arc::clone(&model.state), model.checkpoint))
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<ProjectionId, Model<S>>> {
        // A poisoned lock is harmless: models are replaced as a whole, and no foreign code runs
        // under the lock.
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<S> ProjectionStore for MemoryProjections<S>
where
    S: Clone + Default + Send + Sync + 'static,
{
    type Tx = S;

    async fn checkpoint(&self, id: &ProjectionId) -> Result<Cursor> {
        Ok(self.locked().get(id).map_or(Cursor::START, |model| model.checkpoint))
    }

    async fn step(
        &self,
        projection: &Arc<dyn Projection<Tx = S>>,
        step: Step,
    ) -> Result<StepOutcome> {
        step.validate()?;
        let id = ProjectionId::of(&**projection)?;
        if !self.leases.prolong(&id, step.lease) {
            return Ok(StepOutcome::LeaseLost);
        }
        let (before, checkpoint) =
            self.state_with_checkpoint(&id).unwrap_or((Arc::default(), Cursor::START));
        if checkpoint != step.from {
            return Ok(StepOutcome::CheckpointMoved(checkpoint));
        }
        let mut state = S::clone(&before);
        if let Err(error) = step.write(&**projection, &mut state).await {
            return Ok(StepOutcome::Failed(error));
        }
        let mut models = self.locked();
        // Another may have taken the lease while the projection worked.
        if !self.leases.prolong(&id, step.lease) {
            return Ok(StepOutcome::LeaseLost);
        }
        let model = models.entry(id).or_insert_with(Model::new);
        if model.checkpoint != step.from {
            return Ok(StepOutcome::CheckpointMoved(model.checkpoint));
        }
        let announced = step.announced_after(model.announced);
        model.state = Arc::new(state);
        model.checkpoint = step.to;
        model.dead_letters.extend(step.skipped);
        let unannounced_after = model.is_live.then_some(model.announced);
        if model.is_live {
            model.announced = announced;
        }
        Ok(StepOutcome::Applied { unannounced_after })
    }

    async fn reset(&self, projection: &Arc<dyn Projection<Tx = S>>) -> Result<()> {
        let id = ProjectionId::of(&**projection)?;
        let mut state = S::default();
        let nothing = Step::new(Cursor::START, Cursor::START, Vec::new());
        let written = nothing.write(&**projection, &mut state).await;
        written.map_err(|error| Error::projection_failed(&id, error))?;
        let mut models = self.locked();
        let model = models.entry(id).or_insert_with(Model::new);
        model.state = Arc::new(state);
        model.checkpoint = Cursor::START;
        model.dead_letters.clear();
        Ok(())
    }

    async fn live(&self, name: &str) -> Result<Option<u32>> {
        // Refuses an invalid name.
        let name = ProjectionId::new(name, 0)?;
        let models = self.locked();
        let is_live =
            |(id, model): &(&ProjectionId, &Model<S>)| id.name() == name.name() && model.is_live;
        Ok(models.iter().find(is_live).map(|(id, _)| id.version()))
    }

    async fn make_live(&self, id: &ProjectionId) -> Result<u32> {
        let mut models = self.locked();
        if !models.contains_key(id) {
            return Err(Error::never_projected(id));
        }
        let former =
            models.iter_mut().find(|(other, model)| other.name() == id.name() && model.is_live);
        let mut announced = None;
        if let Some((former, model)) = former {
            if former.version() >= id.version() {
                return Ok(former.version());
            }
            model.is_live = false;
            announced = Some(model.announced);
        }
        let model = models.get_mut(id).expect("the model was found above");
        model.is_live = true;
        model.announced = announced.unwrap_or(model.checkpoint);
        Ok(id.version())
    }

    async fn announced(&self, id: &ProjectionId) -> Result<Option<Cursor>> {
        let models = self.locked();
        Ok(models.get(id).filter(|model| model.is_live).map(|model| model.announced))
    }

    async fn announce(&self, id: &ProjectionId, from: Cursor, to: Cursor) -> Result<bool> {
        let mut models = self.locked();
        let model = models.get_mut(id).filter(|model| model.is_live && model.announced == from);
        Ok(model.map(|model| model.announced = to).is_some())
    }

    async fn dead_letters(
        &self,
        id: &ProjectionId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let models = self.locked();
        let letters = models.get(id).map_or(&[][..], |model| &model.dead_letters);
        let later = letters.iter().filter(|letter| letter.cursor.position() > after);
        Ok(later.take(limit.min(limits::MAX_PAGE_EVENTS)).cloned().collect())
    }

    async fn lease(&self, id: &ProjectionId, lease: Lease) -> Result<LeaseOutcome> {
        Ok(self.leases.take(id, lease))
    }

    async fn release(&self, id: &ProjectionId, token: LeaseToken) -> Result<()> {
        self.leases.release(id, token);
        Ok(())
    }
}

#[async_trait]
impl<S> QueryStore for MemoryProjections<S>
where
    S: Clone + Default + Send + Sync + 'static,
{
    /// As many as there is any use for.
    fn query_readers(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from).max(2)
    }

    /// Runs `work` on a copy of the model. It cannot be interrupted while it does not wait.
    async fn evaluate(
        &self,
        projection: &str,
        limit: Duration,
        work: Work<S>,
    ) -> Result<Evaluated> {
        let live = {
            let models = self.locked();
            let live = models.iter().find(|(id, model)| id.name() == projection && model.is_live);
            live.map(|(id, model)| (id.version(), Arc::clone(&model.state), model.checkpoint))
        };
        let Some((version, state, checkpoint)) = live else {
            let message = format!("no version of the read model '{projection}' is complete yet");
            return Err(Error::new(ErrorKind::Unavailable, message));
        };
        let mut state = S::clone(&state);
        match tokio::time::timeout(limit, work(LiveModel::new(&mut state, version))).await {
            Ok(Ok(())) => Ok(Evaluated { version, checkpoint }),
            Ok(Err(error)) => {
                let message = format!("could not query the read model '{projection}'");
                Err(Error::with_source(ErrorKind::Backend, message, error))
            }
            Err(_) => {
                let message = format!("the query of the read model '{projection}' took too long");
                Err(Error::new(ErrorKind::TooLarge, message))
            }
        }
    }
}

impl<S> Default for MemoryProjections<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Clone for MemoryProjections<S> {
    fn clone(&self) -> Self {
        Self { models: Arc::clone(&self.models), leases: Arc::clone(&self.leases) }
    }
}

impl<S> fmt::Debug for MemoryProjections<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.locked().iter().map(|(id, model)| (id.to_string(), model.checkpoint)))
            .finish()
    }
}
