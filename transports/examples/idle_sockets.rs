//! Measures, from another process, how much idle sockets cost a server, and how
//! fast it shuts down with all of them open.
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
    println!("resident before: {} KiB", before >> 10);
    println!("resident with all of them: {}", server.growth(before, count)?);
    std::thread::sleep(Duration::from_secs(16));
    println!("resident after a heartbeat: {}", server.growth(before, count)?);

    let told = std::thread::spawn(move || {
        sockets.into_iter().chain([first]).filter_map(|socket| agrees(socket).ok()).count()
    });
    let (time, status) = server.interrupt()?;
    println!("from SIGINT to the end of the process: {time:.2?} ({status})");
    let told = told.join().map_err(|_| "the reader failed")?;
    println!("sockets that were told: {told} of {}", count + 1);
    Ok(())
}

/// Opens a socket with one subscription and reads it until it is live.
fn open(server: &Server) -> Result<TcpStream> {
    let authority = &server.authority;
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    let request = format!(
        "GET /feed/ws?after=now HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUser-Agent: measure\r\n\
         Accept-Encoding: gzip, br\r\nAccept-Language: en\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    read_until(&mut stream, b"\"frame\":\"live\"")?;
    Ok(stream)
}

/// Waits for the close frame, answers it, and waits for the end.
fn agrees(mut stream: TcpStream) -> Result<()> {
    read_until(&mut stream, b"{\"frame\":\"bye\",\"reason\":\"draining\"")?;
    stream.write_all(&CLOSE)?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}
