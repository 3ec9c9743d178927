#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

#[path = "../../../sqlite-schema/tests/driver/panicking_subscriber.rs"]
mod panicking_subscriber;

#[tokio::test]
async fn a_connection_that_must_stay_open_survives_a_panic_in_a_subscriber() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flights.db");
    let file = File::new(path.clone(), FileOptions::new(), None);
    let mut connection = LazyConnection::new(Arc::new(file), Role::Reader);
    connection.create().await.unwrap();
    let wal = folder.path().join("flights.db-wal");
    fs::rename(&wal, folder.path().join("former")).unwrap();
    fs::write(&wal, "of another program").unwrap();
    let closed =
        tracing::subscriber::with_default(panicking_subscriber::PanickingSubscriber, || {
            catch_unwind(AssertUnwindSafe(|| drop(connection.take())))
        });
    assert!(closed.is_err(), "the subscriber was called");
    // Closing the connection would have removed it.
    assert_eq!(fs::read_to_string(&wal).unwrap(), "of another program");
}
