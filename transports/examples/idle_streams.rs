//! Measures, from another process, how much idle streams cost a server, and how
//! fast it shuts down with all of them open.
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
    println!("resident before: {} KiB", before >> 10);
    println!("resident with all of them: {}", server.growth(before, count)?);
    std::thread::sleep(Duration::from_secs(16));
    println!("resident after a heartbeat: {}", server.growth(before, count)?);

    let (time, status) = server.interrupt()?;
    println!("from SIGINT to the end of the process: {time:.2?} ({status})");
    let told = streams.into_iter().chain([first]).filter_map(|stream| said_goodbye(stream).ok());
    println!("streams that were told: {} of {}", told.filter(|told| *told).count(), count + 1);
    Ok(())
}

fn said_goodbye(mut stream: TcpStream) -> Result<bool> {
    let mut rest = String::new();
    stream.read_to_string(&mut rest)?;
    Ok(rest.contains("event: feed.bye\n") && rest.ends_with("0\r\n\r\n"))
}
