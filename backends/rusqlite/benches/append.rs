//! The throughput of appends through the store, compared with handwritten code in
//! the same run on the same disk. Only the ratio is comparable between machines.
//!
//! ```console
//! $ cargo bench -p downlink-rusqlite --bench append
//! $ cargo bench -p downlink-rusqlite --bench append -- --events 300000 --seconds 2
//! ```

mod measure;
mod raw;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use measure::{ROUNDS, Rate, Sizes, appenders, batches, fdatasync, print, replay, stream_pages};
use raw::{Indexed, Linked, Random};

/// The allocator of the example server, for everything that is compared.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const APPENDERS: u64 = 64;
const CONNECTIONS: u64 = 8;

fn main() {
    let sizes = Sizes::from_arguments();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("a folder on the disk of the target");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");

    println!("fdatasync of 4 KiB: {:.0?} (median)", fdatasync(folder.path()));
    println!("{:<58} {:>10} {:>6} {:>9} {:>9}", "", "events/s", "ratio", "median", "longest");
    runtime.block_on(empty(folder.path(), &sizes));
    runtime.block_on(full(folder.path(), &sizes));
}

/// Small logs: the gain of group commit.
async fn empty(folder: &Path, sizes: &Sizes) {
    let (grouped, pooled, looped) =
        (folder.join("grouped.db"), folder.join("pooled.db"), folder.join("looped.db"));
    let store = downlink_rusqlite::open(&grouped).await.expect("a store");
    for path in [&pooled, &looped] {
        downlink_rusqlite::open(path).await.expect("a store").close().await;
    }
    let mut raw = Linked::open(&looped);
    let (mut by_store, mut by_pool, mut by_loop) =
        (Rate::default(), Rate::default(), Rate::default());
    for _ in 0..ROUNDS {
        by_store.add(appenders(&store, 1_000, APPENDERS, sizes.round).await);
        by_pool.add(pool(&pooled, sizes.round));
        by_loop.add(batches(sizes.round, |random| raw.append(64, 1_000, random)));
    }
    println!("empty logs, 1,000 streams");
    print("64 appenders, the store", &by_store, &by_store);
    print("64 appenders, a pool of 8, a transaction each", &by_store, &by_pool);
    print("transactions of 64 by a plain loop, same tables", &by_store, &by_loop);
    let (mut alone, mut by_hand) = (Rate::default(), Rate::default());
    for _ in 0..ROUNDS {
        alone.add(appenders(&store, 1_000, 1, sizes.round).await);
        by_hand.add(batches(sizes.round, |random| raw.append(1, 1_000, random)));
    }
    print("1 appender, the store", &alone, &alone);
    print("transactions of 1 by a plain loop, same tables", &alone, &by_hand);
    let report = store.verify().await.expect("a report");
    assert!(report.is_sound(), "{report}");
    store.close().await;
}

/// Long logs: the gain of the links.
async fn full(folder: &Path, sizes: &Sizes) {
    let (linked, copied, indexed) =
        (folder.join("linked.db"), folder.join("copied.db"), folder.join("indexed.db"));
    downlink_rusqlite::open(&linked).await.expect("a store").close().await;
    let mut random = Random::new(1);
    Linked::open(&linked).fill(sizes.events, sizes.streams, &mut random);
    // A separate file, because a store drops its cache when another connection appends.
    std::fs::copy(&linked, &copied).expect("a copy");
    let mut raw = Linked::open(&copied);
    let mut other = Indexed::create(&indexed);
    other.fill(sizes.events, sizes.streams, &mut random);
    let store = downlink_rusqlite::open(&linked).await.expect("a store");
    let (mut by_store, mut by_loop, mut by_index) =
        (Rate::default(), Rate::default(), Rate::default());
    for _ in 0..ROUNDS {
        by_store.add(appenders(&store, sizes.streams, APPENDERS, sizes.round).await);
        by_loop.add(batches(sizes.round, |random| raw.append(64, sizes.streams, random)));
        by_index.add(batches(sizes.round, |random| other.append(64, sizes.streams, random)));
    }
    println!("{} events in {} streams", sizes.events, sizes.streams);
    print("64 appenders, the store", &by_store, &by_store);
    print("transactions of 64 by a plain loop, same tables", &by_store, &by_loop);
    print("the same with UNIQUE (stream, version) and no links", &by_store, &by_index);
    let replay = replay(&store, sizes.events.min(1_000_000)).await;
    print("replay in pages of 500", &replay, &replay);
    let pages = stream_pages(&store, sizes).await;
    print("random pages of 10 of one stream", &pages, &pages);
}

/// The same number of appenders with a pool of connections: each waits for a free one.
fn pool(path: &Path, round: Duration) -> Rate {
    let began = Instant::now();
    let free: Vec<_> = (0..CONNECTIONS).map(|_| Linked::open(path)).collect();
    let pool = (Mutex::new(free), std::sync::Condvar::new());
    let done = AtomicBool::new(false);
    let all = Arc::new(Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for task in 0..APPENDERS {
            let (pool, done, all) = (&pool, &done, Arc::clone(&all));
            scope.spawn(move || {
                let (mut random, mut waits) = (Random::new(task + 1), Vec::new());
                while !done.load(Ordering::Relaxed) && began.elapsed() < round {
                    let asked = Instant::now();
                    let free = pool.0.lock().expect("no panic");
                    let mut free =
                        pool.1.wait_while(free, |free| free.is_empty()).expect("no panic");
                    let mut connection = free.pop().expect("a free one");
                    drop(free);
                    connection.append(1, 1_000, &mut random);
                    pool.0.lock().expect("no panic").push(connection);
                    pool.1.notify_one();
                    waits.push(asked.elapsed());
                }
                done.store(true, Ordering::Relaxed);
                all.lock().expect("no panic").extend(waits);
            });
        }
    });
    let waits = std::mem::take(&mut *all.lock().expect("no panic"));
    Rate { events: u64::try_from(waits.len()).expect("a few"), time: began.elapsed(), waits }
}
