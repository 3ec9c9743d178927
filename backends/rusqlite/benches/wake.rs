//! How soon another process is notified of a commit, and how much CPU time polling
//! takes.
//!
//! ```console
//! $ cargo bench -p downlink-rusqlite --bench wake
//! $ cargo bench -p downlink-rusqlite --bench wake -- --seconds 30
//! ```

mod waking;

use std::path::PathBuf;
use std::sync::Arc;

use downlink::{Bus, EventStore};
use downlink_rusqlite::RusqliteBus;

fn main() {
    waking::run(async |file: PathBuf| {
        let store: Arc<dyn EventStore> =
            Arc::new(downlink_rusqlite::open(&file).await.expect("a store"));
        let bus: Arc<dyn Bus> = Arc::new(RusqliteBus::open(&file).await.expect("a bus"));
        (store, bus)
    });
}
