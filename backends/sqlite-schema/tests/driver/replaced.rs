//! A file that is replaced, restored or removed under a running store.

use std::fs;
use std::path::PathBuf;

use downlink::{ErrorKind, EventStore, Read, Version};

use crate::support::driver::{Store, verify};
use crate::support::{TempLog, all, append, copy, stored};

/// A running store with five events, and a backup with three of them.
async fn with_backup(temp: &TempLog) -> (Store, PathBuf) {
    let backup = temp.folder.path().join("backup.db");
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 3).await;
    store.close().await;
    copy(&temp.path, &backup);
    let store = temp.open().await;
    stored(&store, "flight-AA1141", 1).await;
    stored(&store, "flight-UA1545", 1).await;
    all(&store).await;
    (store, backup)
}

fn remove_sidecars(temp: &TempLog) {
    for end in ["-wal", "-shm"] {
        fs::remove_file(temp.with_end(end)).unwrap();
    }
}

#[tokio::test]
async fn a_restored_backup_is_noticed_under_a_running_store() {
    let temp = TempLog::new();
    let (store, backup) = with_backup(&temp).await;
    let head = store.head().await.unwrap();
    fs::rename(backup, &temp.path).unwrap();
    remove_sidecars(&temp);

    let resume = || store.read_log(Read::log().with_after(head));
    assert_eq!(resume().await.unwrap_err().kind(), ErrorKind::CursorAhead);
    // The same positions and keys now belong to other events and names.
    let next = stored(&store, "flight-DL1234", 2).await;
    assert_eq!(next.last(), head.position());
    assert_eq!(resume().await.unwrap_err().kind(), ErrorKind::HistoryChanged);
    let version = stored(&store, "flight-UA1545", 1).await.writes[0].last;
    assert_eq!(version, Version::new(4).unwrap());
    let names: Vec<_> =
        all(&store).await.events.iter().map(|event| event.stream().to_string()).collect();
    let (ua, dl) = ("flight-UA1545", "flight-DL1234");
    assert_eq!(names, [ua, ua, ua, dl, dl, ua]);
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_backup_next_to_the_old_wal_is_refused_until_the_wal_is_removed() {
    let temp = TempLog::new();
    let (store, backup) = with_backup(&temp).await;
    fs::rename(backup, &temp.path).unwrap();
    for error in [
        store.append(append("s", 1)).await.unwrap_err(),
        store.read_log(Read::log()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("flights.db-wal"), "{error}");
    }
    remove_sidecars(&temp);
    assert_eq!(all(&store).await.events.len(), 3);
    stored(&store, "s", 1).await;
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_file_that_is_gone_is_reported() {
    let temp = TempLog::new();
    let (store, backup) = with_backup(&temp).await;
    fs::remove_file(&temp.path).unwrap();
    for error in [
        store.append(append("s", 1)).await.unwrap_err(),
        store.read_log(Read::log()).await.unwrap_err(),
        store.head().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("flights.db"), "{error}");
    }
    assert!(!temp.path.exists(), "no empty log is created in its place");
    assert_eq!(verify(&temp.path).await.unwrap_err().kind(), ErrorKind::Unavailable);
    remove_sidecars(&temp);
    fs::rename(backup, &temp.path).unwrap();
    assert_eq!(all(&store).await.events.len(), 3);
}

/// The log is rewritten like `.restore` in SQLite's shell does it: through SQLite,
/// in the same file.
#[tokio::test]
async fn a_log_that_was_rewritten_in_place_is_noticed() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 2).await;
    let old = all(&store).await.head;
    let other = TempLog::new();
    let source = other.open().await;
    stored(&source, "flight-AA1141", 1).await;
    stored(&source, "flight-DL1234", 1).await;
    source.close().await;
    let tables = [
        "downlink_streams",
        "downlink_types",
        "downlink_events",
        "downlink_stream_heads",
        "downlink_head",
    ];
    let sql = temp.sql();
    sql.execute("ATTACH ?1 AS other", [other.path.to_str().unwrap()]).unwrap();
    let replace = |table: &&str| {
        format!("DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM other.{table};")
    };
    let script: String = tables.iter().map(replace).collect();
    sql.execute_batch(&format!("BEGIN IMMEDIATE; {script} COMMIT")).unwrap();

    // The file, the generation and the position are the same; only the last event differs.
    assert_eq!(
        store.read_log(Read::log().with_after(old)).await.unwrap_err().kind(),
        ErrorKind::HistoryChanged
    );
    let version = stored(&store, "flight-UA1545", 1).await.writes[0].last;
    assert_eq!(version, Version::FIRST);
    let names: Vec<_> =
        all(&store).await.events.iter().map(|event| event.stream().to_string()).collect();
    assert_eq!(names, ["flight-AA1141", "flight-DL1234", "flight-UA1545"]);
    assert!(store.verify().await.unwrap().is_sound());
}
