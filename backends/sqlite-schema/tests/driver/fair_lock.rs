//! Writers take turns, and none waits forever.

use std::time::Duration;

use downlink::{ErrorKind, EventStore};
use downlink_sqlite_schema::FairLock;

use crate::support::driver::Options;
use crate::support::{TempLog, append, stored};

#[tokio::test]
async fn a_lock_that_is_not_released_is_busy() {
    let temp = TempLog::new();
    let deadline = Duration::from_millis(1);
    let store = Options::new().with_busy_deadline(deadline).open(&temp.path).await.unwrap();
    let lock = FairLock::open(&temp.path).unwrap();
    let guard = lock.try_lock().unwrap().unwrap();
    for _ in 0..3 {
        let error = store.append(append("flight-UA1545", 1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("check whether it hangs"), "{error}");
    }
    // The store keeps its place in the queue.
    while !guard.has_waiters() {
        std::thread::yield_now();
    }
    drop(guard);
    let mut outcome = store.append(append("flight-UA1545", 1)).await;
    while outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::Busy) {
        outcome = store.append(append("flight-UA1545", 1)).await;
    }
    assert_eq!(outcome.unwrap().writes[0].last.get(), 1);
}

#[tokio::test]
async fn the_lock_is_released_after_the_transaction() {
    let temp = TempLog::new();
    let store = temp.open().await;
    stored(&store, "flight-UA1545", 1).await;
    let lock = FairLock::open(&temp.path).unwrap();
    assert!(lock.try_lock().unwrap().is_some());
}

#[tokio::test]
async fn two_stores_of_one_process_take_turns_too() {
    let temp = TempLog::new();
    let (left, right) = (temp.open().await, temp.open().await);
    let appends =
        (0..50).flat_map(|_| [&left, &right]).map(|store| store.append(append("flight-UA1545", 1)));
    let mut versions: Vec<_> = futures::future::try_join_all(appends)
        .await
        .unwrap()
        .iter()
        .map(|appended| appended.writes[0].last.get())
        .collect();
    versions.sort_unstable();
    assert!(versions.into_iter().eq(1..=100));
}
