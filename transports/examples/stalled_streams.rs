//! Measures, from another process, the cost of clients that follow a server and
//! never read, and their effect on other clients.
//!
//! ```console
//! $ cargo build --release -p server
//! $ cargo run --release -p downlink-transports --example stalled_streams -- --streams 500 --bytes 20000 target/release/server
//! ```

mod support;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::{Arguments, Result, Server, raise_files, read_until};

/// More bytes than the server and the kernel buffer for a client that does not
/// read.
const BURST: usize = 4_000_000;

/// The write timeout of the server, and a margin.
const STALL_WAIT: Duration = Duration::from_secs(25);

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
    println!("events of {bytes} bytes; from an append to its reader, without other clients:");
    print_times(alone);
    let stalled = (0..count).map(|_| server.request("/feed")).collect::<Result<Vec<_>>>()?;
    let times = burst(&server, &mut reader, bytes)?;
    println!("the same while {count} others do not read:");
    print_times(times);
    println!("resident memory before they connected: {} KiB", before >> 10);
    // The second burst has doubled the log.
    let log = before.saturating_sub(empty);
    println!("resident memory with them, without the log: {}", server.growth(before + log, count)?);
    std::thread::sleep(STALL_WAIT);
    println!(
        "resident memory after they were disconnected, without the log: {}",
        server.growth(before + log, count)?
    );
    println!(
        "clients that were disconnected: {}",
        stalled.iter().filter(|stream| is_closed(stream)).count()
    );
    print_times(burst(&server, &mut reader, bytes)?);
    Ok(())
}

/// Appends events one by one, and returns how long each took to reach the reader.
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

fn print_times(mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!("  median {:.0?}, p99 {:.0?}, longest {:.0?}", at(50), at(99), at(100));
}

/// Whether the server has closed the connection.
fn is_closed(stream: &TcpStream) -> bool {
    stream.take_error().is_ok_and(|error| error.is_some())
}
