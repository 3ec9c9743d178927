//! Helpers of the measuring programs, which run the example server as a separate
//! process.
#![allow(dead_code, reason = "each program uses a part")]

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The command line: options with a number each, and the path of the server.
pub(crate) struct Arguments {
    options: Vec<String>,
    pub(crate) server: String,
}

impl Arguments {
    pub(crate) fn parse() -> Result<Self> {
        let mut options: Vec<String> = std::env::args().skip(1).collect();
        let server = options.pop().filter(|path| !path.starts_with('-'));
        let server = server.ok_or("the last argument is the path of the example server")?;
        Ok(Self { options, server })
    }

    pub(crate) fn number<T: FromStr>(&self, option: &str, default: T) -> Result<T>
    where
        Box<dyn Error + Send + Sync>: From<T::Err>,
    {
        let at = self.options.iter().position(|given| given == option);
        let value = at.map(|at| self.options.get(at + 1).ok_or("an option has no value"));
        value.transpose()?.map_or(Ok(default), |value| Ok(value.parse()?))
    }
}

/// Raises the limit of open files, because every connection takes one.
pub(crate) fn raise_files() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// The example server. Killed when dropped, unless it has ended.
pub(crate) struct Server {
    process: Child,
    /// Host and port.
    pub(crate) authority: String,
}

impl Server {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Result<Self> {
        let mut process = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let (_, rest) = line.split_once("http://").ok_or("no URL in the first line")?;
        let authority = rest.trim_end().trim_end_matches('/').to_owned();
        Ok(Self { process, authority })
    }

    /// The resident memory in bytes, as the system reports it.
    pub(crate) fn resident(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// The largest resident memory so far, in bytes.
    pub(crate) fn peak(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes: u64 = line.ok_or(name)?.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes << 10)
    }

    /// The memory now, and what each of `count` connections has added.
    pub(crate) fn growth(&self, before: u64, count: usize) -> Result<String> {
        let now = self.resident()?;
        let each = now.saturating_sub(before) / u64::try_from(count)?.max(1);
        Ok(format!("{} KiB, {each} bytes each", now >> 10))
    }

    /// Sends SIGINT, and waits until the process has ended.
    pub(crate) fn interrupt(&mut self) -> Result<(Duration, ExitStatus)> {
        let began = Instant::now();
        kill_process(Pid::from_child(&self.process), Signal::INT)?;
        let status = self.process.wait()?;
        Ok((began.elapsed(), status))
    }

    /// Opens a stream and reads it until it is live.
    pub(crate) fn open(&self) -> Result<TcpStream> {
        let mut stream = self.request("/feed?after=now")?;
        read_until(&mut stream, b"feed.live\n")?;
        Ok(stream)
    }

    /// Requests a stream and does not read it.
    pub(crate) fn request(&self, target: &str) -> Result<TcpStream> {
        let authority = &self.authority;
        let mut stream = TcpStream::connect(authority)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {authority}\r\nAccept: text/event-stream\r\n\
             User-Agent: measure\r\nAccept-Encoding: gzip, br\r\nAccept-Language: en\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    }

    /// Opens a socket, and reads the end of the handshake.
    pub(crate) fn socket(&self, target: &str) -> Result<TcpStream> {
        let authority = &self.authority;
        let mut stream = TcpStream::connect(authority)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUser-Agent: measure\r\n\
             Accept-Encoding: gzip, br\r\nAccept-Language: en\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut response = Vec::new();
        while !response.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            response.extend(byte);
        }
        Ok(stream)
    }

    /// Appends one event with this JSON.
    pub(crate) fn append(&self, data: &str) -> Result<()> {
        let mut stream = TcpStream::connect(&self.authority)?;
        let body = format!(r#"{{"type":"FlightDelayed","data":{data}}}"#);
        let request = format!(
            "POST /streams/flight-UA1545 HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.authority,
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        if response.starts_with("HTTP/1.1 201") { Ok(()) } else { Err(response.into()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Usually it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads until these bytes have been received.
pub(crate) fn read_until(stream: &mut TcpStream, end: &[u8]) -> Result<()> {
    let (mut text, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        match stream.read(&mut chunk)? {
            0 => return Err(String::from_utf8_lossy(&text).into()),
            read => text.extend_from_slice(&chunk[..read]),
        }
        if text.windows(end.len()).any(|part| part == end) {
            return Ok(());
        }
    }
}
