use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_server");

/// What takes longer hangs.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// A running server, killed when this is dropped.
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) authority: String,
}

impl Server {
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(options);
        Self::run(command)
    }

    pub(crate) fn run(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (_, url) = line.split_once("http://").unwrap_or_else(|| panic!("no URL in {line:?}"));
        let authority = url.trim_end().trim_end_matches('/').to_owned();
        Self { process, authority }
    }

    pub(crate) fn interrupt(&self) {
        kill_process(Pid::from_child(&self.process), Signal::INT).unwrap();
    }

    /// Waits for its end, and returns whether it succeeded.
    pub(crate) fn wait(mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < DEADLINE {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.success();
            }
            std::thread::yield_now();
        }
        panic!("the server did not end")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
