use downlink::{Error, ErrorKind, Hub, LocalBus, MemoryStore, Result};
use downlink_any::{BusUrl, Durability, StoreUrl};

use crate::args::{Args, DurabilityChoice};

/// A hub with the chosen store and bus.
pub(crate) struct Log {
    pub(crate) hub: Hub,
    pub(crate) description: String,
    /// What to close after the hub; nothing for a log in memory.
    opened: Option<downlink_any::Log>,
}

impl Log {
    pub(crate) async fn open(args: &Args) -> Result<Self> {
        let bus = args.bus.parse()?;
        if args.store == "memory" {
            return Self::in_memory(&bus).await;
        }
        let store = StoreUrl::parse(&args.store).map_err(|_| {
            let message = format!(
                "--store: use `memory`, {}, for example `rusqlite:flights.db`",
                StoreUrl::FORMS
            );
            Error::new(ErrorKind::Invalid, message)
        })?;
        let description = store.to_string();
        let log = downlink_any::Options::new(store).with_bus(bus);
        let log = log.with_durability(durability(args)).open().await?;
        Ok(Self { hub: log.hub().await?, description, opened: Some(log) })
    }

    async fn in_memory(bus: &BusUrl) -> Result<Self> {
        if *bus != BusUrl::Local {
            let message = format!(
                "--bus {bus} needs a log that other processes can open: add --store rusqlite:FILE or postgres://USER@HOST/DATABASE"
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let hub = Hub::builder(MemoryStore::new(), LocalBus::new()).start().await?;
        let description = "in memory (lost when the server stops)".to_owned();
        Ok(Self { hub, description, opened: None })
    }

    /// Waits for running appends, and closes the file or the connections.
    pub(crate) async fn close(self) {
        self.hub.shutdown().await;
        if let Some(log) = self.opened {
            log.close().await;
        }
    }
}

fn durability(args: &Args) -> Durability {
    match args.durability {
        DurabilityChoice::Full => Durability::Full,
        DurabilityChoice::Normal => Durability::Normal,
    }
}
