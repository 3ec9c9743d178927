use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use downlink::store::Appended;
use downlink::{Event, EventStore, Expected, Hub, LocalBus};

use super::read_model::{ReadModel, SampleModel};
use super::runner::{DownlinkRunner, RunOptions, RunnerFixture, RunningProjection};
use super::sample::Sample;
use super::{Opened, ProjectionFixture};
use crate::faults::{FaultyProjections, ProjectionFaults};
use crate::sample::{append, event, log};

/// A projection store, and what runs projections over it.
pub struct ProjectionSetup {
    fixture: Arc<dyn Opens>,
    runner: Arc<dyn RunnerFixture>,
}

impl fmt::Debug for ProjectionSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProjectionSetup")
    }
}

impl ProjectionSetup {
    /// Tests this projection store with projections of this workspace.
    #[must_use]
    pub fn new(fixture: impl ProjectionFixture) -> Self {
        Self::with_runner(fixture, DownlinkRunner)
    }

    /// Tests projections that run otherwise, such as broken ones.
    #[must_use]
    pub fn with_runner(fixture: impl ProjectionFixture, runner: impl RunnerFixture) -> Self {
        Self { fixture: Arc::new(Fixture(Arc::new(fixture))), runner: Arc::new(runner) }
    }

    pub(super) async fn open(&self) -> Environment {
        Environment { models: self.fixture.open().await, runner: Arc::clone(&self.runner) }
    }
}

/// A fixture, independent of its transaction type.
#[async_trait]
trait Opens: Send + Sync {
    async fn open(&self) -> Arc<dyn OpenedModels>;
}

struct Fixture<F>(Arc<F>);

#[async_trait]
impl<F: ProjectionFixture> Opens for Fixture<F> {
    async fn open(&self) -> Arc<dyn OpenedModels> {
        let opened = self.0.open().await.expect("an empty log and its read models");
        Arc::new(TypedModels::new(Arc::clone(&self.0), opened))
    }
}

/// One log and its read models, independent of their transaction type.
pub(super) trait OpenedModels: Send + Sync {
    fn log(&self) -> &Arc<dyn EventStore>;
    fn faults(&self) -> &ProjectionFaults;
    fn model(&self, sample: &Sample) -> Arc<dyn ReadModel>;
    /// The same with faults of its own.
    fn faulty_model(&self, sample: &Sample, faults: &ProjectionFaults) -> Arc<dyn ReadModel>;
}

pub(super) struct TypedModels<F: ProjectionFixture> {
    fixture: Arc<F>,
    opened: Arc<Opened<F::Tx>>,
    faults: ProjectionFaults,
}

impl<F: ProjectionFixture> TypedModels<F> {
    pub(super) fn new(fixture: Arc<F>, opened: Opened<F::Tx>) -> Self {
        Self { fixture, opened: Arc::new(opened), faults: ProjectionFaults::none() }
    }
}

impl<F: ProjectionFixture> OpenedModels for TypedModels<F> {
    fn log(&self) -> &Arc<dyn EventStore> {
        &self.opened.log
    }

    fn faults(&self) -> &ProjectionFaults {
        &self.faults
    }

    fn model(&self, sample: &Sample) -> Arc<dyn ReadModel> {
        self.faulty_model(sample, &self.faults)
    }

    fn faulty_model(&self, sample: &Sample, faults: &ProjectionFaults) -> Arc<dyn ReadModel> {
        let inner = Arc::clone(&self.opened.models);
        Arc::new(SampleModel {
            sample: sample.clone(),
            fixture: Arc::clone(&self.fixture),
            opened: Arc::clone(&self.opened),
            models: FaultyProjections::new(inner, faults.clone()),
        })
    }
}

/// What a law works with: one log, its read models, and what runs projections.
pub(super) struct Environment {
    models: Arc<dyn OpenedModels>,
    runner: Arc<dyn RunnerFixture>,
}

impl Environment {
    /// Projections of this workspace over these read models.
    pub(super) fn at(models: Arc<dyn OpenedModels>) -> Self {
        Self { models, runner: Arc::new(DownlinkRunner) }
    }

    pub(super) fn faults(&self) -> &ProjectionFaults {
        self.models.faults()
    }

    pub(super) fn model(&self, sample: &Sample) -> Arc<dyn ReadModel> {
        self.models.model(sample)
    }

    /// The read model as a worker sees it that has these faults.
    pub(super) fn faulty_model(
        &self,
        sample: &Sample,
        faults: &ProjectionFaults,
    ) -> Arc<dyn ReadModel> {
        self.models.faulty_model(sample, faults)
    }

    /// Appends this many events that the sample can apply.
    pub(super) async fn append(&self, count: usize) -> Appended {
        let stored = self.models.log().append(append("flight-UA1545", Expected::Any, count)).await;
        stored.expect("an append")
    }

    /// Appends events of these types.
    pub(super) async fn append_types(&self, types: &[&str]) -> Appended {
        let events: Vec<_> = types.iter().map(|event_type| event(event_type)).collect();
        let append = downlink::Append::to("flight-UA1545", Expected::Any, events);
        self.models.log().append(append.expect("a valid name")).await.expect("an append")
    }

    pub(super) async fn log(&self) -> Vec<Event> {
        log(&**self.models.log()).await
    }

    /// A hub over the log, with a short poll interval and frequent checkpoints.
    pub(super) async fn hub(&self) -> Hub {
        let hub = Hub::builder(Arc::clone(self.models.log()), Arc::new(LocalBus::new()));
        let often = Duration::from_millis(10);
        hub.with_poll_interval(often).with_checkpoint(1_000, often).start().await.expect("a hub")
    }

    pub(super) fn start(
        &self,
        hub: &Hub,
        sample: &Sample,
        drive: RunOptions,
    ) -> Box<dyn RunningProjection> {
        let model = self.model(sample);
        self.runner.start(hub, model, drive).expect("a projection to start")
    }

    /// Compares a read model with the fold of the log up to its checkpoint.
    pub(super) async fn verify(&self, sample: &Sample) {
        verify(&*self.model(sample), sample, &**self.models.log()).await;
    }
}

/// Compares a read model, which may change concurrently, with the fold of the
/// log up to its checkpoint.
pub(super) async fn verify(model: &dyn ReadModel, sample: &Sample, store: &dyn EventStore) {
    loop {
        let before = model.checkpoint().await.expect("a checkpoint");
        let lines = model.lines().await;
        if model.checkpoint().await.expect("a checkpoint") != before {
            continue;
        }
        let log = log(store).await;
        let end = log.partition_point(|event| event.position() <= before.position());
        let expected = sample.fold(&log[..end]);
        let common = lines.iter().zip(&expected).take_while(|(line, wanted)| line == wanted);
        let common = common.count();
        assert!(
            lines == expected,
            "a read model is not the fold of the log up to its checkpoint {before}: after {common} \
             lines it has {:?} where {:?} comes next; write model and checkpoint in one \
             transaction",
            lines.get(common),
            expected.get(common)
        );
        return;
    }
}
