//! Measures, from another process, what streams cost a server that have nothing
//! to say, and how soon it ends with all of them open.
//!
//! ```console
//! $ cargo build --release -p server
//! $ cargo run --release -p downlink-transports --example idle_streams -- --streams 1000 target/release/server
//! ```

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let (program, count) = arguments()?;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;

    let mut server =
        Command::new(program).args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn()?;
    let measured = measure(&mut server, count);
    // It has ended, unless something went wrong.
    let _ = server.kill();
    server.wait()?;
    measured
}

fn arguments() -> Result<(String, usize)> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [program] => Ok((program.clone(), 1_000)),
        [option, count, program] if option == "--streams" => Ok((program.clone(), count.parse()?)),
        _ => Err("usage: idle_streams [--streams N] PATH_OF_THE_SERVER".into()),
    }
}

fn measure(server: &mut Child, count: usize) -> Result<()> {
    let authority = authority(server)?;
    let first = open(&authority)?;
    let before = resident(server)?;
    let began = Instant::now();
    let streams = (0..count).map(|_| open(&authority)).collect::<Result<Vec<_>>>()?;
    println!("{count} streams opened one after another in {:.2?}", began.elapsed());
    println!("resident before: {} KiB", before >> 10);
    println!("resident with all of them: {}", growth(server, before, count)?);
    std::thread::sleep(Duration::from_secs(16));
    println!("resident after a heartbeat: {}", growth(server, before, count)?);

    let began = Instant::now();
    kill_process(Pid::from_child(server), Signal::INT)?;
    let status = server.wait()?;
    println!("from SIGINT to the end of the process: {:.2?} ({status})", began.elapsed());
    let told = streams.into_iter().chain([first]).filter_map(|stream| said_goodbye(stream).ok());
    println!("streams that were told: {} of {}", told.filter(|told| *told).count(), count + 1);
    Ok(())
}

/// Host and port, out of the first line that the server prints.
fn authority(server: &mut Child) -> Result<String> {
    let mut line = String::new();
    BufReader::new(server.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let (_, rest) = line.split_once("http://").ok_or("no URL in the first line")?;
    Ok(rest.trim_end().trim_end_matches('/').to_owned())
}

/// Opens a stream and reads it until it is live.
fn open(authority: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    let request = format!(
        "GET /feed HTTP/1.1\r\nHost: {authority}\r\nAccept: text/event-stream\r\n\
         User-Agent: idle_streams\r\nAccept-Encoding: gzip, br\r\nAccept-Language: en\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let (mut text, mut piece) = (Vec::new(), [0; 1_024]);
    while !text.windows(10).any(|part| part == b"feed.live\n") {
        match stream.read(&mut piece)? {
            0 => return Err(String::from_utf8_lossy(&text).into()),
            read => text.extend_from_slice(&piece[..read]),
        }
    }
    Ok(stream)
}

fn said_goodbye(mut stream: TcpStream) -> Result<bool> {
    let mut rest = String::new();
    stream.read_to_string(&mut rest)?;
    Ok(rest.contains("event: feed.bye\n") && rest.ends_with("0\r\n\r\n"))
}

fn growth(server: &Child, before: u64, count: usize) -> Result<String> {
    let now = resident(server)?;
    let each = now.saturating_sub(before) / u64::try_from(count)?.max(1);
    Ok(format!("{} KiB, {each} bytes a stream", now >> 10))
}

/// The resident memory of the server in bytes, as the system counts it.
fn resident(server: &Child) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = line.ok_or("no VmRSS")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes << 10)
}
