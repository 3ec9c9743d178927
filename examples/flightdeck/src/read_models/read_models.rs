use std::sync::Arc;
use std::time::Duration;

use downlink::{Error, ErrorKind, Hub, ProjectionHandle, Result};
use tokio::time::timeout;

use super::{BOARD, Model, PUNCTUALITY, QueryResult, ROUTES, RowFilter};
use crate::database::Database;

/// How long a program that starts waits for its read models.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// All models, as this process keeps and reads them.
///
/// Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct ReadModels {
    database: Database,
    projections: Arc<[ProjectionHandle; 3]>,
}

impl ReadModels {
    /// Begins to keep the models up to date, until the hub ends.
    pub(crate) fn start(hub: &Hub, database: &Database) -> Result<Self> {
        let keep = |model| database.project(hub, model).start();
        let projections = [keep(&BOARD)?, keep(&PUNCTUALITY)?, keep(&ROUTES)?];
        Ok(Self { database: database.clone(), projections: projections.into() })
    }

    /// The projections, to see how far they are.
    pub(crate) fn projections(&self) -> &[ProjectionHandle] {
        &self.projections[..]
    }

    /// Waits until all models are complete, or for a few seconds: those of a
    /// long log are made while the program runs already.
    pub(crate) async fn wait_live(&self) -> Result<()> {
        for projection in self.projections() {
            match timeout(MAX_WAIT, projection.wait_live()).await {
                Ok(live) => live?,
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// What a model has, and up to which event.
    pub(crate) async fn query(
        &self,
        model: &'static Model,
        filter: RowFilter,
    ) -> Result<QueryResult> {
        self.is_complete(model)?;
        self.database.query(model, filter).await
    }

    fn is_complete(&self, model: &Model) -> Result<()> {
        let mut projections =
            self.projections().iter().filter(|projection| projection.id().name() == model.name);
        if projections.any(|projection| projection.progress().live >= Some(model.version)) {
            return Ok(());
        }
        let message = format!("the read model '{}' is still being made: ask again", model.name);
        Err(Error::new(ErrorKind::Unavailable, message))
    }
}
