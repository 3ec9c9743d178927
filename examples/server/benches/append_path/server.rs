use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::Result;
use crate::subject::Store;
use crate::support::connection::Connection;
use crate::support::protocol::Protocol;
use crate::support::warm_up::warm_up;

/// The number of streams.
const STREAMS: u64 = 64;

const DEADLINE: Duration = Duration::from_mins(1);

/// A server in a separate process with a new folder. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    /// Host and port.
    pub(crate) authority: String,
    pub(crate) protocol: Protocol,
    // Kept open, so that the server can print.
    _output: BufReader<ChildStdout>,
    _folder: TempDir,
}

impl Server {
    /// Starts the example server with a new file and full durability.
    pub(crate) async fn start(program: &Path, store: Store, parent: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(parent)?;
        let file = folder.path().join("log.db");
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--allow-append", "--durability", "full"]);
        command.arg("--store").arg(format!("{store}:{}", file.display()));
        Self::run(command, Protocol::Downlink, folder).await
    }

    /// Starts the [bare](crate::bare::Bare) server of this program.
    pub(crate) async fn start_bare(program: &Path, warm_up: bool, parent: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(parent)?;
        let mut command = Command::new(program);
        command.arg("bare").arg("--file").arg(folder.path().join("log.db"));
        if warm_up {
            command.arg("--warm-up");
        }
        Self::run(command, Protocol::Downlink, folder).await
    }

    pub(crate) async fn start_durable_streams(program: &Path, parent: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(parent)?;
        // It does not print the port that it gets for 0.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(program);
        command.args(["--durability", "wal", "--host", "127.0.0.1"]);
        command.args(["--port", &port.to_string()]).arg("--data-dir").arg(folder.path());
        let server = Self::run(command, Protocol::DurableStreams, folder).await?;
        let mut connection = server.connect().await?;
        for number in 0..STREAMS {
            connection.send("PUT", &stream(number), "").await?;
        }
        Ok(server)
    }

    async fn run(mut command: Command, protocol: Protocol, folder: TempDir) -> Result<Self> {
        let name = command.as_std().get_program().to_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let cannot_start = |error| format!("cannot start {}: {error}", name.display());
        let mut process = command.spawn().map_err(cannot_start)?;
        let mut output =
            BufReader::new(process.stdout.take().ok_or("the server has no standard output")?);
        let mut line = String::new();
        timeout(DEADLINE, output.read_line(&mut line)).await??;
        let (_, rest) =
            line.split_once("http://").ok_or("the server printed no URL in its first line")?;
        let authority = rest.split(['/', ' ', '\n']).next().unwrap_or_default().to_owned();
        Ok(Self { process, authority, protocol, _output: output, _folder: folder })
    }

    pub(crate) async fn connect(&self) -> Result<Connection> {
        Connection::open(&self.authority, self.protocol).await
    }

    pub(crate) async fn warm_up(&self) -> Result<()> {
        warm_up(&mut self.connect().await?, stream).await
    }

    /// The CPU time of the process so far, if the system reports it.
    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()?)).ok()?;
        // The name in parentheses can contain spaces.
        let (_, fields) = text.rsplit_once(')')?;
        let mut fields = fields.split_whitespace().skip(11).map(str::parse::<u64>);
        let ticks = fields.next()?.ok()? + fields.next()?.ok()?;
        // Always hundredths of a second, whatever the kernel's tick rate.
        Some(Duration::from_millis(ticks * 10))
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        Ok(timeout(DEADLINE, self.process.kill()).await??)
    }
}

/// The name of one of the streams.
pub(crate) fn stream(number: u64) -> String {
    format!("flight-{:07}", number % STREAMS)
}
