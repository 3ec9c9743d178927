//! Measures how long a server takes to end with many clients of all transports, and
//! verifies that each of them continues with the next process without a gap.
//!
//! ```console
//! $ cargo build --release -p server
//! $ cargo run --release -p downlink-transports --example drain -- --clients 1000 target/release/server
//! ```

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use downlink::transport::{Endpoint, Frame};
use downlink::{After, Subscribe};
use downlink_transports::client::{Client, TransportKind};
use futures::StreamExt;
use support::{Arguments, Result, Server, raise_files};
use tokio::task::JoinSet;

const TRANSPORTS: [TransportKind; 3] =
    [TransportKind::Sse, TransportKind::WebSocket, TransportKind::LongPoll];

/// How many events are appended to each of the two processes.
const EVENTS: usize = 200;

fn main() -> Result<()> {
    let arguments = Arguments::parse()?;
    raise_files()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(&arguments))
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let count: usize = arguments.number("--clients", 1_000)?;
    let folder = std::env::temp_dir().join(format!("downlink-drain-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let store = format!("rusqlite:{}", folder.join("flights.db").display());
    let start = |listen: &str| {
        let options = ["--listen", listen, "--store", &store, "--allow-append"];
        Server::start(&arguments.server, &options)
    };
    let mut server = start("127.0.0.1:0")?;
    let authority = server.authority.clone();

    let (ready, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for n in 0..count {
        let transport = TRANSPORTS[n % TRANSPORTS.len()];
        let client =
            Client::new(Endpoint::new(format!("http://{authority}"))).with_transport(transport);
        clients.spawn(follow(client, Arc::clone(&ready), Arc::clone(&seen)));
    }
    until("every client to be live", || ready.load(Ordering::Relaxed) == count).await?;
    for leg in 0..EVENTS {
        server.append(&leg.to_string())?;
    }
    let (time, status) = server.interrupt()?;
    println!("{count} clients of three transports: from SIGINT to the end: {time:.2?} ({status})");
    println!("  events received by then: {}", seen.load(Ordering::Relaxed));

    let began = Instant::now();
    let next = start(&authority)?;
    for leg in EVENTS..2 * EVENTS {
        next.append(&leg.to_string())?;
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    println!(
        "  all of them received every event, once and in order, after {:.2?}",
        began.elapsed()
    );
    drop(next);
    Ok(std::fs::remove_dir_all(folder)?)
}

/// Follows through the end of one server and the start of the next. Fails if an
/// event is missing, repeated or out of order.
async fn follow(client: Client, ready: Arc<AtomicUsize>, seen: Arc<AtomicUsize>) -> Result<()> {
    let mut frames = client.follow(Subscribe::new().with_after(After::Start))?;
    let mut next = 0;
    let mut is_counted = false;
    while next < 2 * EVENTS {
        let frame = tokio::time::timeout(Duration::from_mins(1), frames.next()).await?;
        match frame.ok_or("the stream ended")?? {
            Frame::Event { event, .. } => {
                let leg: usize = std::str::from_utf8(event.payload())?.parse()?;
                if leg != next {
                    return Err(format!("received event {leg} instead of {next}").into());
                }
                next += 1;
                seen.fetch_add(1, Ordering::Relaxed);
            }
            _ if !is_counted => {
                is_counted = true;
                ready.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
    Ok(())
}

async fn until(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        if Instant::now() > deadline {
            return Err(format!("timed out waiting for {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
