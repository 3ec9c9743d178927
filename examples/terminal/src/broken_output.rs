//! Tests programs whose output cannot be written.
//!
//! Each program runs twice, with the most verbose log: with its output on a full
//! disk, and in a pipe whose reader is closed.
#![expect(clippy::missing_panics_doc, reason = "a failing test panics")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);

/// The broken outputs that the system offers.
fn broken_outputs() -> Vec<(&'static str, Stdio, Stdio)> {
    let mut outputs = Vec::new();
    let full = || File::options().write(true).open("/dev/full").ok();
    if let (Some(out), Some(error)) = (full(), full()) {
        outputs.push(("a full disk", out.into(), error.into()));
    }
    let closed = || io::pipe().expect("a pipe").1;
    outputs.push(("a closed pipe", closed().into(), closed().into()));
    outputs
}

fn start(mut command: Command, out: Stdio, error: Stdio) -> Child {
    command.env("RUST_LOG", "trace").stdin(Stdio::null()).stdout(out).stderr(error);
    command.spawn().expect("the program starts")
}

/// Fails unless the server answers GET requests for `path` with 200 and keeps
/// running. The command gets the address to listen on.
pub fn assert_serves(command: impl Fn(SocketAddr) -> Command, path: &str) {
    for (output, out, error) in broken_outputs() {
        let address = free_address();
        let mut server = Guard(start(command(address), out, error));
        for _ in 0..3 {
            let answer = server.get(address, path);
            assert!(answer.starts_with("HTTP/1.1 200"), "with {output}: {answer}");
        }
        let ended = server.0.try_wait().expect("the state of the program");
        assert!(ended.is_none(), "with {output} the server ended: {ended:?}");
    }
}

/// Fails unless the program exits with this code.
pub fn assert_exits(command: impl Fn() -> Command, code: i32) {
    for (output, out, error) in broken_outputs() {
        let mut program = Guard(start(command(), out, error));
        let ended = program.0.wait().expect("the exit status");
        assert_eq!(ended.code(), Some(code), "with {output}: {ended}");
    }
}

/// An address with a port that was free a moment ago: the program cannot print the
/// one it gets for port 0.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

/// Kills the program when dropped.
struct Guard(Child);

impl Guard {
    /// Repeats a GET request until it is answered.
    fn get(&mut self, address: SocketAddr, path: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match get(address, path) {
                Ok(answer) if !answer.is_empty() => return answer,
                outcome => assert!(Instant::now() < deadline, "no response: {outcome:?}"),
            }
            let ended = self.0.try_wait().expect("the state of the program");
            assert!(ended.is_none(), "the server ended: {ended:?}");
            thread::sleep(PAUSE);
        }
    }
}

fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
