//! Measures, from another process, the cost of idle streams, and how long the server
//! takes to end with all of them open.
//!
//! ```console
//! $ cargo build --release -p server
//! $ cargo run --release -p downlink-transports --example idle_streams -- --streams 1000 target/release/server
//! ```

mod support;

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::{Arguments, Result, Server, raise_files};

fn main() -> Result<()> {
    let arguments = Arguments::parse()?;
    let count: usize = arguments.number("--streams", 1_000)?;
    raise_files()?;
    let mut server = Server::start(&arguments.server, &["--listen", "127.0.0.1:0"])?;

    let first = server.open()?;
    let before = server.resident()?;
    let began = Instant::now();
    let streams = (0..count).map(|_| server.open()).collect::<Result<Vec<_>>>()?;
    println!("{count} streams opened one after another in {:.2?}", began.elapsed());
    println!("resident memory before: {} KiB", before >> 10);
    println!("resident memory with all of them: {}", server.growth(before, count)?);
    std::thread::sleep(Duration::from_secs(16));
    println!("resident memory after a heartbeat: {}", server.growth(before, count)?);

    let (time, status) = server.interrupt()?;
    println!("from SIGINT to the end of the process: {time:.2?} ({status})");
    let ended = streams.into_iter().chain([first]).filter_map(|stream| ends_with_bye(stream).ok());
    println!("streams that received bye: {} of {}", ended.filter(|bye| *bye).count(), count + 1);
    Ok(())
}

fn ends_with_bye(mut stream: TcpStream) -> Result<bool> {
    let mut rest = String::new();
    stream.read_to_string(&mut rest)?;
    Ok(rest.contains("event: feed.bye\n") && rest.ends_with("\n\n"))
}
