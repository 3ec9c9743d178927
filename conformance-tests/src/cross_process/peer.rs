use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::log_user::LogUser;
use super::peer_command::PeerCommand;

/// Begins the lines that are answers; the harness of the test prints others.
const ANSWER: &str = "answer:";
const REFUSAL: &str = "refusal:";

/// Somebody else who has the log open.
pub(super) enum Peer {
    /// In this process.
    Handle(Box<LogUser>),
    /// In another.
    Process(Box<Process>),
}

/// Another process, killed when it is dropped.
pub(super) struct Process {
    _child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    pub(super) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the program of this test can be started again");
        let orders = child.stdin.take().expect("it was piped");
        let answers = BufReader::new(child.stdout.take().expect("it was piped")).lines();
        Self::Process(Box::new(Process { _child: child, orders, answers }))
    }

    pub(super) fn who(&self) -> &'static str {
        match self {
            Self::Handle(_) => "a second handle",
            Self::Process(_) => "another process",
        }
    }

    /// Has it do something: what it answers, or the error that it was told.
    pub(super) async fn tell(&mut self, order: PeerCommand) -> Result<Vec<String>, String> {
        match self {
            Self::Handle(actor) => actor.obey(order).await.map_err(|error| error.to_string()),
            Self::Process(process) => process.tell(order).await,
        }
    }
}

impl Process {
    async fn tell(&mut self, order: PeerCommand) -> Result<Vec<String>, String> {
        let line = format!("{order}\n");
        self.orders.write_all(line.as_bytes()).await.expect("the other process takes orders");
        loop {
            let line = self.answers.next_line().await.expect("the other process answers");
            let line = line.expect("the other process ended: see above what it says");
            if let Some(answer) = line.strip_prefix(ANSWER) {
                return Ok(answer.split_whitespace().map(ToOwned::to_owned).collect());
            }
            if let Some(refusal) = line.strip_prefix(REFUSAL) {
                return Err(refusal.to_owned());
            }
        }
    }
}

/// The other end: obeys until nobody gives orders any more.
pub(super) async fn obey(mut actor: LogUser) {
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    let mut answers = tokio::io::stdout();
    while let Ok(Some(line)) = orders.next_line().await {
        let order = line.parse().expect("an order");
        let answer = match actor.obey(order).await {
            Ok(words) => format!("\n{ANSWER}{}\n", words.join(" ")),
            Err(error) => format!("\n{REFUSAL}{}\n", error.to_string().replace('\n', " ")),
        };
        if answers.write_all(answer.as_bytes()).await.is_err() || answers.flush().await.is_err() {
            return;
        }
    }
}
