//! Opening, reopening and closing a store.

use std::fs;

use downlink::{Cursor, ErrorKind, EventStore, Expected, Read, Version};

use crate::support::driver::{self, Options};
use crate::support::{TempLog, all, append, chain, stored};

#[tokio::test]
async fn events_are_kept_after_reopening() {
    let temp = TempLog::new();
    let store = temp.open().await;
    let first = stored(&store, "flight-UA1545", 3).await;
    let before = all(&store).await;
    store.close().await;

    let store = temp.open().await;
    assert_eq!(all(&store).await, before);
    let next = stored(&store, "flight-UA1545", 1).await;
    assert_eq!(next.writes[0].first, first.writes[0].last.next());
    assert!(next.first > first.last());
    assert!(store.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_repeat_is_known_after_reopening() {
    let temp = TempLog::new();
    let store = temp.open().await;
    let offered = append("flight-UA1545", 2);
    let first = store.append(offered.clone()).await.unwrap();
    store.close().await;
    let again = temp.open().await.append(offered).await.unwrap();
    assert!(again.duplicate);
    assert_eq!((again.first, again.cursor), (first.first, first.cursor));
}

#[tokio::test]
async fn an_empty_log_has_no_head() {
    let temp = TempLog::new();
    assert_eq!(temp.open().await.head().await.unwrap(), Cursor::START);
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_left_alone() {
    let temp = TempLog::new();
    let text = "a letter to my aunt, long enough for a header of a hundred bytes".repeat(20);
    fs::write(&temp.path, &text).unwrap();
    let error = driver::open(&temp.path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", chain(&error));
    assert_eq!(fs::read_to_string(&temp.path).unwrap(), text);
}

#[tokio::test]
async fn a_database_of_something_else_is_left_alone() {
    for mark in
        ["CREATE TABLE aunts (name)", "PRAGMA application_id = 7", "PRAGMA user_version = 3"]
    {
        let temp = TempLog::new();
        temp.sql().execute_batch(mark).unwrap();
        let before = fs::read(&temp.path).unwrap();
        let error = driver::open(&temp.path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{mark}: {error}");
        assert_eq!(fs::read(&temp.path).unwrap(), before, "{mark}");
    }
}

#[tokio::test]
async fn a_log_in_memory_is_refused() {
    for path in [":memory:", ""] {
        let error = driver::open(path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("MemoryStore"), "{error}");
    }
}

#[tokio::test]
async fn two_handles_on_one_file_see_each_other() {
    let temp = TempLog::new();
    let (one, other) = (temp.open().await, temp.open().await);
    for round in 1..=4_u64 {
        for store in [&one, &other] {
            stored(store, "flight-UA1545", 1).await;
        }
        let last = Version::new(2 * round).unwrap();
        let page =
            other.read_stream(Read::stream("flight-UA1545".try_into().unwrap())).await.unwrap();
        assert_eq!(page.stream.unwrap().version, last);
        assert_eq!(one.head().await.unwrap(), other.head().await.unwrap());
    }
    assert!(one.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn two_stores_that_open_an_empty_file_at_once_share_it() {
    for _ in 0..16 {
        let temp = TempLog::new();
        let (one, other) = tokio::join!(driver::open(&temp.path), driver::open(&temp.path));
        stored(&one.unwrap(), "a", 1).await;
        assert_eq!(all(&other.unwrap()).await.events.len(), 1);
    }
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let temp = TempLog::new();
    let store = temp.open().await;
    let clone = store.clone();
    store.close().await;
    store.close().await;
    for kind in [
        clone.append(append("s", 1)).await.unwrap_err().kind(),
        clone.read_log(Read::log()).await.unwrap_err().kind(),
        clone.head().await.unwrap_err().kind(),
    ] {
        assert_eq!(kind, ErrorKind::Unavailable);
    }
    // All connections are closed: the last one has removed the WAL.
    assert!(!temp.with_end("-wal").exists());
}

#[tokio::test]
async fn queued_appends_are_stored_after_the_last_handle_is_dropped() {
    let temp = TempLog::new();
    let store = temp.open().await;
    let appends: Vec<_> = (0..50).map(|_| append("flight-UA1545", 1)).collect();
    for offered in &appends {
        let mut waiting = store.append(offered.clone());
        assert!(futures::poll!(&mut waiting).is_pending());
    }
    let closing = store.clone();
    drop(store);
    closing.close().await;
    let store = temp.open().await;
    assert_eq!(all(&store).await.events.len(), 50);
    for offered in appends {
        assert!(store.append(offered).await.unwrap().duplicate);
    }
}

#[tokio::test]
async fn a_store_with_minimal_options_works() {
    let temp = TempLog::new();
    let options = Options::new()
        .with_readers(0)
        .with_queue(0)
        .with_group(0)
        .with_cache(0)
        .with_queue_bytes(0);
    let store = options.open(&temp.path).await.unwrap();
    let offered = downlink::Append::to(
        "s",
        Expected::NoStream,
        [crate::support::event("A"), crate::support::event("B")],
    )
    .unwrap();
    store.append(offered).await.unwrap();
    assert_eq!(all(&store).await.events.len(), 2);
}
