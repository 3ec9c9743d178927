use std::path::Path;

use downlink::{Error, ErrorKind, Hub, LocalBus, MemoryStore, Result};
use downlink_rusqlite::{BusOptions, Durability, RusqliteBus, RusqliteStore};
use downlink_sqlx::{SqlxBus, SqlxStore};

use crate::args::{Args, BusChoice, StoreChoice, Survives};

/// A hub over the chosen store, woken by the chosen bus.
pub(crate) struct Log {
    pub(crate) hub: Hub,
    pub(crate) description: String,
    file: File,
}

/// What is closed when the hub has ended.
enum File {
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
            let message = "--bus sqlite is for a log in a file: add --store rusqlite:FILE";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let hub = Hub::builder(MemoryStore::new(), LocalBus::new()).start().await?;
        let description = "memory (gone when the server ends)".to_owned();
        Ok(Self { hub, description, file: File::None })
    }

    async fn through_rusqlite(path: &Path, args: &Args) -> Result<Self> {
        let options = downlink_rusqlite::Options::new().with_durability(durability(args));
        let store = options.open(path).await?;
        let bus = RusqliteBus::open_with(path, bus_options(args)).await?;
        let hub = Hub::builder(store.clone(), bus.clone()).start().await?;
        let description = path.display().to_string();
        Ok(Self { hub, description, file: File::Rusqlite(store, bus) })
    }

    async fn through_sqlx(path: &Path, args: &Args) -> Result<Self> {
        let options = downlink_sqlx::Options::new().with_durability(durability(args));
        let store = options.open(path).await?;
        let bus = SqlxBus::open_with(path, bus_options(args)).await?;
        let hub = Hub::builder(store.clone(), bus.clone()).start().await?;
        let description = path.display().to_string();
        Ok(Self { hub, description, file: File::Sqlx(store, bus) })
    }

    /// Lets appends under way end, and leaves the file in order.
    pub(crate) async fn close(self) {
        self.hub.shutdown().await;
        match self.file {
            File::None => {}
            File::Rusqlite(store, bus) => {
                bus.close().await;
                store.close().await;
            }
            File::Sqlx(store, bus) => {
                bus.close().await;
                store.close().await;
            }
        }
    }
}

fn durability(args: &Args) -> Durability {
    match args.durability {
        Survives::Full => Durability::Full,
        Survives::Normal => Durability::Normal,
    }
}

fn bus_options(args: &Args) -> BusOptions {
    match args.bus {
        BusChoice::Local => BusOptions::new().without_polling(),
        BusChoice::Sqlite => BusOptions::new(),
    }
}
