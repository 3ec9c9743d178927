use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use downlink::{Appended, Event, EventStore, Expected, Hub, LocalBus};

use super::driver::{Drive, Driven, DriverFixture, Drivers};
use super::model::{Model, Sampled};
use super::sample::Sample;
use super::{Opened, ProjectionFixture};
use crate::faults::{FaultyProjections, ProjectionFaults};
use crate::sample::{append, event, log};

/// A store of read models, and what runs projections over it.
pub struct Projections {
    fixture: Arc<dyn Opens>,
    drivers: Arc<dyn DriverFixture>,
}

impl fmt::Debug for Projections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Projections")
    }
}

impl Projections {
    /// Projections of this workspace over these read models.
    #[must_use]
    pub fn new(fixture: impl ProjectionFixture) -> Self {
        Self::with_drivers(fixture, Drivers)
    }

    /// Projections of another kind, such as broken ones.
    #[must_use]
    pub fn with_drivers(fixture: impl ProjectionFixture, drivers: impl DriverFixture) -> Self {
        Self { fixture: Arc::new(Fixture(Arc::new(fixture))), drivers: Arc::new(drivers) }
    }

    pub(super) async fn open(&self) -> Scene {
        Scene { desk: self.fixture.open().await, drivers: Arc::clone(&self.drivers) }
    }
}

/// A fixture, whatever its transactions are.
#[async_trait]
trait Opens: Send + Sync {
    async fn open(&self) -> Arc<dyn Desk>;
}

struct Fixture<F>(Arc<F>);

#[async_trait]
impl<F: ProjectionFixture> Opens for Fixture<F> {
    async fn open(&self) -> Arc<dyn Desk> {
        let opened = self.0.open().await.expect("an empty log and its read models");
        Arc::new(DeskOf::new(Arc::clone(&self.0), opened))
    }
}

/// One log and its read models, whatever their transactions are.
pub(super) trait Desk: Send + Sync {
    fn log(&self) -> &Arc<dyn EventStore>;
    fn faults(&self) -> &ProjectionFaults;
    fn model(&self, sample: &Sample) -> Arc<dyn Model>;
}

pub(super) struct DeskOf<F: ProjectionFixture> {
    fixture: Arc<F>,
    opened: Arc<Opened<F::Tx>>,
    faults: ProjectionFaults,
}

impl<F: ProjectionFixture> DeskOf<F> {
    pub(super) fn new(fixture: Arc<F>, opened: Opened<F::Tx>) -> Self {
        Self { fixture, opened: Arc::new(opened), faults: ProjectionFaults::none() }
    }
}

impl<F: ProjectionFixture> Desk for DeskOf<F> {
    fn log(&self) -> &Arc<dyn EventStore> {
        &self.opened.log
    }

    fn faults(&self) -> &ProjectionFaults {
        &self.faults
    }

    fn model(&self, sample: &Sample) -> Arc<dyn Model> {
        let inner = Arc::clone(&self.opened.models);
        Arc::new(Sampled {
            sample: sample.clone(),
            fixture: Arc::clone(&self.fixture),
            opened: Arc::clone(&self.opened),
            models: FaultyProjections::new(inner, self.faults.clone()),
        })
    }
}

/// What a law looks at and works with.
pub(super) struct Scene {
    desk: Arc<dyn Desk>,
    drivers: Arc<dyn DriverFixture>,
}

impl Scene {
    /// Projections of this workspace at this desk.
    pub(super) fn at(desk: Arc<dyn Desk>) -> Self {
        Self { desk, drivers: Arc::new(Drivers) }
    }

    pub(super) fn faults(&self) -> &ProjectionFaults {
        self.desk.faults()
    }

    pub(super) fn model(&self, sample: &Sample) -> Arc<dyn Model> {
        self.desk.model(sample)
    }

    /// Appends so many events that nothing is wrong with.
    pub(super) async fn append(&self, count: usize) -> Appended {
        let stored = self.desk.log().append(append("flight-UA1545", Expected::Any, count)).await;
        stored.expect("an append")
    }

    /// Appends events of these types.
    pub(super) async fn append_types(&self, types: &[&str]) -> Appended {
        let events: Vec<_> = types.iter().map(|event_type| event(event_type)).collect();
        let append = downlink::Append::to("flight-UA1545", Expected::Any, events);
        self.desk.log().append(append.expect("a valid name")).await.expect("an append")
    }

    pub(super) async fn log(&self) -> Vec<Event> {
        log(&**self.desk.log()).await
    }

    /// A hub over the log, which looks for itself and tells how far it looked
    /// often.
    pub(super) async fn hub(&self) -> Hub {
        let hub = Hub::builder_of(Arc::clone(self.desk.log()), Arc::new(LocalBus::new()));
        let often = Duration::from_millis(10);
        hub.fallback(often).checkpoint(1_000, often).start().await.expect("a hub")
    }

    pub(super) fn start(&self, hub: &Hub, sample: &Sample, drive: Drive) -> Box<dyn Driven> {
        let model = self.model(sample);
        self.drivers.start(hub, model, drive).expect("a projection to start")
    }

    /// Compares a read model with the fold of the log up to its checkpoint.
    pub(super) async fn verify(&self, sample: &Sample) {
        verify(&*self.model(sample), sample, &**self.desk.log()).await;
    }
}

/// Compares a read model, which may change meanwhile, with the fold of the log
/// up to its checkpoint.
pub(super) async fn verify(model: &dyn Model, sample: &Sample, store: &dyn EventStore) {
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
             lines it has {:?} where {:?} comes next; write model and checkpoint in one transaction",
            lines.get(common),
            expected.get(common)
        );
        return;
    }
}
