use std::path::Path;
use std::sync::Arc;

use downlink::live::{Live, LiveBuilder};
use downlink::projection::{FailurePolicy, ProjectionBuilder};
use downlink::{Bus, EventStore, Hub, ProjectionHandle, Result};
use downlink_rusqlite::{RusqliteBus, RusqliteStore};
use downlink_sqlx::{SqlxBus, SqlxStore};

use crate::driver::Driver;
use crate::read_models::{
    Model, QueryResult, RowFilter, ThroughRusqlite, ThroughSqlx, through_rusqlite, through_sqlx,
};

/// A log in a SQLite file, opened with the selected driver, and the bus that reports
/// appends of other processes.
///
/// Clones share the store and the bus.
#[derive(Clone, Debug)]
pub enum Database {
    /// Through rusqlite.
    Rusqlite(RusqliteStore, RusqliteBus),
    /// Through sqlx.
    Sqlx(SqlxStore, SqlxBus),
}

impl Database {
    /// Opens the log in this file, or creates an empty one.
    ///
    /// # Errors
    ///
    /// Those of `open` of the store and of the bus.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, an empty log may have been created.
    pub async fn open(driver: Driver, path: &Path) -> Result<Self> {
        Ok(match driver {
            Driver::Rusqlite => {
                let store = downlink_rusqlite::open(path).await?;
                Self::Rusqlite(store, RusqliteBus::open(path).await?)
            }
            Driver::Sqlx => {
                let store = downlink_sqlx::open(path).await?;
                Self::Sqlx(store, SqlxBus::open(path).await?)
            }
        })
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> Arc<dyn EventStore> {
        match self {
            Self::Rusqlite(store, _) => Arc::new(store.clone()),
            Self::Sqlx(store, _) => Arc::new(store.clone()),
        }
    }

    /// Starts a hub that also receives the events of other processes.
    ///
    /// # Errors
    ///
    /// Those of the store.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing keeps running.
    // ANCHOR: hub
    pub async fn hub(&self) -> Result<Hub> {
        let bus: Arc<dyn Bus> = match self {
            Self::Rusqlite(_, bus) => Arc::new(bus.clone()),
            Self::Sqlx(_, bus) => Arc::new(bus.clone()),
        };
        Hub::builder(self.store(), bus).start().await
    }
    // ANCHOR_END: hub

    /// A projection of a read model into the file of the log. An event that cannot be
    /// applied is set aside; the others are applied.
    pub(crate) fn project(&self, hub: &Hub, model: &'static Model) -> ProjectionBuilder {
        let projection = match self {
            Self::Rusqlite(store, _) => hub.project(ThroughRusqlite(model), store.clone()),
            Self::Sqlx(store, _) => hub.project(ThroughSqlx(model), store.clone()),
        };
        projection.with_policy(FailurePolicy::skip())
    }

    /// The models as live queries, which these projections build.
    // ANCHOR: live
    pub(crate) fn live(&self, hub: &Hub, projections: &[ProjectionHandle]) -> Result<Live> {
        match self {
            Self::Rusqlite(store, _) => {
                let live = Live::builder(hub, store.clone());
                let live = Model::ALL
                    .iter()
                    .fold(live, |live, &model| live.with_query(ThroughRusqlite(model)));
                projections.iter().fold(live, LiveBuilder::with_model).start()
            }
            Self::Sqlx(store, _) => {
                let live = Live::builder(hub, store.clone());
                let live = Model::ALL
                    .iter()
                    .fold(live, |live, &model| live.with_query(ThroughSqlx(model)));
                projections.iter().fold(live, LiveBuilder::with_model).start()
            }
        }
    }
    // ANCHOR_END: live

    /// Reads a model and its cursor from one snapshot.
    pub(crate) async fn query(
        &self,
        model: &'static Model,
        filter: RowFilter,
    ) -> Result<QueryResult> {
        match self {
            Self::Rusqlite(store, _) => through_rusqlite::query(store, model, filter).await,
            Self::Sqlx(store, _) => through_sqlx::query(store, model, filter).await,
        }
    }

    /// Stores the queued events and closes the file.
    ///
    /// # Cancel safety
    ///
    /// The file is also closed if the future is dropped.
    pub async fn close(&self) {
        match self {
            // The store last: closing the last handle of the file cleans up.
            Self::Rusqlite(store, bus) => {
                bus.close().await;
                store.close().await;
            }
            Self::Sqlx(store, bus) => {
                bus.close().await;
                store.close().await;
            }
        }
    }
}
