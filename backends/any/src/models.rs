use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use downlink::id::ProjectionId;
use downlink::live::{Evaluated, QueryStore, Work};
use downlink::projection::{
    DeadLetter, Lease, LeaseOutcome, LeaseToken, ProjectionStore, Step, StepOutcome,
};
use downlink::{BoxError, Cursor, Event, Filter, Position, Projection, Result};

use crate::sql_tx::{self, SqlTx};

/// The read models of a store, written through [`SqlTx`].
#[derive(Debug)]
pub(crate) struct Models<S>(pub(crate) S);

/// A transaction of a driver.
pub(crate) trait AsSqlTx: Send + 'static {
    fn as_sql_tx(&mut self) -> &mut sql_tx::Tx;
}

impl<T: SqlTx + 'static> AsSqlTx for T {
    fn as_sql_tx(&mut self) -> &mut sql_tx::Tx {
        self
    }
}

type SqlProjection = Arc<dyn Projection<Tx = sql_tx::Tx>>;

/// A projection in the transactions of a driver.
#[derive(Debug)]
struct InDriver<Tx> {
    projection: SqlProjection,
    driver: std::marker::PhantomData<fn(Tx)>,
}

impl<Tx: AsSqlTx + Debug> InDriver<Tx> {
    fn of(projection: &SqlProjection) -> Arc<dyn Projection<Tx = Tx>> {
        Arc::new(Self { projection: Arc::clone(projection), driver: std::marker::PhantomData })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<Tx: AsSqlTx + Debug> Projection for InDriver<Tx> {
    type Tx = Tx;

    fn name(&self) -> &str {
        self.projection.name()
    }

    fn version(&self) -> u32 {
        self.projection.version()
    }

    fn filter(&self) -> Filter {
        self.projection.filter()
    }

    async fn prepare(&self, tx: &mut Tx) -> Result<(), BoxError> {
        self.projection.prepare(tx.as_sql_tx()).await
    }

    async fn apply(&self, events: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
        self.projection.apply(events, tx.as_sql_tx()).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: ProjectionStore<Tx: AsSqlTx + Debug + Sized>> ProjectionStore for Models<S> {
    type Tx = sql_tx::Tx;

    async fn checkpoint(&self, id: &ProjectionId) -> Result<Cursor> {
        self.0.checkpoint(id).await
    }

    async fn step(&self, projection: &SqlProjection, step: Step) -> Result<StepOutcome> {
        self.0.step(&InDriver::of(projection), step).await
    }

    async fn reset(&self, projection: &SqlProjection) -> Result<()> {
        self.0.reset(&InDriver::of(projection)).await
    }

    async fn live(&self, name: &str) -> Result<Option<u32>> {
        self.0.live(name).await
    }

    async fn make_live(&self, id: &ProjectionId) -> Result<u32> {
        self.0.make_live(id).await
    }

    async fn announced(&self, id: &ProjectionId) -> Result<Option<Cursor>> {
        self.0.announced(id).await
    }

    async fn announce(&self, id: &ProjectionId, from: Cursor, to: Cursor) -> Result<bool> {
        self.0.announce(id, from, to).await
    }

    async fn dead_letters(
        &self,
        id: &ProjectionId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        self.0.dead_letters(id, after, limit).await
    }

    async fn lease(&self, id: &ProjectionId, lease: Lease) -> Result<LeaseOutcome> {
        self.0.lease(id, lease).await
    }

    async fn release(&self, id: &ProjectionId, token: LeaseToken) -> Result<()> {
        self.0.release(id, token).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: QueryStore<Tx: AsSqlTx + Debug + Sized>> QueryStore for Models<S> {
    fn query_readers(&self) -> usize {
        self.0.query_readers()
    }

    async fn evaluate(
        &self,
        projection: &str,
        limit: Duration,
        work: Work<sql_tx::Tx>,
    ) -> Result<Evaluated> {
        let work: Work<S::Tx> = Box::new(move |model| work(model.map(S::Tx::as_sql_tx)));
        self.0.evaluate(projection, limit, work).await
    }
}
