use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    Cursor, DeadLetter, Filter, Position, Projection, ProjectionId, ProjectionStore, Result, Step,
    Stepped,
};

/// A projection and its store, whatever its transactions are.
#[async_trait]
pub(super) trait Target: Send + Sync {
    fn id(&self) -> &ProjectionId;
    fn filter(&self) -> Filter;
    async fn checkpoint(&self) -> Result<Cursor>;
    async fn step(&self, step: Step) -> Result<Stepped>;
    async fn reset(&self) -> Result<()>;
    async fn live(&self) -> Result<Option<u32>>;
    async fn make_live(&self) -> Result<u32>;
    async fn announced(&self) -> Result<Option<Cursor>>;
    async fn announce(&self, from: Cursor, to: Cursor) -> Result<bool>;
    async fn dead_letters(&self, after: Position, limit: usize) -> Result<Vec<DeadLetter>>;
}

pub(super) struct Pair<Tx> {
    id: ProjectionId,
    projection: Arc<dyn Projection<Tx = Tx>>,
    store: Arc<dyn ProjectionStore<Tx = Tx>>,
}

impl<Tx: Send + 'static> Pair<Tx> {
    pub(super) fn new(
        projection: Arc<dyn Projection<Tx = Tx>>,
        store: Arc<dyn ProjectionStore<Tx = Tx>>,
    ) -> Result<Self> {
        Ok(Self { id: ProjectionId::of(&*projection)?, projection, store })
    }
}

#[async_trait]
impl<Tx: Send + 'static> Target for Pair<Tx> {
    fn id(&self) -> &ProjectionId {
        &self.id
    }

    fn filter(&self) -> Filter {
        self.projection.filter()
    }

    async fn checkpoint(&self) -> Result<Cursor> {
        self.store.checkpoint(&self.id).await
    }

    async fn step(&self, step: Step) -> Result<Stepped> {
        self.store.step(&self.projection, step).await
    }

    async fn reset(&self) -> Result<()> {
        self.store.reset(&self.projection).await
    }

    async fn live(&self) -> Result<Option<u32>> {
        self.store.live(self.id.name()).await
    }

    async fn make_live(&self) -> Result<u32> {
        self.store.make_live(&self.id).await
    }

    async fn announced(&self) -> Result<Option<Cursor>> {
        self.store.announced(&self.id).await
    }

    async fn announce(&self, from: Cursor, to: Cursor) -> Result<bool> {
        self.store.announce(&self.id, from, to).await
    }

    async fn dead_letters(&self, after: Position, limit: usize) -> Result<Vec<DeadLetter>> {
        self.store.dead_letters(&self.id, after, limit).await
    }
}
