//! Loads a server with many clients, and measures it beside raw TCP that writes the
//! same bytes, because absolute figures depend mostly on the machine.
//!
//! ```console
//! $ cargo bench -p server --bench load -- --transport raw,sse,websocket --connections 1000 --rate 200 --seconds 30
//! $ cargo bench -p server --bench load -- --filter 'stream=flight-{n}' --streams 1000 --rate 1000
//! $ cargo bench -p server --bench load -- --url http://127.0.0.1:3000/api --rate 50
//! ```
//!
//! `{n}` in a filter is the number of the connection, `{n/10}` a tenth of it. A server
//! that already runs has to accept appends, unless the rate is 0.
//!
//! `--churn` replaces connections while events are appended, and the memory of the server is
//! printed for each quarter of the time: a soak shows whether it grows.
//!
//! ```console
//! $ cargo bench -p server --bench load -- --store rusqlite:soak.db --churn 20 --rate 50 --seconds 1200
//! ```
//!
//! `--table` measures what the delivery should reach, row by row:
//!
//! ```console
//! $ cargo bench -p server --bench load -- --table --json table.json
//! $ cargo bench -p server --bench load -- --table --quick --rows burst,light
//! $ cargo bench -p server --bench load -- --table --rows idle --idle 20000
//! ```
//!
//! The server and the clients are separate processes. The clients only count what they
//! read, and look at times only where latencies are measured. Where a row has a
//! baseline, the two take turns, since the speed of the machine drifts: a figure is the
//! median of the rounds, and a ratio the median of the ratios within the rounds.
//!
//! `redis-server` and `nats-server` take part in the bursts if they are in the `PATH`.
//! They send the same bytes to the same number of clients, and store nothing.

#[path = "../../src/args.rs"]
#[allow(dead_code, reason = "the rest is for the server")]
mod args;
mod arguments;
mod client_process;
mod clients;
mod commands;
mod events;
mod http_publisher;
#[path = "../../src/log.rs"]
#[allow(dead_code, reason = "the rest is for the server")]
mod log;
mod median;
mod number;
mod open_files;
mod peer;
mod progress;
mod publisher;
mod raw;
mod report;
mod request;
mod resumed;
mod rows;
mod run;
mod run_result;
mod scale;
mod server;
mod server_process;
mod source;
mod stats;
#[path = "../support/mod.rs"]
mod support;
mod transport;
mod usage;
mod worker;

use std::fs;

use arguments::{Arguments, Command};
use clap::Parser;
use serde_json::{Map, Value};
use support::Result;

/// The allocator of the example server, for all measurements.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Result<()> {
    open_files::raise();
    let arguments = Arguments::parse();
    match &arguments.command {
        Some(Command::Serve(serve)) => server_process::run(serve),
        Some(Command::Clients(clients)) => client_process::run(clients),
        None => {
            // One thread, which leaves the other processors to the server and the clients.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(measure(&arguments))
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let mut results = Map::new();
    if arguments.is_test() || !arguments.table {
        results.insert("runs".to_owned(), run::run(arguments).await?);
    }
    if arguments.is_test() || arguments.table {
        results.insert("table".to_owned(), rows::run(arguments).await?);
    }
    if let Some(file) = &arguments.json {
        fs::write(file, Value::Object(results).to_string())?;
    }
    Ok(())
}
