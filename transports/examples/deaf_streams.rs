//! Measures, from another process, how much clients that subscribe to everything
//! and never read cost a server, and whether they affect other clients.
//!
//! ```console
//! $ cargo build --release -p server
//! $ cargo run --release -p downlink-transports --example deaf_streams -- --streams 500 --bytes 20000 target/release/server
//! ```

mod support;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::{Arguments, Result, Server, raise_files, read_until};

/// More bytes than the server and the kernel buffer for a client that does not read.
const BURST: usize = 4_000_000;

/// How long the server waits for a write, plus the time for the stall to begin.
const STALL: Duration = Duration::from_secs(25);

fn main() -> Result<()> {
    let arguments = Arguments::parse()?;
    let count: usize = arguments.number("--streams", 500)?;
    let bytes: usize = arguments.number("--bytes", 20_000)?;
    raise_files()?;
    let server = Server::start(&arguments.server, &["--listen", "127.0.0.1:0", "--allow-append"])?;

    let mut reader = server.open()?;
    let empty = server.resident()?;
    let alone = burst(&server, &mut reader, bytes)?;
    let before = server.resident()?;
    println!("events of {bytes} bytes; from an append to its reader, with nobody else:");
    tell(alone);
    let deaf = (0..count).map(|_| server.ask("/feed")).collect::<Result<Vec<_>>>()?;
    let beside = burst(&server, &mut reader, bytes)?;
    println!("the same while {count} others do not read:");
    tell(beside);
    println!("resident before them: {} KiB", before >> 10);
    // The same was appended again.
    let log = before.saturating_sub(empty);
    println!("resident with them, less the log: {}", server.growth(before + log, count)?);
    std::thread::sleep(STALL);
    println!("resident after they were cut, less the log: {}", server.growth(before + log, count)?);
    println!("of them were cut: {}", deaf.iter().filter(|stream| is_cut(stream)).count());
    tell(burst(&server, &mut reader, bytes)?);
    Ok(())
}

/// Appends one event after the other, and measures how long each takes to a reader.
fn burst(server: &Server, reader: &mut TcpStream, bytes: usize) -> Result<Vec<Duration>> {
    let data = format!("\"{}\"", "x".repeat(bytes));
    let one = || {
        let began = Instant::now();
        server.append(&data)?;
        read_until(reader, b"\"tags\":[]}\n\n")?;
        Ok(began.elapsed())
    };
    std::iter::repeat_with(one).take((BURST / bytes.max(1)).max(2)).collect()
}

fn tell(mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!("  median {:.0?}, p99 {:.0?}, longest {:.0?}", at(50), at(99), at(100));
}

/// Whether the connection no longer accepts data.
fn is_cut(stream: &TcpStream) -> bool {
    stream.take_error().is_ok_and(|error| error.is_some())
}
