use std::env;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::Result;

/// The longest time of one command.
const DEADLINE: Duration = Duration::from_mins(10);

/// Another process of this program, which reads commands and prints answers, a line
/// each. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    process: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    pub(crate) fn start(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn()?;
        let input = process.stdin.take().ok_or("the process has no standard input")?;
        let output = process.stdout.take().ok_or("the process has no standard output")?;
        Ok(Self { process, input, lines: BufReader::new(output).lines() })
    }

    /// The id of the process; 0 after its end.
    pub(crate) fn id(&self) -> u32 {
        self.process.id().unwrap_or_default()
    }

    pub(crate) async fn ask(&mut self, command: &str) -> Result<String> {
        self.input.write_all(format!("{command}\n").as_bytes()).await?;
        self.answer().await
    }

    pub(crate) async fn answer(&mut self) -> Result<String> {
        let line = timeout(DEADLINE, self.lines.next_line()).await??;
        line.ok_or_else(|| "a process of the benchmark has ended: see its message above".into())
    }
}
