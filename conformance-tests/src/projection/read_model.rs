use std::sync::Arc;

use async_trait::async_trait;
use downlink::id::ProjectionId;
use downlink::projection::{
    DeadLetter, Lease, LeaseOutcome, LeaseToken, ProjectionBuilder, ProjectionStore, Step,
    StepOutcome,
};
use downlink::{Cursor, Filter, Hub, Position, Projection, Result};

use super::sample::{Sample, SampleProjection};
use super::{Opened, ProjectionFixture};
use crate::faults::FaultyProjections;

/// One read model of the suite in the store under test, independent of its
/// transaction type.
#[async_trait]
pub trait ReadModel: Send + Sync {
    /// The name and version of its projection.
    fn id(&self) -> &ProjectionId;

    /// The filter of its projection.
    fn filter(&self) -> Filter;

    /// See [`ProjectionStore::checkpoint`].
    async fn checkpoint(&self) -> Result<Cursor>;

    /// See [`ProjectionStore::step`].
    async fn step(&self, step: Step) -> Result<StepOutcome>;

    /// See [`ProjectionStore::reset`].
    async fn reset(&self) -> Result<()>;

    /// See [`ProjectionStore::live`].
    async fn live(&self) -> Result<Option<u32>>;

    /// See [`ProjectionStore::make_live`].
    async fn make_live(&self) -> Result<u32>;

    /// See [`ProjectionStore::announced`].
    async fn announced(&self) -> Result<Option<Cursor>>;

    /// See [`ProjectionStore::announce`].
    async fn announce(&self, from: Cursor, to: Cursor) -> Result<bool>;

    /// See [`ProjectionStore::dead_letters`].
    async fn dead_letters(&self, after: Position, limit: usize) -> Result<Vec<DeadLetter>>;

    /// See [`ProjectionStore::lease`].
    async fn lease(&self, lease: Lease) -> Result<LeaseOutcome>;

    /// See [`ProjectionStore::release`].
    async fn release(&self, token: LeaseToken) -> Result<()>;

    /// The lines that a query finds in it.
    async fn lines(&self) -> Vec<String>;

    /// See [`Hub::project`].
    fn project(&self, hub: &Hub) -> ProjectionBuilder;
}

/// A [`ReadModel`] of this fixture.
pub(super) struct SampleModel<F: ProjectionFixture> {
    pub(super) sample: Sample,
    pub(super) fixture: Arc<F>,
    pub(super) opened: Arc<Opened<F::Tx>>,
    pub(super) models: FaultyProjections<F::Tx>,
}

impl<F: ProjectionFixture> SampleModel<F> {
    fn projection(&self) -> Arc<dyn Projection<Tx = F::Tx>> {
        Arc::new(SampleProjection {
            sample: self.sample.clone(),
            fixture: Arc::clone(&self.fixture),
        })
    }
}

#[async_trait]
impl<F: ProjectionFixture> ReadModel for SampleModel<F> {
    fn id(&self) -> &ProjectionId {
        &self.sample.id
    }

    fn filter(&self) -> Filter {
        self.sample.filter.clone()
    }

    async fn checkpoint(&self) -> Result<Cursor> {
        self.models.checkpoint(&self.sample.id).await
    }

    async fn step(&self, step: Step) -> Result<StepOutcome> {
        self.models.step(&self.projection(), step).await
    }

    async fn reset(&self) -> Result<()> {
        self.models.reset(&self.projection()).await
    }

    async fn live(&self) -> Result<Option<u32>> {
        self.models.live(self.sample.id.name()).await
    }

    async fn make_live(&self) -> Result<u32> {
        self.models.make_live(&self.sample.id).await
    }

    async fn announced(&self) -> Result<Option<Cursor>> {
        self.models.announced(&self.sample.id).await
    }

    async fn announce(&self, from: Cursor, to: Cursor) -> Result<bool> {
        self.models.announce(&self.sample.id, from, to).await
    }

    async fn dead_letters(&self, after: Position, limit: usize) -> Result<Vec<DeadLetter>> {
        self.models.dead_letters(&self.sample.id, after, limit).await
    }

    async fn lease(&self, lease: Lease) -> Result<LeaseOutcome> {
        self.models.lease(&self.sample.id, lease).await
    }

    async fn release(&self, token: LeaseToken) -> Result<()> {
        self.models.release(&self.sample.id, token).await
    }

    async fn lines(&self) -> Vec<String> {
        let lines = self.fixture.lines(&self.opened, &self.sample.list()).await;
        lines.expect("the lines of a list")
    }

    fn project(&self, hub: &Hub) -> ProjectionBuilder {
        hub.project(self.projection(), Arc::new(self.models.clone()))
    }
}
