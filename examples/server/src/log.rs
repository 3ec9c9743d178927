use std::path::Path;

use downlink::{Error, ErrorKind, Hub, LocalBus, MemoryStore, Result};
use downlink_nats::NatsBus;
use downlink_postgres::{PostgresBus, PostgresStore};
use downlink_rusqlite::{BusOptions, Durability, RusqliteBus};
use downlink_sqlx::SqlxBus;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::args::{Args, BusChoice, DurabilityChoice, StoreChoice};

/// A hub with the chosen store and bus.
pub(crate) struct Log {
    pub(crate) hub: Hub,
    pub(crate) description: String,
    /// What to close after the hub.
    close: BoxFuture<'static, ()>,
}

/// The log of a store and a bus, which is closed first.
macro_rules! log {
    ($store:expr, $bus:expr, $description:expr) => {{
        let (store, bus) = ($store, $bus);
        let hub = Hub::builder(store.clone(), bus.clone()).start().await?;
        let close = async move {
            bus.close().await;
            store.close().await;
        };
        Ok(Self { hub, description: $description, close: close.boxed() })
    }};
}

impl Log {
    pub(crate) async fn open(args: &Args) -> Result<Self> {
        check(args)?;
        match &args.store {
            StoreChoice::Memory => Self::in_memory().await,
            StoreChoice::Rusqlite(path) => Self::through_rusqlite(path, args).await,
            StoreChoice::Sqlx(path) => Self::through_sqlx(path, args).await,
            StoreChoice::Postgres(url) => Self::in_postgres(url, args).await,
        }
    }

    async fn in_memory() -> Result<Self> {
        let hub = Hub::builder(MemoryStore::new(), LocalBus::new()).start().await?;
        let description = "in memory (lost when the server stops)".to_owned();
        Ok(Self { hub, description, close: async {}.boxed() })
    }

    async fn through_rusqlite(path: &Path, args: &Args) -> Result<Self> {
        let options = downlink_rusqlite::Options::new().with_durability(durability(args));
        let bus = RusqliteBus::open_with(path, bus_options(args));
        log!(options.open(path).await?, bus.await?, path.display().to_string())
    }

    async fn through_sqlx(path: &Path, args: &Args) -> Result<Self> {
        let options = downlink_sqlx::Options::new().with_durability(durability(args));
        let bus = SqlxBus::open_with(path, bus_options(args));
        log!(options.open(path).await?, bus.await?, path.display().to_string())
    }

    async fn in_postgres(url: &str, args: &Args) -> Result<Self> {
        let store = PostgresStore::connect(url).await?;
        let place = "in PostgreSQL".to_owned();
        match &args.bus {
            BusChoice::Nats(server) => {
                log!(store, NatsBus::connect(server, "downlink").await?, place)
            }
            BusChoice::Postgres => log!(store, PostgresBus::connect(url).await?, place),
            BusChoice::Local | BusChoice::Sqlite => {
                let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;
                let close = async move { store.close().await };
                Ok(Self { hub, description: place, close: close.boxed() })
            }
        }
    }

    /// Waits for running appends, and closes the file or the connections.
    pub(crate) async fn close(self) {
        self.hub.shutdown().await;
        self.close.await;
    }
}

/// Refuses a bus that does not fit the store.
fn check(args: &Args) -> Result<()> {
    let message = match (&args.bus, &args.store) {
        (BusChoice::Local, _)
        | (BusChoice::Sqlite, StoreChoice::Rusqlite(_) | StoreChoice::Sqlx(_))
        | (BusChoice::Postgres | BusChoice::Nats(_), StoreChoice::Postgres(_)) => return Ok(()),
        (BusChoice::Sqlite, _) => "--bus sqlite needs a log in a file: add --store rusqlite:FILE",
        (BusChoice::Postgres | BusChoice::Nats(_), _) => {
            "this bus needs a log in PostgreSQL: add --store postgres://USER@HOST/DATABASE"
        }
    };
    Err(Error::new(ErrorKind::Invalid, message))
}

fn durability(args: &Args) -> Durability {
    match args.durability {
        DurabilityChoice::Full => Durability::Full,
        DurabilityChoice::Normal => Durability::Normal,
    }
}

fn bus_options(args: &Args) -> BusOptions {
    match args.bus {
        BusChoice::Sqlite => BusOptions::new(),
        _ => BusOptions::new().without_polling(),
    }
}
