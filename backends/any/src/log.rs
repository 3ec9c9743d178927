use std::fmt;
use std::sync::Arc;

use downlink::decider::SnapshotStore;
use downlink::live::QueryStore;
use downlink::store::ImportStore;
use downlink::{Bus, Error, ErrorKind, EventStore, Hub, LocalBus, Result};
use downlink_nats::NatsBus;
use downlink_rusqlite::{BusOptions, Durability, RusqliteBus};
use downlink_sqlx::SqlxBus;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::bus_url::BusUrl;
use crate::models::Models;
use crate::sql_tx::Tx;
use crate::store_url::StoreUrl;

/// How to open a log.
#[derive(Clone, Debug)]
pub struct Options {
    store: StoreUrl,
    bus: BusUrl,
    subject: String,
    postgres: downlink_postgres::Options,
    durability: Durability,
}

/// An open log: its store, its read models, and the bus that reports the appends of other processes.
///
/// Clones share them.
#[derive(Clone)]
pub struct Log {
    store: Arc<dyn ImportStore>,
    models: Arc<dyn QueryStore<Tx = Tx>>,
    snapshots: Arc<dyn SnapshotStore>,
    bus: Arc<dyn Bus>,
    is_in_file: bool,
    close: Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
}

/// A log of a store and a bus. The bus is closed first: closing the last handle of a file cleans up.
macro_rules! log {
    ($store:expr, $bus:expr, $closing:ident => $close_bus:expr) => {{
        let (store, bus) = ($store, $bus);
        let (log, $closing) = (store.clone(), bus.clone());
        let close = move || {
            let (log, $closing) = (log.clone(), $closing.clone());
            async move {
                $close_bus;
                log.close().await;
            }
            .boxed()
        };
        Log {
            store: Arc::new(store.clone()),
            snapshots: Arc::new(store.clone()),
            models: Arc::new(Models(store)),
            bus: Arc::new(bus),
            is_in_file: false,
            close: Arc::new(close),
        }
    }};
    ($store:expr, $bus:expr) => {
        log!($store, $bus, bus => bus.close().await)
    };
}

impl Options {
    /// A log in this store, with the bus of the store: that of the file, or `LISTEN` and `NOTIFY`.
    #[must_use]
    pub fn new(store: StoreUrl) -> Self {
        let bus = if store.file().is_some() { BusUrl::Sqlite } else { BusUrl::Postgres };
        Self {
            store,
            bus,
            subject: "downlink".to_owned(),
            postgres: downlink_postgres::Options::new(),
            durability: Durability::Full,
        }
    }

    /// Another bus.
    #[must_use]
    pub fn with_bus(self, bus: BusUrl) -> Self {
        Self { bus, ..self }
    }

    /// The subject on a NATS server: `downlink` by default. Each log on a server needs one of its own.
    #[must_use]
    pub fn with_subject(self, subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..self }
    }

    /// The options of a store and a bus in PostgreSQL, such as the schema: each log in a database needs
    /// one of its own.
    #[must_use]
    pub fn with_postgres(self, postgres: downlink_postgres::Options) -> Self {
        Self { postgres, ..self }
    }

    /// What an acknowledged append to a file survives: power cuts by default. PostgreSQL always commits
    /// with `synchronous_commit`.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Opens the log, or creates an empty one.
    ///
    /// # Errors
    ///
    /// Those of opening the store and connecting the bus, and [`Invalid`](ErrorKind::Invalid) for a bus that does
    /// not fit the store.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, an empty log may have been created, and nothing stays open.
    pub async fn open(&self) -> Result<Log> {
        match (&self.store, &self.bus) {
            (StoreUrl::Rusqlite(path), BusUrl::Sqlite | BusUrl::Local) => {
                let options = downlink_rusqlite::Options::new().with_durability(self.durability);
                let store = options.open(path).await?;
                let bus = RusqliteBus::open_with(path, self.bus_options()).await?;
                Ok(Log { is_in_file: true, ..log!(store, bus) })
            }
            (StoreUrl::Sqlx(path), BusUrl::Sqlite | BusUrl::Local) => {
                let options = downlink_sqlx::Options::new().with_durability(self.durability);
                let store = options.open(path).await?;
                let bus = SqlxBus::open_with(path, self.bus_options()).await?;
                Ok(Log { is_in_file: true, ..log!(store, bus) })
            }
            (StoreUrl::Postgres(url), BusUrl::Local) => Ok(
                log!(self.postgres.clone().connect(url).await?, LocalBus::new(), bus => drop(bus)),
            ),
            (StoreUrl::Postgres(url), BusUrl::Postgres) => {
                let store = self.postgres.clone().connect(url).await?;
                Ok(log!(store, self.postgres.clone().connect_bus(url).await?))
            }
            (StoreUrl::Postgres(url), BusUrl::Nats(server)) => {
                let store = self.postgres.clone().connect(url).await?;
                Ok(log!(store, NatsBus::connect(server, &self.subject).await?))
            }
            (StoreUrl::Postgres(_), BusUrl::Sqlite) => Err(unfit("`sqlite`", "a log in a file")),
            (_, bus) => Err(unfit(&format!("`{bus}`"), "a log in PostgreSQL")),
        }
    }

    /// Deletes the file of the log, if there is one, with what belongs to it. Nothing may have it open.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) for a log in PostgreSQL; those of opening the log, so that no other file is
    /// deleted; and [`Unavailable`](ErrorKind::Unavailable) if a file cannot be deleted.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the log is deleted or not.
    pub async fn delete(&self) -> Result<()> {
        match &self.store {
            StoreUrl::Rusqlite(path) => downlink_rusqlite::open(path).await?.delete().await,
            StoreUrl::Sqlx(path) => downlink_sqlx::open(path).await?.delete().await,
            StoreUrl::Postgres(_) => {
                let message = format!(
                    "only a log in a file can be deleted: in the database, run DROP SCHEMA \"{}\" \
                     CASCADE, or choose another database",
                    self.postgres.schema()
                );
                Err(Error::new(ErrorKind::Invalid, message))
            }
        }
    }

    /// The bus of a file finds the appends of other processes by polling.
    fn bus_options(&self) -> BusOptions {
        let options = BusOptions::new();
        if self.bus == BusUrl::Local { options.without_polling() } else { options }
    }
}

fn unfit(bus: &str, needed: &str) -> Error {
    let message = format!("the bus {bus} needs {needed}: choose another bus, or another store");
    Error::new(ErrorKind::Invalid, message)
}

impl Log {
    /// Opens the log of this store with its bus; see [`Options`] for others.
    ///
    /// # Errors
    ///
    /// As [`Options::open`], and [`Invalid`](ErrorKind::Invalid) for another text than those of [`StoreUrl`].
    ///
    /// # Cancel safety
    ///
    /// As [`Options::open`].
    pub async fn open(store: &str) -> Result<Self> {
        Options::new(store.parse()?).open().await
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> Arc<dyn EventStore> {
        self.import_store()
    }

    /// The store, for writing the events of another log as they are; see
    /// [`copy`](crate::copy).
    #[must_use]
    pub fn import_store(&self) -> Arc<dyn ImportStore> {
        Arc::clone(&self.store)
    }

    /// The read models, for [`Hub::project`] and [`Live`](downlink::live::Live).
    #[must_use]
    pub fn models(&self) -> Arc<dyn QueryStore<Tx = Tx>> {
        Arc::clone(&self.models)
    }

    /// The snapshots of deciders, for [`Snapshots`](downlink::decider::Snapshots), beside the events.
    #[must_use]
    pub fn snapshots(&self) -> Arc<dyn SnapshotStore> {
        Arc::clone(&self.snapshots)
    }

    /// The bus.
    #[must_use]
    pub fn bus(&self) -> Arc<dyn Bus> {
        Arc::clone(&self.bus)
    }

    /// Whether the log is in a file of this machine, and not in a database, which processes of
    /// several machines may share.
    #[must_use]
    pub fn is_in_file(&self) -> bool {
        self.is_in_file
    }

    /// Starts a hub on the store and the bus, which translates cursors of logs that were moved into this
    /// one.
    ///
    /// # Errors
    ///
    /// As [`HubBuilder::start`](downlink::hub::HubBuilder::start).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing keeps running.
    pub async fn hub(&self) -> Result<Hub> {
        let hub = Hub::builder(self.store(), self.bus());
        hub.with_moved_cursors(self.import_store()).start().await
    }

    /// Stores the queued events, and closes the bus and the file or the connections. Shut hubs down before.
    ///
    /// # Cancel safety
    ///
    /// They are also closed if the future is dropped.
    pub async fn close(&self) {
        (self.close)().await;
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, bus, .. } = self;
        f.debug_struct("Log").field("store", store).field("bus", bus).finish_non_exhaustive()
    }
}
