//! Measures, from another process, how much memory the server holds for clients that
//! send half of something, or read slowly: bodies that stall, messages without their
//! last fragment, and streams of history.
//!
//! ```console
//! $ cargo build --release -p server
//! $ cargo run --release -p downlink-transports --example held_memory -- --clients 500 target/release/server
//! ```

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use support::{Arguments, Result, Server, raise_files, read_until};

const MIB: usize = 1 << 20;

/// The largest body of an append, and how much of it is sent.
const BODY: usize = 16 * MIB;
const SENT: usize = 15 * MIB;

/// A part of a message, which may have 256 KiB.
const FRAGMENT: usize = 250 << 10;

/// How much history there is for slow readers.
const HISTORY: usize = 32 * MIB;

/// For how many seconds the clients read a kibibyte each.
const SECONDS: u64 = 10;

/// A client that has sent what it sends.
struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    is_closed: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse()?;
    let count: usize = arguments.number("--clients", 500)?;
    raise_files()?;
    println!("| {count} clients | before | peak | after {SECONDS} s | refused | closed |");
    println!("|---|---|---|---|---|---|");
    let nothing = |_: &Server| Ok(());
    measure("bodies of 16 MiB that stall at 15", &arguments, count, nothing, stalled_body)?;
    measure("messages that stall at 250 KiB", &arguments, count, nothing, fragment)?;
    measure("streams that read 1 KiB/s", &arguments, count, history, stream)?;
    measure("sockets that read 1 KiB/s", &arguments, count, history, socket)
}

/// Opens the clients on a server of their own, and prints a line of the table.
fn measure(
    what: &str,
    arguments: &Arguments,
    count: usize,
    prepare: impl Fn(&Server) -> Result<()>,
    open: impl Fn(&Server) -> Result<TcpStream>,
) -> Result<()> {
    let server = Server::start(&arguments.server, &["--listen", "127.0.0.1:0", "--allow-append"])?;
    prepare(&server)?;
    let before = server.resident()?;
    let mut clients = Vec::new();
    for _ in 0..count {
        let stream = open(&server)?;
        stream.set_nonblocking(true)?;
        clients.push(Client { stream, received: Vec::new(), is_closed: false });
    }
    for _ in 0..SECONDS {
        clients.iter_mut().for_each(Client::read);
        thread::sleep(Duration::from_secs(1));
    }
    let [before, peak, after] =
        [before, server.peak()?, server.resident()?].map(|bytes| bytes >> 20);
    let refused = clients.iter().filter(|client| client.is_refused()).count();
    let closed = clients.iter().filter(|client| client.is_closed).count();
    println!("| {what} | {before} MiB | {peak} MiB | {after} MiB | {refused} | {closed} |");
    Ok(())
}

impl Client {
    /// Reads a kibibyte, if there is one.
    fn read(&mut self) {
        let mut buf = [0; 1 << 10];
        match self.stream.read(&mut buf) {
            Ok(read @ 1..) => self.received.extend_from_slice(&buf[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => self.is_closed = true,
        }
    }

    fn is_refused(&self) -> bool {
        let is = |part: &[u8]| self.received.windows(part.len()).any(|window| window == part);
        is(b"HTTP/1.1 503 ") || is(b"\"code\":\"overloaded\"")
    }
}

/// A body that is sent in part, unless it is refused before.
fn stalled_body(server: &Server) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(&server.authority)?;
    write!(
        stream,
        "POST /streams/flight-UA1545 HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {BODY}\r\n\r\n[",
        server.authority
    )?;
    // Blanks, because what cannot be accepted is refused at once.
    let chunk = vec![b' '; MIB];
    for _ in 0..SENT / MIB {
        stream.write_all(&chunk)?;
    }
    Ok(stream)
}

/// The first fragment of a message, under a mask of zeros.
fn fragment(server: &Server) -> Result<TcpStream> {
    let mut stream = server.socket("/feed/ws")?;
    let mut frame = vec![0x01, 0xff];
    frame.extend(u64::try_from(FRAGMENT)?.to_be_bytes());
    frame.extend([0; 4]);
    frame.resize(frame.len() + FRAGMENT, b'x');
    stream.write_all(&frame)?;
    Ok(stream)
}

fn history(server: &Server) -> Result<()> {
    let data = format!("\"{}\"", "x".repeat(20_000));
    (0..HISTORY / data.len()).try_for_each(|_| server.append(&data))
}

fn stream(server: &Server) -> Result<TcpStream> {
    let mut stream = server.request("/feed?after=start")?;
    read_until(&mut stream, b"feed.ready")?;
    Ok(stream)
}

fn socket(server: &Server) -> Result<TcpStream> {
    let mut stream = server.socket("/feed/ws?after=start")?;
    read_until(&mut stream, b"\"ready\"")?;
    Ok(stream)
}
