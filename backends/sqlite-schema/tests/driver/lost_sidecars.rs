//! A `-wal` or `-shm` file that is removed or replaced under a running store, and
//! a database with a second name.

use std::fs;
use std::os::unix::fs::symlink;

use downlink::{Error, ErrorKind, EventStore, Read};

use crate::support::driver::{self, Bus, BusOptions, Store};
use crate::support::{TempLog, all, append, chain, stored};
use crate::transact::transact;
use crate::transacting::Do;

/// Checks that every call reports that this file was removed.
async fn assert_unavailable(store: &Store, end: &str) {
    for error in [
        store.append(append("s", 1)).await.unwrap_err(),
        store.read_log(Read::log()).await.unwrap_err(),
        store.head().await.unwrap_err(),
        store.append(append("s", 1)).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{end}: {}", chain(&error));
        assert!(error.to_string().contains(&format!("flights.db{end} was removed")), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_after_a_sidecar_was_removed() {
    for end in ["-wal", "-shm"] {
        let temp = TempLog::new();
        let store = temp.open().await;
        stored(&store, "s", 2).await;
        all(&store).await;
        fs::remove_file(temp.with_end(end)).unwrap();
        assert_unavailable(&store, end).await;
        // No other connection had the log open, so SQLite moves the WAL into the database.
        store.close().await;
        let store = temp.open().await;
        assert_eq!(all(&store).await.events.len(), 2);
        assert!(store.verify().await.unwrap().is_sound());
    }
}

/// The file is removed after the transaction has begun and before it is committed.
#[tokio::test]
async fn a_commit_after_a_sidecar_was_removed_has_no_certain_outcome() {
    for end in ["-wal", "-shm"] {
        let temp = TempLog::new();
        let store = temp.open().await;
        temp.sql().execute_batch("CREATE TABLE gates (gate TEXT, flight TEXT)").unwrap();
        stored(&store, "s", 2).await;
        let gone = temp.with_end(end);
        let doing =
            vec![Do::Append(append("s", 1)), Do::Run(Box::new(move || Ok(fs::remove_file(gone)?)))];
        let error = transact(&store, doing).await.unwrap_err();
        let error = error.downcast::<Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{end}: {}", chain(&error));
        assert!(chain(&error).contains(&format!("flights.db{end}")), "{}", chain(&error));
        assert_unavailable(&store, end).await;
        store.close().await;
        assert!(temp.open().await.verify().await.unwrap().is_sound());
    }
}

/// The WAL is removed while an append waits for the lock, before or after the
/// check: the append is not acknowledged in either case.
#[tokio::test]
async fn a_waiting_append_is_not_acknowledged_after_the_wal_was_removed() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "s", 1).await;
    let other = temp.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waiting = store.append(append("s", 1));
    assert!(futures::poll!(&mut waiting).is_pending());
    fs::remove_file(temp.with_end("-wal")).unwrap();
    other.execute_batch("ROLLBACK").unwrap();
    let kind = waiting.await.unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::OutcomeUnknown | ErrorKind::Unavailable), "{kind:?}");
    assert_unavailable(&store, "-wal").await;
}

#[tokio::test]
async fn a_wal_of_another_program_is_left_alone() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "s", 1).await;
    let wal = temp.with_end("-wal");
    fs::rename(&wal, temp.folder.path().join("away")).unwrap();
    fs::write(&wal, "theirs").unwrap();
    assert_unavailable(&store, "-wal").await;
    store.close().await;
    assert_eq!(fs::read_to_string(wal).unwrap(), "theirs");
}

#[tokio::test]
async fn a_log_that_is_restored_after_its_wal_was_removed_is_served() {
    let (temp, other) = (TempLog::new(), TempLog::new());
    let store = other.open().await;
    stored(&store, "restored", 3).await;
    store.close().await;
    let store = temp.open().await;
    stored(&store, "s", 1).await;
    for end in ["-wal", "-shm"] {
        fs::remove_file(temp.with_end(end)).unwrap();
    }
    assert_unavailable(&store, "-wal").await;
    fs::rename(&other.path, &temp.path).unwrap();
    assert_eq!(all(&store).await.events.len(), 3);
    stored(&store, "restored", 1).await;
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_database_with_a_second_name_is_refused() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "s", 1).await;
    let second = temp.folder.path().join("second.db");
    fs::hard_link(&temp.path, &second).unwrap();
    for error in [
        driver::open(&second).await.unwrap_err(),
        driver::open(&temp.path).await.unwrap_err(),
        Bus::open_with(&second, BusOptions::new()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Invalid, "{}", chain(&error));
        assert!(error.to_string().contains("hard links"), "{error}");
    }
    // The running store keeps its WAL, and continues.
    stored(&store, "s", 1).await;
    assert_eq!(all(&store).await.events.len(), 2);
    fs::remove_file(&second).unwrap();
    symlink(&temp.path, &second).unwrap();
    assert_eq!(all(&driver::open(&second).await.unwrap()).await.events.len(), 2);
}
