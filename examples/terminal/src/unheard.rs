//! Runs programs whose output goes nowhere, for their tests.
//!
//! Every program is run twice with all that it can log: with its output on a full
//! disk, and with its output in a pipe whose reader is gone.
#![expect(clippy::missing_panics_doc, reason = "a test that fails panics")]

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);

/// The outputs that nothing can be written to, as far as the system has them.
fn outputs() -> Vec<(&'static str, Stdio, Stdio)> {
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

/// Fails unless the server of this command, which listens at the address that it
/// is given, answers a GET of `path` with 200, and goes on.
pub fn serves(command: impl Fn(SocketAddr) -> Command, path: &str) {
    for (output, out, error) in outputs() {
        let address = free();
        let mut server = Ended(start(command(address), out, error));
        for _ in 0..3 {
            let answer = server.ask(address, path);
            assert!(answer.starts_with("HTTP/1.1 200"), "with {output}: {answer}");
        }
        let ended = server.0.try_wait().expect("the state of the program");
        assert!(ended.is_none(), "with {output} it has ended: {ended:?}");
    }
}

/// Fails unless the program of this command ends by itself, with this code.
pub fn runs(command: impl Fn() -> Command, code: i32) {
    for (output, out, error) in outputs() {
        let mut program = Ended(start(command(), out, error));
        let ended = program.0.wait().expect("the end of the program");
        assert_eq!(ended.code(), Some(code), "with {output}: {ended}");
    }
}

/// An address that was free a moment ago: the program cannot tell its own.
fn free() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

/// A program that ends with the test at the latest.
struct Ended(Child);

impl Ended {
    /// Asks until there is an answer.
    fn ask(&mut self, address: SocketAddr, path: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match get(address, path) {
                Ok(answer) if !answer.is_empty() => return answer,
                outcome => assert!(Instant::now() < deadline, "no answer: {outcome:?}"),
            }
            let ended = self.0.try_wait().expect("the state of the program");
            assert!(ended.is_none(), "it has ended: {ended:?}");
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

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
