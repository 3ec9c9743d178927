//! After a clean stop during any activity of a store, the database file alone is
//! the log.

use std::time::Duration;

use downlink::{EventStore, Hub, Read};
use futures::FutureExt;
use futures::future::join_all;

use crate::support::driver::{self, Bus, BusOptions};
use crate::support::{Tally, TempLog, all, append, ask, copy, stored};

const STOPS: usize = 100;

fn wal_bytes(temp: &TempLog) -> u64 {
    std::fs::metadata(temp.with_end("-wal")).map_or(0, |wal| wal.len())
}

/// Stops a store, its bus and a hub with a projection while reads, queries and
/// appends run. Returns how many events were acknowledged.
async fn stop(temp: &TempLog, is_bus_last: bool) -> usize {
    let store = temp.open().await;
    let pauses = BusOptions::new().with_pauses(Duration::from_millis(1), Duration::from_millis(1));
    let bus = Bus::open_with(&temp.path, pauses).await.unwrap();
    let hub = Hub::builder(store.clone(), bus.clone()).start().await.unwrap();
    let tally = hub.project(Tally(1), store.clone()).start().unwrap();
    tally.wait_live().await.unwrap();
    stored(&store, "s", 3).await;

    let mut running = Vec::new();
    for _ in 0..8 {
        let reads = store.clone();
        running.push(tokio::spawn(async move { drop(reads.read_log(Read::log()).await) }));
        let queries = store.clone();
        let count = |version| format!("SELECT count(*) || '' FROM tally_{version}");
        running.push(tokio::spawn(async move { drop(ask(&queries, &[], count).await) }));
    }
    // Shared, because one may be complete when it was polled once.
    let late = |_| store.append(append("late", 1)).shared();
    let appends: Vec<_> = (0..4).map(late).collect();
    for append in &appends {
        let _ = futures::poll!(append.clone());
    }
    hub.shutdown().await;
    if is_bus_last {
        store.close().await;
        // The bus still has the file open, so the store did not close the last connection.
        assert_eq!(wal_bytes(temp), 0, "a store that was closed left a WAL");
        bus.close().await;
    } else {
        tokio::join!(store.close(), bus.close());
    }
    let late = join_all(appends).await.into_iter().flatten().count();
    join_all(running).await;
    3 + late
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_stop_leaves_everything_in_the_database() {
    let temp = TempLog::new();
    let (mut expected, alone) = (0, temp.folder.path().join("alone.db"));
    for round in 0..STOPS {
        expected += stop(&temp, round % 2 == 0).await;
        assert_eq!(wal_bytes(&temp), 0, "stop {round} left a WAL");
        // A copy of only the database file has everything.
        copy(&temp.path, &alone);
        let store = driver::open(&alone).await.unwrap();
        let kept = store.head().await.unwrap().position();
        assert_eq!(kept.get(), expected as u64, "stop {round}");
        store.close().await;
    }
    let store = temp.open().await;
    assert!(!all(&store).await.events.is_empty());
    assert!(store.verify().await.unwrap().is_sound());
}

/// As when `main` returns without closing anything: the tasks and threads end by
/// themselves, and the result is the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_dropped_leaves_everything_in_the_database() {
    for _ in 0..10 {
        let temp = TempLog::new();
        let store = temp.open().await;
        stored(&store, "s", 3).await;
        all(&store).await;
        drop(store);
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while wal_bytes(&temp) > 0 {
            assert!(std::time::Instant::now() < deadline, "the WAL remains");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(all(&temp.open().await).await.events.len(), 3);
    }
}
