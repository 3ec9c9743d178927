#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

#[path = "../../../sqlite-schema/tests/driver/shrill.rs"]
mod shrill;

#[tokio::test]
async fn a_connection_that_must_stay_open_does_so_though_a_subscriber_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flights.db");
    let file = File::new(path.clone(), FileOptions::new(), None);
    let mut slot = Slot::new(Arc::new(file), Role::Reader);
    slot.create().await.unwrap();
    let wal = folder.path().join("flights.db-wal");
    fs::rename(&wal, folder.path().join("former")).unwrap();
    fs::write(&wal, "of another program").unwrap();
    let closed = tracing::subscriber::with_default(shrill::Shrill, || {
        catch_unwind(AssertUnwindSafe(|| drop(slot.take())))
    });
    assert!(closed.is_err(), "the subscriber was told");
    // Closing the connection would have taken it away.
    assert_eq!(fs::read_to_string(&wal).unwrap(), "of another program");
}
