//! Snapshots of deciders beside the events.

use std::time::Duration;

use downlink::decider::{Snapshot, SnapshotKey, SnapshotStore};
use downlink::event::Timestamp;
use downlink::{ErrorKind, EventId, Version};
use downlink_conformance_tests::WriteLock;
use tokio::time::timeout;

use crate::fixture::Lock;
use crate::models::execute;
use crate::server::{Server, fresh_schema, options};

fn key() -> SnapshotKey {
    SnapshotKey { stream: "flight-UA1545".try_into().expect("a valid name"), name: "Flight".into() }
}

fn snapshot() -> Snapshot {
    Snapshot {
        schema: 1,
        version: Version::FIRST,
        event: EventId::now(),
        recorded_at: Timestamp::EPOCH,
        state: "{}".into(),
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_snapshot_is_saved_while_another_process_appends() {
    let schema = fresh_schema();
    let store = options(&schema).connect(&Server::get().url()).await.unwrap();
    let lock = Lock::of(schema).await.unwrap();
    lock.hold().await.unwrap();
    let snapshot = snapshot();
    let saved = timeout(Duration::from_secs(20), store.save(&key(), snapshot.clone())).await;
    saved.expect("no wait for the lock of the log").unwrap();
    assert_eq!(store.load(&key(), 2).await.unwrap(), Some(snapshot));
    lock.release().await.unwrap();
}

/// The executor reports such an error and reads the events.
#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_damaged_row_is_an_error_until_it_is_replaced() {
    let schema = fresh_schema();
    let store = options(&schema).connect(&Server::get().url()).await.unwrap();
    let snapshot = snapshot();
    for damage in ["schema = -1", "version = 0", "recorded_at = -1"] {
        store.save(&key(), snapshot.clone()).await.unwrap();
        execute(format!("UPDATE {schema}.snapshots SET {damage}")).await.unwrap();
        let error = store.load(&key(), 2).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{damage}: {error}");
    }
    store.save(&key(), snapshot.clone()).await.unwrap();
    assert_eq!(store.load(&key(), 2).await.unwrap(), Some(snapshot));
}
