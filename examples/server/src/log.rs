use std::path::Path;

use downlink::{Error, ErrorKind, Hub, LocalBus, MemoryStore, Result};
use downlink_rusqlite::{BusOptions, Durability, RusqliteBus, RusqliteStore};
use downlink_sqlx::{SqlxBus, SqlxStore};

use crate::args::{Args, BusChoice, DurabilityChoice, StoreChoice};

/// A hub with the chosen store and bus.
pub(crate) struct Log {
    pub(crate) hub: Hub,
    pub(crate) description: String,
    file: LogFile,
}

/// What to close after the hub.
enum LogFile {
    None,
    Rusqlite(RusqliteStore, RusqliteBus),
    Sqlx(SqlxStore, SqlxBus),
}

impl Log {
    pub(crate) async fn open(args: &Args) -> Result<Self> {
        match &args.store {
            StoreChoice::Memory => Self::in_memory(args).await,
            StoreChoice::Rusqlite(path) => Self::through_rusqlite(path, args).await,
            StoreChoice::Sqlx(path) => Self::through_sqlx(path, args).await,
        }
    }

    async fn in_memory(args: &Args) -> Result<Self> {
        if args.bus == BusChoice::Sqlite {
            let message = "--bus sqlite needs a log in a file: add --store rusqlite:FILE";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let hub = Hub::builder(MemoryStore::new(), LocalBus::new()).start().await?;
        let description = "in memory (lost when the server stops)".to_owned();
        Ok(Self { hub, description, file: LogFile::None })
    }

    async fn through_rusqlite(path: &Path, args: &Args) -> Result<Self> {
        let options = downlink_rusqlite::Options::new().with_durability(durability(args));
        let store = options.open(path).await?;
        let bus = RusqliteBus::open_with(path, bus_options(args)).await?;
        let hub = Hub::builder(store.clone(), bus.clone()).start().await?;
        let description = path.display().to_string();
        Ok(Self { hub, description, file: LogFile::Rusqlite(store, bus) })
    }

    async fn through_sqlx(path: &Path, args: &Args) -> Result<Self> {
        let options = downlink_sqlx::Options::new().with_durability(durability(args));
        let store = options.open(path).await?;
        let bus = SqlxBus::open_with(path, bus_options(args)).await?;
        let hub = Hub::builder(store.clone(), bus.clone()).start().await?;
        let description = path.display().to_string();
        Ok(Self { hub, description, file: LogFile::Sqlx(store, bus) })
    }

    /// Waits for running appends, and closes the file.
    pub(crate) async fn close(self) {
        self.hub.shutdown().await;
        match self.file {
            LogFile::None => {}
            LogFile::Rusqlite(store, bus) => {
                bus.close().await;
                store.close().await;
            }
            LogFile::Sqlx(store, bus) => {
                bus.close().await;
                store.close().await;
            }
        }
    }
}

fn durability(args: &Args) -> Durability {
    match args.durability {
        DurabilityChoice::Full => Durability::Full,
        DurabilityChoice::Normal => Durability::Normal,
    }
}

fn bus_options(args: &Args) -> BusOptions {
    match args.bus {
        BusChoice::Local => BusOptions::new().without_polling(),
        BusChoice::Sqlite => BusOptions::new(),
    }
}
