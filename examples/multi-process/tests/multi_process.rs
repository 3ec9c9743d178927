//! Tests the program from outside: processes that share only a file.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "panics are failures")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use downlink::transport::{Endpoint, Frame};
use downlink::{Event, Subscribe};
use downlink_transports::client::{Client, Follow};
use futures::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_multi-process");
const DEADLINE: Duration = Duration::from_mins(1);
/// A poll interval so long that only the bus can have woken the server.
const NEVER: &str = "86400";

struct Program {
    process: Child,
    out: BufReader<ChildStdout>,
}

impl Program {
    fn start(folder: &TempDir, arguments: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg("--db").arg(folder.path().join("departures.db"));
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        Self { process, out }
    }

    /// Follows its feed from the start.
    fn follow(&mut self) -> Follow {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        let (_, url) = line.split_once("http://").unwrap_or_else(|| panic!("no URL in {line:?}"));
        let url = format!("http://{}/api", url.trim_end().trim_end_matches('/'));
        Client::new(Endpoint::new(url)).follow(Subscribe::new()).unwrap()
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.process), Signal::INT).unwrap();
    }

    /// Waits for its end, and returns whether it succeeded.
    fn wait(mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < DEADLINE {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.success();
            }
            std::thread::yield_now();
        }
        panic!("the program did not end")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn live(follow: &mut Follow) {
    let live =
        async { while !matches!(follow.next().await.unwrap().unwrap(), Frame::Live { .. }) {} };
    tokio::time::timeout(DEADLINE, live).await.expect("the feed to become live");
}

async fn departures(follow: &mut Follow, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    let all = async {
        while events.len() < count {
            if let Frame::Event { event, .. } = follow.next().await.unwrap().unwrap() {
                events.push(event);
            }
        }
    };
    tokio::time::timeout(DEADLINE, all).await.expect("all departures");
    events
}

#[tokio::test]
async fn events_of_other_processes_are_served_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--poll-interval", NEVER];
    let mut server = Program::start(&folder, &serve);
    let mut follow = server.follow();
    live(&mut follow).await;
    let append = ["append", "--every", "0", "--count", "25"];
    let appenders = [Program::start(&folder, &append), Program::start(&folder, &append)];
    let events = departures(&mut follow, 50).await;
    let ids: HashSet<_> = events.iter().map(Event::id).collect();
    assert_eq!(ids.len(), 50, "every departure must arrive once");
    let payloads: HashSet<_> = events.iter().map(process_of).collect();
    assert_eq!(payloads.len(), 2, "both processes must have appended");
    assert!(appenders.into_iter().all(Program::wait));
    server.interrupt();
    assert!(server.wait(), "the server must end successfully on Ctrl-C");
}

fn process_of(event: &Event) -> String {
    let payload = String::from_utf8(event.payload().to_vec()).unwrap();
    payload.split_once("\"process\":").expect("the process that appended").1.to_owned()
}

#[tokio::test]
async fn ctrl_c_ends_both_processes() {
    let folder = tempfile::tempdir().unwrap();
    let both = ["--listen", "127.0.0.1:0", "--poll-interval", NEVER];
    let mut program = Program::start(&folder, &both);
    let mut follow = program.follow();
    departures(&mut follow, 3).await;
    program.interrupt();
    // Both processes have the pipe open; it closes with the last of them.
    let mut rest = String::new();
    program.out.read_to_string(&mut rest).unwrap();
    assert!(program.wait(), "the program must end successfully on Ctrl-C");
}
