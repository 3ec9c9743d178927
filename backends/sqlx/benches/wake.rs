//! How soon another process is notified of a commit, and how much CPU time polling
//! takes.
//!
//! ```console
//! $ cargo bench -p downlink-sqlx --bench wake
//! $ cargo bench -p downlink-sqlx --bench wake -- --seconds 30
//! ```

#[path = "../../rusqlite/benches/waking/mod.rs"]
mod waking;

use std::path::PathBuf;
use std::sync::Arc;

use downlink::{Bus, EventStore};
use downlink_sqlx::SqlxBus;

fn main() {
    waking::run(async |file: PathBuf| {
        let store: Arc<dyn EventStore> =
            Arc::new(downlink_sqlx::open(&file).await.expect("a store"));
        let bus: Arc<dyn Bus> = Arc::new(SqlxBus::open(&file).await.expect("a bus"));
        (store, bus)
    });
}
