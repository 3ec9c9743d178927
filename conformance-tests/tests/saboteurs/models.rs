use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use downlink::id::ProjectionId;
use downlink::projection::{
    DeadLetter, Lease, LeaseOutcome, LeaseToken, ProjectionStore, Step, StepOutcome,
};
use downlink::{BoxError, Cursor, Error, ErrorKind, MemoryStore, Position, Projection, Result};
use downlink_conformance_tests::Guard;
use downlink_conformance_tests::projection::{DurableProjectionFixture, Opened, ProjectionFixture};
use tokio::task::yield_now;

use crate::model_bug::ModelBug;
use crate::model_leases::Leases;

/// Opens projection stores with this bug or none.
pub(crate) struct BrokenModels(pub(crate) Option<ModelBug>);

type Lists = HashMap<String, Vec<String>>;

impl BrokenModels {
    fn list(&self, list: &str) -> String {
        match (self.0, list.rsplit_once('_')) {
            (Some(ModelBug::BuildsInTheLiveModel), Some((name, _))) => name.to_owned(),
            _ => list.to_owned(),
        }
    }
}

#[async_trait]
impl ProjectionFixture for BrokenModels {
    type Tx = Lists;

    async fn open(&self) -> Result<Opened<Lists>> {
        let models = Models::new(self.0);
        let guard = Guard::new(models.clone());
        Ok(Opened { log: Arc::new(MemoryStore::new()), models: Arc::new(models), guard })
    }

    async fn make_list(&self, list: &str, tx: &mut Lists) -> Result<(), BoxError> {
        tx.insert(self.list(list), Vec::new());
        Ok(())
    }

    async fn add_line(&self, list: &str, line: &str, tx: &mut Lists) -> Result<(), BoxError> {
        tx.entry(self.list(list)).or_default().push(line.to_owned());
        Ok(())
    }

    async fn lines(&self, opened: &Opened<Lists>, list: &str) -> Result<Vec<String>> {
        let models = opened.guard.get::<Models>().expect("`open` sets it");
        Ok(models.locked().lists.get(&self.list(list)).cloned().unwrap_or_default())
    }
}

/// The same, with a log that outlives the opened store.
pub(crate) struct DurableBrokenModels {
    models: BrokenModels,
    disk: (MemoryStore, Models),
}

impl DurableBrokenModels {
    pub(crate) fn new(bug: Option<ModelBug>) -> Self {
        let disk = (MemoryStore::new(), Models::new(bug));
        Self { models: BrokenModels(bug), disk }
    }
}

#[async_trait]
impl ProjectionFixture for DurableBrokenModels {
    type Tx = Lists;

    async fn open(&self) -> Result<Opened<Lists>> {
        self.models.open().await
    }

    async fn make_list(&self, list: &str, tx: &mut Lists) -> Result<(), BoxError> {
        self.models.make_list(list, tx).await
    }

    async fn add_line(&self, list: &str, line: &str, tx: &mut Lists) -> Result<(), BoxError> {
        self.models.add_line(list, line, tx).await
    }

    async fn lines(&self, opened: &Opened<Lists>, list: &str) -> Result<Vec<String>> {
        self.models.lines(opened, list).await
    }
}

#[async_trait]
impl DurableProjectionFixture for DurableBrokenModels {
    async fn create(&self) -> Result<(String, Guard)> {
        Ok(("here".to_owned(), Guard::none()))
    }

    async fn open_at(&self, _: &str) -> Result<Opened<Lists>> {
        let (log, models) = &self.disk;
        models.recover();
        Ok(Opened {
            log: Arc::new(log.clone()),
            models: Arc::new(models.clone()),
            guard: Guard::new(models.clone()),
        })
    }
}

/// A small database of lists and checkpoints that is correct except for its
/// bug.
#[derive(Clone, Debug)]
struct Models {
    bug: Option<ModelBug>,
    disk: Arc<Mutex<Database>>,
    /// The state after a crash, if it is older than what was reported.
    durable: Arc<Mutex<Database>>,
    /// Held by the step that writes.
    writer: Arc<tokio::sync::Mutex<()>>,
    leases: Arc<Leases>,
}

#[derive(Clone, Debug, Default)]
struct Database {
    lists: Lists,
    rows: HashMap<ProjectionId, Row>,
}

#[derive(Clone, Debug)]
struct Row {
    checkpoint: Cursor,
    is_live: bool,
    announced: Cursor,
    letters: Vec<DeadLetter>,
}

impl Default for Row {
    fn default() -> Self {
        let (checkpoint, announced) = (Cursor::START, Cursor::START);
        Self { checkpoint, is_live: false, announced, letters: Vec::new() }
    }
}

impl Models {
    fn new(bug: Option<ModelBug>) -> Self {
        Self {
            bug,
            disk: Arc::default(),
            durable: Arc::default(),
            writer: Arc::default(),
            leases: Arc::new(Leases::new(bug)),
        }
    }

    /// Simulates a crash of the process that had the database open.
    fn recover(&self) {
        if self.is(ModelBug::ReturnsBeforeTheCommit) {
            let durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner).clone();
            *self.locked() = durable;
        }
    }

    fn is(&self, bug: ModelBug) -> bool {
        self.bug == Some(bug)
    }

    fn locked(&self) -> MutexGuard<'_, Database> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key of a projection's row.
    fn key(&self, id: &ProjectionId) -> ProjectionId {
        if self.is(ModelBug::SharesCheckpointsOfVersions) {
            return ProjectionId::new(id.name(), 0).expect("a valid name");
        }
        id.clone()
    }

    fn is_lost(&self, checkpoint: Cursor, step: &Step) -> bool {
        match self.bug {
            Some(ModelBug::SetsTheCheckpointUnconditionally) => false,
            Some(ModelBug::AcceptsStepsFromThePast) => checkpoint.position() < step.from.position(),
            _ => checkpoint != step.from,
        }
    }

    async fn commit(&self, changed: Database) {
        if self.is(ModelBug::ReturnsBeforeTheCommit) {
            let before = self.locked().clone();
            *self.durable.lock().unwrap_or_else(PoisonError::into_inner) = before;
        }
        if self.is(ModelBug::CommitsTheCheckpointSeparately) {
            self.locked().lists.clone_from(&changed.lists);
            for _ in 0..3 {
                yield_now().await;
            }
        }
        *self.locked() = changed;
    }
}

#[async_trait]
impl ProjectionStore for Models {
    type Tx = Lists;

    async fn checkpoint(&self, id: &ProjectionId) -> Result<Cursor> {
        Ok(self.locked().rows.get(&self.key(id)).map_or(Cursor::START, |row| row.checkpoint))
    }

    async fn step(
        &self,
        projection: &Arc<dyn Projection<Tx = Lists>>,
        mut step: Step,
    ) -> Result<StepOutcome> {
        step.validate()?;
        let own = ProjectionId::of(&**projection)?;
        let id = self.key(&own);
        let _writer = self.writer.lock().await;
        yield_now().await;
        if !self.leases.prolong(&own, step.lease) {
            return Ok(StepOutcome::LeaseLost);
        }
        let mut database = self.locked().clone();
        let checkpoint = database.rows.entry(id.clone()).or_default().checkpoint;
        if self.is_lost(checkpoint, &step) {
            if self.is(ModelBug::WritesLettersOfLostSteps) {
                let mut disk = self.locked();
                disk.rows.entry(id).or_default().letters.extend(step.skipped);
            }
            return Ok(StepOutcome::CheckpointMoved(checkpoint));
        }
        if self.is(ModelBug::AppliesTenAtMost) {
            step.events.truncate(10);
        }
        if let Err(error) = step.write(&**projection, &mut database.lists).await {
            if self.is(ModelBug::KeepsWhatFailed) {
                self.locked().lists = database.lists;
            }
            if self.is(ModelBug::ReturnsAPanicAsAnError) && error.to_string().contains("panic") {
                return Err(Error::with_source(ErrorKind::Unavailable, "poisoned", error));
            }
            return Ok(StepOutcome::Failed(error));
        }
        let row = database.rows.get_mut(&id).expect("the row was added above");
        let announced = step.announced_after(row.announced);
        row.checkpoint = step.to;
        if !self.is(ModelBug::LosesDeadLetters) {
            row.letters.extend(step.skipped);
        }
        let marks_announced = row.is_live || self.is(ModelBug::AnnouncesForVersionsThatAreNotLive);
        let unannounced_after = marks_announced.then_some(row.announced);
        if marks_announced {
            row.announced = match self.bug {
                Some(ModelBug::SkipsAGap) => step.to,
                _ => announced,
            };
        }
        self.commit(database).await;
        Ok(StepOutcome::Applied { unannounced_after })
    }

    async fn reset(&self, projection: &Arc<dyn Projection<Tx = Lists>>) -> Result<()> {
        let id = self.key(&ProjectionId::of(&**projection)?);
        let _writer = self.writer.lock().await;
        let mut database = self.locked().clone();
        if !self.is(ModelBug::ResetsTheCheckpointOnly) {
            let nothing = Step::new(Cursor::START, Cursor::START, Vec::new());
            let written = nothing.write(&**projection, &mut database.lists).await;
            written.map_err(|error| Error::projection_failed(&id, error))?;
        }
        let row = database.rows.entry(id).or_default();
        row.checkpoint = Cursor::START;
        if !self.is(ModelBug::KeepsLettersAtAReset) {
            row.letters.clear();
        }
        row.is_live &= !self.is(ModelBug::ForgetsWhatIsLiveAtAReset);
        if self.is(ModelBug::AnnouncesAgainAfterAReset) {
            row.announced = Cursor::START;
        }
        self.commit(database).await;
        Ok(())
    }

    async fn live(&self, name: &str) -> Result<Option<u32>> {
        let is_live = |(id, row): &(&ProjectionId, &Row)| id.name() == name && row.is_live;
        Ok(self.locked().rows.iter().find(is_live).map(|(id, _)| id.version()))
    }

    async fn make_live(&self, id: &ProjectionId) -> Result<u32> {
        let mut database = self.locked();
        let Some(mut own) = database.rows.get(id).cloned() else {
            return Err(Error::never_projected(id));
        };
        let mut announced = own.checkpoint;
        let is_live =
            |(other, row): &(&ProjectionId, &mut Row)| other.name() == id.name() && row.is_live;
        if let Some((former, row)) = database.rows.iter_mut().find(is_live) {
            if former.version() >= id.version() && !self.is(ModelBug::LetsAnyVersionBeLive) {
                return Ok(former.version());
            }
            row.is_live = false;
            if !self.is(ModelBug::CountsWhatIsStoredAsAnnounced) || announced < row.announced {
                announced = row.announced;
            }
        }
        (own.is_live, own.announced) = (true, announced);
        database.rows.insert(id.clone(), own);
        Ok(id.version())
    }

    async fn announced(&self, id: &ProjectionId) -> Result<Option<Cursor>> {
        let database = self.locked();
        Ok(database.rows.get(id).filter(|row| row.is_live).map(|row| row.announced))
    }

    async fn announce(&self, id: &ProjectionId, from: Cursor, to: Cursor) -> Result<bool> {
        let mut database = self.locked();
        let row = database.rows.get_mut(id);
        let row = row.filter(|row| row.is_live && row.announced == from);
        Ok(row.map(|row| row.announced = to).is_some())
    }

    async fn dead_letters(
        &self,
        id: &ProjectionId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        let database = self.locked();
        let letters = database.rows.get(&self.key(id)).map_or(&[][..], |row| &row.letters);
        let later = letters.iter().filter(|letter| letter.cursor.position() > after);
        Ok(later.take(limit).cloned().collect())
    }

    async fn lease(&self, id: &ProjectionId, lease: Lease) -> Result<LeaseOutcome> {
        // A step holds the lease until it ends.
        let _writer = self.writer.lock().await;
        Ok(self.leases.take(id, lease))
    }

    async fn release(&self, id: &ProjectionId, token: LeaseToken) -> Result<()> {
        self.leases.release(id, token);
        Ok(())
    }
}
