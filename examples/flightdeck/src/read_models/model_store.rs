use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use downlink::live::{Live, LiveBuilder, QueryStore, Work};
use downlink::projection::{FailurePolicy, ProjectionBuilder};
use downlink::{Error, ErrorKind, Hub, ProjectionHandle, Result};
use futures::FutureExt;
use tokio::sync::oneshot;

use super::sql_model::SqlModel;
use super::sql_tx::SqlTx;
use super::{Model, QueryResult, RowFilter};

/// How long a query may take.
const LIMIT: Duration = Duration::from_secs(5);

/// A store of read models, whatever its driver.
#[async_trait]
pub(crate) trait ModelStore: Debug + Send + Sync {
    /// A projection of a model.
    fn project(&self, hub: &Hub, model: &'static Model) -> ProjectionBuilder;

    /// The models as live queries, which these projections build.
    fn live(&self, hub: &Hub, projections: &[ProjectionHandle]) -> Result<Live>;

    /// Reads the selected rows of a model, and their cursor.
    async fn query(&self, model: &'static Model, filter: RowFilter) -> Result<QueryResult>;
}

#[async_trait]
impl<S: QueryStore<Tx: SqlTx> + Clone> ModelStore for S {
    fn project(&self, hub: &Hub, model: &'static Model) -> ProjectionBuilder {
        hub.project(SqlModel::new(model), self.clone()).with_policy(FailurePolicy::skip())
    }

    // ANCHOR: live
    fn live(&self, hub: &Hub, projections: &[ProjectionHandle]) -> Result<Live> {
        let live = Live::builder(hub, self.clone());
        let models = Model::ALL.into_iter().map(SqlModel::new);
        let live = models.fold(live, LiveBuilder::with_query);
        projections.iter().fold(live, LiveBuilder::with_model).start()
    }
    // ANCHOR_END: live

    async fn query(&self, model: &'static Model, filter: RowFilter) -> Result<QueryResult> {
        let (send, rows) = oneshot::channel();
        let read: Work<S::Tx> = Box::new(move |mut tx| {
            async move {
                model.check(tx.version())?;
                let RowFilter { airport, airline } = filter;
                let json = tx.json(model.query, airport.as_deref(), airline.as_deref()).await?;
                // The receiver waits below.
                let _ = send.send(json);
                Ok(())
            }
            .boxed()
        });
        let read = self.evaluate(model.name, LIMIT, read).await?;
        let rows = rows.await.map_err(|_| Error::new(ErrorKind::Backend, "the query has no rows"));
        QueryResult::new(rows?, read.checkpoint)
    }
}
