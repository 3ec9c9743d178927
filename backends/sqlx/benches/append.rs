//! The throughput of appends through the store, compared with a pool of sqlx and
//! with `downlink-rusqlite` in the same run on the same disk. Only the ratio is
//! comparable between machines.
//!
//! ```console
//! $ cargo bench -p downlink-sqlx --bench append
//! $ cargo bench -p downlink-sqlx --bench append -- --events 300000 --seconds 2
//! ```

mod by_hand;
#[path = "../../rusqlite/benches/measure/mod.rs"]
#[allow(dead_code, reason = "the other benchmark needs the rest")]
mod measure;
#[path = "../../rusqlite/benches/raw/mod.rs"]
#[allow(dead_code, reason = "the other benchmark needs the rest")]
mod raw;

use std::path::Path;

use measure::{ROUNDS, Rate, Sizes, appenders, fdatasync, print, replay, stream_pages};
use raw::{Linked, Random};

/// The allocator of the example server, for everything that is compared.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const APPENDERS: u64 = 64;
const CONNECTIONS: u32 = 8;

fn main() {
    let sizes = Sizes::from_arguments();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("a folder on the disk of the target");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");

    println!("fdatasync of 4 KiB: {:.0?} (median)", fdatasync(folder.path()));
    println!("{:<58} {:>10} {:>6} {:>9} {:>9}", "", "events/s", "ratio", "median", "longest");
    runtime.block_on(empty(folder.path(), &sizes));
    runtime.block_on(full(folder.path(), &sizes));
}

/// Small logs: the gain of group commit, and the cost of the driver.
async fn empty(folder: &Path, sizes: &Sizes) {
    let (here, there, pooled) =
        (folder.join("sqlx.db"), folder.join("rusqlite.db"), folder.join("pooled.db"));
    let store = downlink_sqlx::open(&here).await.expect("a store");
    let sibling = downlink_rusqlite::open(&there).await.expect("a store");
    downlink_sqlx::open(&pooled).await.expect("a store").close().await;
    let pool = by_hand::pool(&pooled, CONNECTIONS).await;
    println!("empty logs, 1,000 streams");
    for count in [APPENDERS, 8, 1] {
        let (mut by_store, mut by_sibling, mut by_pool) =
            (Rate::default(), Rate::default(), Rate::default());
        for _ in 0..ROUNDS {
            by_store.add(appenders(&store, 1_000, count, sizes.round).await);
            by_sibling.add(appenders(&sibling, 1_000, count, sizes.round).await);
            by_pool.add(by_hand::appenders(&pool, count, sizes.round).await);
        }
        print(&format!("{count} appenders, the store"), &by_store, &by_store);
        print(&format!("{count} appenders, downlink-rusqlite"), &by_store, &by_sibling);
        print(&format!("{count} appenders, a pool of 8, a transaction each"), &by_store, &by_pool);
    }
    let report = store.verify().await.expect("a report");
    assert!(report.is_sound(), "{report}");
    store.close().await;
    sibling.close().await;
}

/// Long logs.
async fn full(folder: &Path, sizes: &Sizes) {
    let (here, there) = (folder.join("long.db"), folder.join("copied.db"));
    downlink_sqlx::open(&here).await.expect("a store").close().await;
    Linked::open(&here).fill(sizes.events, sizes.streams, &mut Random::new(1));
    // A separate file, because a store drops its cache when another connection appends.
    std::fs::copy(&here, &there).expect("a copy");
    let store = downlink_sqlx::open(&here).await.expect("a store");
    let sibling = downlink_rusqlite::open(&there).await.expect("a store");
    println!("{} events in {} streams", sizes.events, sizes.streams);
    let (mut by_store, mut by_sibling) = (Rate::default(), Rate::default());
    for _ in 0..ROUNDS {
        by_store.add(appenders(&store, sizes.streams, APPENDERS, sizes.round).await);
        by_sibling.add(appenders(&sibling, sizes.streams, APPENDERS, sizes.round).await);
    }
    print("64 appenders, the store", &by_store, &by_store);
    print("64 appenders, downlink-rusqlite", &by_store, &by_sibling);
    let events = sizes.events.min(1_000_000);
    let (one, other) = (replay(&store, events).await, replay(&sibling, events).await);
    print("replay in pages of 500, the store", &one, &one);
    print("replay in pages of 500, downlink-rusqlite", &one, &other);
    let (one, other) = (stream_pages(&store, sizes).await, stream_pages(&sibling, sizes).await);
    print("random pages of 10 of one stream, the store", &one, &one);
    print("random pages of 10 of one stream, downlink-rusqlite", &one, &other);
}
