//! Snapshots of deciders beside the events.

use downlink::decider::{Snapshot, SnapshotKey, SnapshotStore};
use downlink::{ErrorKind, Event, EventStore};

use crate::support::{TempLog, all, chain, stored};

fn key() -> SnapshotKey {
    SnapshotKey { stream: "flight-UA1545".try_into().unwrap(), name: "Flight".into() }
}

fn at(last: &Event) -> Snapshot {
    Snapshot {
        schema: 1,
        version: last.version(),
        event: last.id(),
        recorded_at: last.recorded_at(),
        state: "{}".into(),
    }
}

#[tokio::test]
async fn snapshots_leave_the_log_as_it_was() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 3).await;
    let before = all(&store).await;
    let snapshot = at(&before.events[2]);
    store.save(&key(), snapshot.clone()).await.unwrap();
    assert_eq!(all(&store).await, before);
    assert_eq!(store.head().await.unwrap(), before.head);
    assert_eq!(stored(&store, "flight-UA1545", 1).await.first.get(), 4);
    assert!(store.verify().await.unwrap().is_sound());
    assert_eq!(store.load(&key(), 2).await.unwrap(), Some(snapshot));
    store.close().await;
    let closed = store.load(&key(), 2).await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Unavailable);
}

/// The executor reports such an error and reads the events.
#[tokio::test]
async fn a_damaged_row_is_an_error_until_it_is_replaced() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 1).await;
    let snapshot = at(&all(&store).await.events[0]);
    for damage in ["schema = -1", "version = 0", "event = x'07'", "recorded_at = -1"] {
        store.save(&key(), snapshot.clone()).await.unwrap();
        let damage = format!("UPDATE downlink_snapshots SET {damage}");
        assert_eq!(temp.sql().execute(&damage, ()).unwrap(), 1);
        let error = store.load(&key(), 2).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{damage}: {}", chain(&error));
    }
    store.save(&key(), snapshot.clone()).await.unwrap();
    assert_eq!(store.load(&key(), 2).await.unwrap(), Some(snapshot));
}
