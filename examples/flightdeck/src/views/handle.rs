use std::sync::Arc;
use std::time::Duration;

use downlink::{Error, ErrorKind, Hub, ProjectionHandle, Result};
use tokio::time::timeout;

use super::{Answer, BOARD, Model, PUNCTUALITY, ROUTES, Wanted};
use crate::Database;

/// How long a program that starts waits for its read models.
const PATIENCE: Duration = Duration::from_secs(5);

/// All models, as this process keeps and reads them.
///
/// Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Views {
    database: Database,
    kept: Arc<[ProjectionHandle; 3]>,
}

impl Views {
    /// Begins to keep the models up to date, until the hub ends.
    pub(crate) fn start(hub: &Hub, database: &Database) -> Result<Self> {
        let keep = |model| database.project(hub, model).start();
        let kept = [keep(&BOARD)?, keep(&PUNCTUALITY)?, keep(&ROUTES)?];
        Ok(Self { database: database.clone(), kept: kept.into() })
    }

    /// The projections, to see how far they are.
    pub(crate) fn kept(&self) -> &[ProjectionHandle] {
        &self.kept[..]
    }

    /// Waits until all models are complete, or for a few seconds: those of a
    /// long log are made while the program runs already.
    pub(crate) async fn settle(&self) -> Result<()> {
        for projection in self.kept() {
            match timeout(PATIENCE, projection.wait_live()).await {
                Ok(live) => live?,
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// What a model has, and up to which event.
    pub(crate) async fn ask(&self, model: &'static Model, wanted: Wanted) -> Result<Answer> {
        self.is_complete(model)?;
        self.database.ask(model, wanted).await
    }

    fn is_complete(&self, model: &Model) -> Result<()> {
        let mut kept = self.kept().iter().filter(|projection| projection.id().name() == model.name);
        if kept.any(|projection| projection.progress().live >= Some(model.version)) {
            return Ok(());
        }
        let message = format!("the read model '{}' is still being made: ask again", model.name);
        Err(Error::new(ErrorKind::Unavailable, message))
    }
}
