//! The throughput of one process while another appends to the same file without a
//! pause, with 64 appenders each.
//!
//! ```console
//! $ cargo bench -p downlink-rusqlite --bench turns
//! ```

#[allow(dead_code, reason = "each benchmark uses a part")]
mod measure;
#[allow(dead_code, reason = "each benchmark uses a part")]
mod raw;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use measure::{Rate, Sizes, appenders, fdatasync, print};

/// With this argument the program runs as the other process.
const OTHER: &str = "--other";

const APPENDERS: u64 = 64;
const STREAMS: u64 = 1_000;

fn main() {
    let sizes = Sizes::from_arguments();
    let time = sizes.round * measure::ROUNDS;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == OTHER) {
        let rate = runtime.block_on(append(Path::new(&arguments[at + 1]), time));
        print("the other process", &rate, &rate);
        return;
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let file = folder.path().join("flights.db");
    println!("fdatasync of 4 KiB: {:.0?} (median)", fdatasync(folder.path()));
    println!("{:<58} {:>10} {:>6} {:>9} {:>9}", "", "events/s", "ratio", "median", "longest");
    let alone = runtime.block_on(append(&file, time));
    print("one process by itself", &alone, &alone);
    let mut other = Command::new(std::env::current_exe().expect("the path of this program"))
        .args(arguments.iter().skip(1))
        .arg(OTHER)
        .arg(&file)
        .stdout(Stdio::inherit())
        .spawn()
        .expect("another process");
    let shared = runtime.block_on(append(&file, time));
    assert!(other.wait().expect("its end").success(), "the other process failed");
    print("one of two processes", &alone, &shared);
}

async fn append(file: &Path, time: Duration) -> Rate {
    let store = downlink_rusqlite::open(file).await.expect("a store");
    let rate = appenders(&store, STREAMS, APPENDERS, time).await;
    store.close().await;
    rate
}
