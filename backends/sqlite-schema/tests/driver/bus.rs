//! The bus notices commits of other connections, and that its file is replaced.

use std::fs;
use std::time::Duration;

use downlink::bus::{Hint, Listener};
use downlink::{Bus, ErrorKind, Position};
use futures::{FutureExt, StreamExt};
use tokio::time::timeout;

use crate::support::driver::{self, Bus as FileBus, BusOptions};
use crate::support::{TempLog, stored};

const WATCHDOG: Duration = Duration::from_secs(30);

async fn hint(listener: &mut Listener) -> Option<Hint> {
    timeout(WATCHDOG, listener.next()).await.expect("a hint in time")
}

#[tokio::test]
async fn a_commit_of_another_connection_is_a_hint() {
    let temp = TempLog::new();
    let store = temp.open().await;
    let bus = FileBus::open(&temp.path).await.unwrap();
    let mut listener = bus.listen().await.unwrap();
    assert_eq!(listener.next().now_or_never(), None);
    for position in 1..=3 {
        stored(&store, "flight-UA1545", 1).await;
        assert_eq!(hint(&mut listener).await, Some(Hint::at(Position::new(position).unwrap())));
    }
}

#[tokio::test]
async fn a_hint_of_this_process_needs_no_polling() {
    let temp = TempLog::new();
    let bus = FileBus::open_with(&temp.path, BusOptions::new().without_polling()).await.unwrap();
    let mut listener = bus.listen().await.unwrap();
    bus.publish(Hint::anything()).await.unwrap();
    assert_eq!(listener.next().now_or_never(), Some(Some(Hint::anything())));
    assert!(!temp.path.exists(), "the bus opened no file");
}

#[tokio::test]
async fn a_missing_file_is_unavailable() {
    let temp = TempLog::new();
    let error = FileBus::open(&temp.path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!temp.path.exists(), "no empty log is created");
}

#[tokio::test]
async fn removing_and_restoring_the_file_are_two_hints() {
    let temp = TempLog::new();
    let (away, other) = (temp.folder.path().join("away.db"), temp.folder.path().join("other.db"));
    let store = driver::open(&other).await.unwrap();
    stored(&store, "flight-AA1141", 1).await;
    store.close().await;
    temp.open().await.close().await;
    let bus = FileBus::open(&temp.path).await.unwrap();
    let mut listener = bus.listen().await.unwrap();
    fs::rename(&temp.path, &away).unwrap();
    assert_eq!(hint(&mut listener).await, Some(Hint::anything()));
    for end in ["-wal", "-shm"] {
        // They may be gone: the bus removes them when it closes the file.
        let _ = fs::remove_file(temp.with_end(end));
    }
    fs::rename(&other, &temp.path).unwrap();
    assert_eq!(hint(&mut listener).await, Some(Hint::anything()));
    // The bus polls the new file.
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 1).await;
    assert_eq!(hint(&mut listener).await, Some(Hint::at(Position::new(2).unwrap())));
}

#[tokio::test]
async fn polling_does_not_pin_the_wal() {
    let temp = TempLog::new();
    let store = temp.open().await;
    let bus = FileBus::open(&temp.path).await.unwrap();
    let mut listener = bus.listen().await.unwrap();
    for _ in 0..20 {
        stored(&store, "flight-UA1545", 10).await;
    }
    hint(&mut listener).await.unwrap();
    let truncate = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let left: (i64, i64) =
        temp.sql().query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), truncate).unwrap();
    assert_eq!(left, (0, 0), "no connection reads an old snapshot");
}

#[tokio::test]
async fn listeners_end_with_the_bus() {
    let temp = TempLog::new();
    let _store = temp.open().await;
    let bus = FileBus::open(&temp.path).await.unwrap();
    let mut listener = bus.listen().await.unwrap();
    let clone = bus.clone();
    bus.close().await;
    assert_eq!(hint(&mut listener).await, None);
    assert_eq!(clone.publish(Hint::anything()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(clone.listen().await.unwrap_err().kind(), ErrorKind::Unavailable);

    let bus = FileBus::open(&temp.path).await.unwrap();
    let mut listener = bus.listen().await.unwrap();
    drop(bus);
    assert_eq!(hint(&mut listener).await, None);
}
