use std::sync::Arc;
use std::time::Duration;

use downlink::live::Live;
use downlink::{Error, ErrorKind, Hub, ProjectionHandle, Result};
use tokio::time::timeout;

use super::{BOARD, Model, PUNCTUALITY, QueryResult, ROUTES, RowFilter};
use crate::database::Database;

/// How long the program waits for its read models when it starts.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The read models of this process.
///
/// Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct ReadModels {
    database: Database,
    projections: Arc<[ProjectionHandle; 3]>,
    live: Live,
}

impl ReadModels {
    /// Starts the projections. They run until the hub ends.
    pub(crate) fn start(hub: &Hub, database: &Database) -> Result<Self> {
        let start = |model| database.project(hub, model).start();
        let projections = [start(&BOARD)?, start(&PUNCTUALITY)?, start(&ROUTES)?];
        let live = database.live(hub, &projections)?;
        Ok(Self { database: database.clone(), projections: projections.into(), live })
    }

    /// The models as live queries.
    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// The projections, to observe their progress.
    pub(crate) fn projections(&self) -> &[ProjectionHandle] {
        &self.projections[..]
    }

    /// Waits until all models are live, but only for a few seconds: with a long log, the
    /// program starts before they are.
    pub(crate) async fn wait_live(&self) -> Result<()> {
        for projection in self.projections() {
            match timeout(MAX_WAIT, projection.wait_live()).await {
                Ok(live) => live?,
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Reads rows of a model, and their cursor.
    pub(crate) async fn query(
        &self,
        model: &'static Model,
        filter: RowFilter,
    ) -> Result<QueryResult> {
        self.check_live(model)?;
        self.database.query(model, filter).await
    }

    fn check_live(&self, model: &Model) -> Result<()> {
        let mut projections =
            self.projections().iter().filter(|projection| projection.id().name() == model.name);
        if projections.any(|projection| projection.progress().live >= Some(model.version)) {
            return Ok(());
        }
        let message =
            format!("the read model '{}' is still being built: try again later", model.name);
        Err(Error::new(ErrorKind::Unavailable, message))
    }
}
