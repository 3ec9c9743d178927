use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::Result;
use crate::appenders::Appends;

/// [`Appenders`](crate::appenders::Appenders) in a separate process, of this build or
/// another, with a new file. Killed when dropped.
#[derive(Debug)]
pub(crate) struct AppenderProcess {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _folder: TempDir,
    pub(crate) appends: Appends,
}

impl AppenderProcess {
    /// Starts the command with a new file in this folder.
    pub(crate) fn start(mut command: Command, parent: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(parent)?;
        command.arg("--file").arg(folder.path().join("log.db"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let name = command.as_std().get_program().to_owned();
        let cannot_start = |error| format!("cannot start {}: {error}", name.display());
        let mut process = command.spawn().map_err(cannot_start)?;
        let input = process.stdin.take().ok_or("the process has no standard input")?;
        let output =
            BufReader::new(process.stdout.take().ok_or("the process has no standard output")?);
        Ok(Self { process, input, output, _folder: folder, appends: Appends::default() })
    }

    /// Lets it append for this time, and returns the results.
    pub(crate) async fn append(&mut self, time: Duration) -> Result<Appends> {
        self.input.write_all(format!("{}\n", time.as_secs_f64()).as_bytes()).await?;
        let mut line = String::new();
        self.output.read_line(&mut line).await?;
        line.parse()
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }
}
