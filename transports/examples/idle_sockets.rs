//! Measures, from another process, the cost of idle sockets, and how long the server
//! takes to end with all of them open.
//!
//! ```console
//! $ cargo build --release -p server
//! $ cargo run --release -p downlink-transports --example idle_sockets -- --sockets 1000 target/release/server
//! ```

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::{Arguments, Result, Server, raise_files, read_until};

/// A masked close frame: 1000, under a mask of zeros.
const CLOSE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];

fn main() -> Result<()> {
    let arguments = Arguments::parse()?;
    let count: usize = arguments.number("--sockets", 1_000)?;
    raise_files()?;
    let mut server = Server::start(&arguments.server, &["--listen", "127.0.0.1:0"])?;

    let first = open(&server)?;
    let before = server.resident()?;
    let began = Instant::now();
    let sockets = (0..count).map(|_| open(&server)).collect::<Result<Vec<_>>>()?;
    println!("{count} sockets opened one after another in {:.2?}", began.elapsed());
    println!("resident memory before: {} KiB", before >> 10);
    println!("resident memory with all of them: {}", server.growth(before, count)?);
    std::thread::sleep(Duration::from_secs(16));
    println!("resident memory after a heartbeat: {}", server.growth(before, count)?);

    let closing = std::thread::spawn(move || {
        sockets.into_iter().chain([first]).filter_map(|socket| close(socket).ok()).count()
    });
    let (time, status) = server.interrupt()?;
    println!("from SIGINT to the end of the process: {time:.2?} ({status})");
    let closed = closing.join().map_err(|_| "the reader failed")?;
    println!("sockets that received bye: {closed} of {}", count + 1);
    Ok(())
}

/// Opens a socket with one subscription and reads it until it is live.
fn open(server: &Server) -> Result<TcpStream> {
    let mut stream = server.socket("/feed/ws?after=now")?;
    read_until(&mut stream, b"\"frame\":\"live\"")?;
    Ok(stream)
}

/// Waits for `bye`, answers the close, and waits for the end.
fn close(mut stream: TcpStream) -> Result<()> {
    read_until(&mut stream, b"{\"frame\":\"bye\",\"reason\":\"draining\"")?;
    stream.write_all(&CLOSE)?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}
