use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::log_user::LogUser;
use super::peer_command::PeerCommand;

/// Begins the lines that are answers; the test harness prints other lines.
const ANSWER: &str = "answer:";
const ERROR: &str = "error:";

/// Another user of the log.
pub(super) enum Peer {
    /// In this process, through a handle of its own.
    Handle(Box<LogUser>),
    /// In another process.
    Process(Box<Process>),
}

/// Another process, which is killed when this is dropped.
pub(super) struct Process {
    _child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    pub(super) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the program of this test can be started again");
        let commands = child.stdin.take().expect("it was piped");
        let answers = BufReader::new(child.stdout.take().expect("it was piped")).lines();
        Self::Process(Box::new(Process { _child: child, commands, answers }))
    }

    pub(super) fn description(&self) -> &'static str {
        match self {
            Self::Handle(_) => "a second handle",
            Self::Process(_) => "another process",
        }
    }

    /// Sends a command; returns the answer, or the text of the error.
    pub(super) async fn send(&mut self, command: PeerCommand) -> Result<Vec<String>, String> {
        match self {
            Self::Handle(user) => user.execute(command).await.map_err(|error| error.to_string()),
            Self::Process(process) => process.send(command).await,
        }
    }
}

impl Process {
    async fn send(&mut self, command: PeerCommand) -> Result<Vec<String>, String> {
        let line = format!("{command}\n");
        self.commands.write_all(line.as_bytes()).await.expect("the other process takes commands");
        loop {
            let line = self.answers.next_line().await.expect("the other process answers");
            let line = line.expect("the other process ended: its output is above");
            if let Some(answer) = line.strip_prefix(ANSWER) {
                return Ok(answer.split_whitespace().map(ToOwned::to_owned).collect());
            }
            if let Some(error) = line.strip_prefix(ERROR) {
                return Err(error.to_owned());
            }
        }
    }
}

/// Runs in the other process: executes commands until its standard input ends.
pub(super) async fn execute(mut user: LogUser) {
    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    let mut answers = tokio::io::stdout();
    while let Ok(Some(line)) = commands.next_line().await {
        let command = line.parse().expect("an command");
        let answer = match user.execute(command).await {
            Ok(words) => format!("\n{ANSWER}{}\n", words.join(" ")),
            Err(error) => format!("\n{ERROR}{}\n", error.to_string().replace('\n', " ")),
        };
        if answers.write_all(answer.as_bytes()).await.is_err() || answers.flush().await.is_err() {
            return;
        }
    }
}
