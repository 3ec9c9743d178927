//! Measures appends in process, over HTTP, and from there to a subscriber over SSE,
//! alone and beside clients that make the store search the log, and compares them with
//! an earlier build and with Durable Streams. All take short turns, because the speed of
//! the disk drifts.
//!
//! ```console
//! $ cargo bench -p server --bench append_path
//! $ cargo bench -p server --bench append_path -- --stores rusqlite --rounds 3
//! ```
//!
//! To compare with an earlier build, keep that build:
//!
//! ```console
//! $ cargo bench -p server --bench append_path -- --keep /tmp/before
//! $ cargo bench -p server --bench append_path -- --before /tmp/before --json after.json
//! ```
//!
//! Each append waits for several threads to wake up, so on a busy machine the
//! figures mostly measure the scheduler. On Linux, a kept build can run with
//! real-time priority:
//!
//! ```console
//! $ sudo chrt -f 1 /tmp/before/append_path --seconds 0.6
//! ```
//!
//! `cargo install durable-streams` installs `durable-streams-server`, which is
//! measured if it is in the `PATH`. Its appends are durable in the same sense: an
//! fdatasync, shared by concurrent appends, precedes the response.
//!
//! Each server is a separate process with a new file. It is warmed up until its
//! write-ahead log is overwritten and not extended, and killed after the measurement.
//!
//! The table has the median, minimum and maximum of the rounds. A ratio is the median
//! of the ratios within each round: to the earlier build, and to the baseline. That is
//! for one client a bare server, which runs a plain transaction on the thread of its
//! connection; for 64 clients and for events Durable Streams; in process a plain loop of
//! transactions.

mod appender_process;
mod appenders;
mod arguments;
mod bare;
mod clients;
mod counting_store;
#[path = "../../../../backends/rusqlite/benches/raw/mod.rs"]
#[allow(dead_code, reason = "the rest is for the benchmark of the store")]
mod raw;
mod readers;
mod results;
mod rounds;
mod server;
mod subject;
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::fs;

use arguments::{Arguments, Command};
use clap::Parser;
use rounds::Rounds;
use support::Result;

/// The allocator of the example server, so that all measurements use the same.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match &arguments.command {
        Some(Command::Appenders(appenders)) => return appenders.run(),
        Some(Command::Bare(bare)) => return bare.run(),
        None => {}
    }
    if let Some(folder) = &arguments.keep {
        return arguments.keep_in(folder);
    }
    // One thread, which leaves the other processors to the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let results = runtime.block_on(Rounds::new(&arguments)?.run())?;
    table::print(&results);
    if let Some(path) = &arguments.json {
        fs::write(path, results.to_json().to_string())?;
    }
    Ok(())
}
