//! Measures how long a new stream waits for its first bytes while others keep the
//! server's store busy.
//!
//! ```console
//! $ cargo bench -p server --bench first_byte
//! $ cargo bench -p server --bench first_byte -- --clients 50 --events 50000 --server /tmp/before/server
//! ```
//!
//! The server is a separate process on a new SQLite file; `--server` compares an
//! earlier build. Each kind of client repeats one request without a pause. Beside
//! them streams are opened one after the other, and the table has the time to their
//! first byte and to `ready`, in milliseconds.

mod load;
mod probe;
mod server;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use load::Load;
use server::Server;
use support::Result;

#[derive(Debug, Parser)]
struct Arguments {
    /// The clients of each kind.
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// The events in the log.
    #[arg(long, default_value_t = 200_000)]
    events: usize,
    /// The streams that are opened beside each kind of client.
    #[arg(long, default_value_t = 100)]
    streams: usize,
    /// The program to measure.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_server"))]
    server: PathBuf,
    /// Open a few streams beside a few clients, as a test.
    #[arg(long)]
    test: bool,
    /// Accepted because cargo passes it.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = Arguments::parse();
    if arguments.test {
        (arguments.clients, arguments.events, arguments.streams) = (5, 2_000, 5);
    }
    let server = Server::start(&arguments.server, arguments.events).await?;
    println!("{} events, {} clients of each kind", arguments.events, arguments.clients);
    println!(
        "{:<28}{:>12}{:>12}{:>12}{:>12}",
        "beside", "byte p50", "byte p99", "ready p50", "p99"
    );
    for kind in Load::ALL {
        let clients = Load::start(kind, server.authority(), arguments.clients);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let times = probe::open_streams(server.authority(), arguments.streams).await?;
        drop(clients);
        print!("{:<28}", kind.name());
        for time in [times.byte(50), times.byte(99), times.ready(50), times.ready(99)] {
            print!("{:>12.1}", time.as_secs_f64() * 1_000.0);
        }
        println!();
        // What the clients have left behind ends meanwhile.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}
