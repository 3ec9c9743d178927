//! How much a backup slows appends down: rounds of 64 appenders during a backup,
//! alternating with rounds without one, on one disk.
//!
//! ```console
//! $ cargo bench -p downlink-rusqlite --bench backup
//! $ cargo bench -p downlink-rusqlite --bench backup -- --events 300000 --seconds 2
//! ```

#[allow(dead_code, reason = "each benchmark uses a part")]
mod measure;
#[allow(dead_code, reason = "each benchmark uses a part")]
mod raw;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use downlink_rusqlite::RusqliteStore;
use measure::{ROUNDS, Rate, Sizes, appenders, fdatasync, print};
use raw::{Linked, Random};

/// The allocator of the example server.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const APPENDERS: u64 = 64;

fn main() {
    let sizes = Sizes::from_arguments();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("a folder on the disk of the target");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    println!("fdatasync of 4 KiB: {:.0?} (median)", fdatasync(folder.path()));
    println!("{:<58} {:>10} {:>6} {:>9} {:>9}", "", "events/s", "ratio", "median", "longest");
    runtime.block_on(compare(folder.path(), &sizes));
}

async fn compare(folder: &Path, sizes: &Sizes) {
    let path = folder.join("flights.db");
    downlink_rusqlite::open(&path).await.expect("a store").close().await;
    Linked::open(&path).fill(sizes.events, sizes.streams, &mut Random::new(1));
    let store = downlink_rusqlite::open(&path).await.expect("a store");
    let (mut alone, mut during, mut took) = (Rate::default(), Rate::default(), Duration::ZERO);
    for _ in 0..ROUNDS {
        alone.add(appenders(&store, sizes.streams, APPENDERS, sizes.round).await);
        let (rate, time) = during_backup(&store, &folder.join("copy.db"), sizes).await;
        during.add(rate);
        took += time;
    }
    println!("{} events in {} streams", sizes.events, sizes.streams);
    print("64 appenders, alone", &alone, &alone);
    print("64 appenders, during a backup and its verification", &alone, &during);
    let bytes = fs::metadata(&path).expect("the log").len();
    println!("a backup of {} MB took {:.1?}", bytes >> 20, took / ROUNDS);
    store.close().await;
}

/// Rounds for as long as the backup takes.
async fn during_backup(store: &RusqliteStore, copy: &Path, sizes: &Sizes) -> (Rate, Duration) {
    let began = Instant::now();
    let making = tokio::spawn({
        let (store, copy) = (store.clone(), copy.to_owned());
        async move { store.backup(copy).await }
    });
    let mut rate = Rate::default();
    while !making.is_finished() {
        rate.add(appenders(store, sizes.streams, APPENDERS, sizes.round).await);
    }
    let backup = making.await.expect("no panic").expect("a backup");
    fs::remove_file(backup.path).expect("the copy");
    (rate, began.elapsed())
}
