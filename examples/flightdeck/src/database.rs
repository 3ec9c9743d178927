use std::fmt;
use std::path::Path;
use std::sync::Arc;

use downlink::live::Live;
use downlink::projection::ProjectionBuilder;
use downlink::{Bus, Error, ErrorKind, EventStore, Hub, ProjectionHandle, Result};
use downlink_nats::NatsBus;
use downlink_postgres::{PostgresBus, PostgresStore};
use downlink_rusqlite::RusqliteBus;
use downlink_sqlx::SqlxBus;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::driver::{Driver, ServerBus};
use crate::read_models::{Model, ModelStore, QueryResult, RowFilter};

/// A log, opened with the selected driver, its read models, and the bus that reports
/// appends of other processes.
///
/// Clones share them.
#[derive(Clone)]
pub struct Database {
    store: Arc<dyn EventStore>,
    models: Arc<dyn ModelStore>,
    bus: Arc<dyn Bus>,
    close: Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
}

/// A store and its bus, which is closed first: closing the last handle of a file cleans up.
macro_rules! database {
    ($store:expr, $bus:expr) => {{
        let (store, bus) = ($store, $bus);
        let (closing, silencing) = (store.clone(), bus.clone());
        let close = move || {
            let (store, bus) = (closing.clone(), silencing.clone());
            async move {
                bus.close().await;
                store.close().await;
            }
            .boxed()
        };
        let (log, models) = (Arc::new(store.clone()), Arc::new(store));
        Self { store: log, models, bus: Arc::new(bus), close: Arc::new(close) }
    }};
}

impl Database {
    /// Opens the log in this file, or in the database of the driver, or creates an empty one.
    ///
    /// # Errors
    ///
    /// Those of opening the store and the bus; [`Invalid`](ErrorKind::Invalid) for a bus with
    /// a file, which has a bus of its own.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, an empty log may have been created.
    pub async fn open(driver: &Driver, path: &Path, bus: Option<&ServerBus>) -> Result<Self> {
        if bus.is_some() && !matches!(driver, Driver::Postgres(_)) {
            let message = "--bus needs --store postgres://..: a file has a bus of its own";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(match driver {
            Driver::Rusqlite => {
                database!(downlink_rusqlite::open(path).await?, RusqliteBus::open(path).await?)
            }
            Driver::Sqlx => database!(downlink_sqlx::open(path).await?, SqlxBus::open(path).await?),
            Driver::Postgres(url) => {
                // ANCHOR: postgres
                let store = PostgresStore::connect(url).await?;
                if let Some(ServerBus::Nats(server)) = bus {
                    database!(store, NatsBus::connect(server, "flightdeck").await?)
                } else {
                    database!(store, PostgresBus::connect(url).await?)
                }
                // ANCHOR_END: postgres
            }
        })
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> Arc<dyn EventStore> {
        Arc::clone(&self.store)
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
        Hub::builder(self.store(), Arc::clone(&self.bus)).start().await
    }
    // ANCHOR_END: hub

    /// A projection of a read model into the database of the log. An event that cannot be
    /// applied is set aside; the others are applied.
    pub(crate) fn project(&self, hub: &Hub, model: &'static Model) -> ProjectionBuilder {
        self.models.project(hub, model)
    }

    /// The models as live queries, which these projections build.
    pub(crate) fn live(&self, hub: &Hub, projections: &[ProjectionHandle]) -> Result<Live> {
        self.models.live(hub, projections)
    }

    /// Reads a model and its cursor from one snapshot.
    pub(crate) async fn query(
        &self,
        model: &'static Model,
        filter: RowFilter,
    ) -> Result<QueryResult> {
        self.models.query(model, filter).await
    }

    /// Stores the queued events and closes the file or the connections.
    ///
    /// # Cancel safety
    ///
    /// They are also closed if the future is dropped.
    pub async fn close(&self) {
        (self.close)().await;
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, bus, .. } = self;
        f.debug_struct("Database").field("store", store).field("bus", bus).finish_non_exhaustive()
    }
}
