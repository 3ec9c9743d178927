use std::path::Path;

use downlink::{Error, ErrorKind, Hub, LocalBus, MemoryStore, Result};
use downlink_rusqlite::{Durability, Options, RusqliteStore};

use crate::args::{StoreChoice, Survives};

/// A hub over the chosen store.
pub(crate) struct Log {
    pub(crate) hub: Hub,
    pub(crate) description: String,
    file: Option<RusqliteStore>,
}

impl Log {
    pub(crate) async fn open(choice: &StoreChoice, survives: Survives) -> Result<Self> {
        let path = match choice {
            StoreChoice::Memory => {
                let hub = Hub::builder(MemoryStore::new(), LocalBus::new()).start().await?;
                let description = "memory (gone when the server ends)".to_owned();
                return Ok(Self { hub, description, file: None });
            }
            StoreChoice::Rusqlite(path) => path,
        };
        let durability = match survives {
            Survives::Full => Durability::Full,
            Survives::Normal => Durability::Normal,
        };
        check_is_no_directory(path)?;
        let store = Options::new().with_durability(durability).open(path).await;
        let store = store.map_err(|error| with_advice(path, error))?;
        let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;
        Ok(Self { hub, description: path.display().to_string(), file: Some(store) })
    }

    /// Lets appends under way end, and leaves the file in order.
    pub(crate) async fn close(self) {
        self.hub.shutdown().await;
        if let Some(file) = self.file {
            file.close().await;
        }
    }
}

fn check_is_no_directory(path: &Path) -> Result<()> {
    if !path.is_dir() {
        return Ok(());
    }
    let path = path.display();
    let message = format!("{path} is a directory: name a file in it, as in {path}/flights.db");
    Err(Error::new(ErrorKind::Invalid, message))
}

/// What to do about a file that is no log, before what is wrong with it.
fn with_advice(path: &Path, error: Error) -> Error {
    if error.kind() != ErrorKind::Corrupt {
        return error;
    }
    let path = path.display();
    let message = format!("{path} is no log: name another file, or move this one away");
    Error::with_source(ErrorKind::Corrupt, message, error)
}
