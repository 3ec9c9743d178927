use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::Result;
use crate::arguments::Arguments;
use crate::server::TransportKind;

/// All clients of one transport: a process.
pub(crate) struct Clients {
    process: Child,
    lines: mpsc::Receiver<String>,
}

/// The time from the append to the client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latencies {
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    pub(crate) longest: Duration,
}

impl Clients {
    pub(crate) async fn start(
        transport: TransportKind,
        address: SocketAddr,
        arguments: &Arguments,
    ) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        for (name, value) in [
            ("--read", transport.name().to_owned()),
            ("--address", address.to_string()),
            ("--connections", arguments.connections.to_string()),
            ("--events", arguments.events.to_string()),
            ("--rounds", arguments.rounds.to_string()),
            ("--light", arguments.light.to_string()),
        ] {
            command.args([name, &value]);
        }
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(process.stdout.take().ok_or("no output")?);
        let (sender, lines) = mpsc::channel(16);
        std::thread::spawn(move || {
            let mut lines = output.lines().map_while(std::result::Result::ok);
            lines.try_for_each(|line| sender.blocking_send(line))
        });
        let mut clients = Self { process, lines };
        clients.expect("live").await?;
        Ok(clients)
    }

    /// Waits until every client has every event of a burst.
    pub(crate) async fn round(&mut self) -> Result<()> {
        self.expect("round").await
    }

    /// Waits until every client has every event, and returns how long it took.
    pub(crate) async fn latencies(&mut self) -> Result<Latencies> {
        let line = self.line().await?;
        let mut numbers = line.split(' ').map(|number| number.parse().map(Duration::from_nanos));
        let mut next = || numbers.next().ok_or("too few numbers");
        Ok(Latencies { median: next()??, p99: next()??, longest: next()?? })
    }

    async fn expect(&mut self, expected: &str) -> Result<()> {
        let line = self.line().await?;
        if line == expected { Ok(()) } else { Err(format!("{line} instead of {expected}").into()) }
    }

    async fn line(&mut self) -> Result<String> {
        let line = tokio::time::timeout(Duration::from_mins(1), self.lines.recv()).await?;
        line.ok_or_else(|| "the clients have ended".into())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // Ended already, or ended now: either is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
