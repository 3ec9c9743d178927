use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::Result;
use crate::guarded::in_a_group_of_its_own;

/// The script by which the tests of the store start a server, too.
const SCRIPT: &str = include_str!("../../../backends/postgres/tests/postgres/server.sh");

/// What the tests switch off: nothing that was acknowledged may depend on luck here.
const SETTINGS: &str = "-c fsync=on -c full_page_writes=on -c autovacuum=on";

/// What takes longer hangs.
const DEADLINE: Duration = Duration::from_mins(1);

/// A PostgreSQL server in a temporary folder. When this is dropped, or the program ends in
/// whatever way, the script stops the server and removes the folder.
#[derive(Debug)]
pub(crate) struct Postgres {
    script: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    folder: PathBuf,
}

/// How the server ends, before it is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// By `kill -9` of its first process.
    Kill,
    /// As by `pg_ctl restart -m immediate`.
    Immediate,
}

impl Postgres {
    /// Starts a server whose programs are in this folder.
    pub(crate) async fn start(programs: &Path) -> Result<Self> {
        let mut command = shell();
        command.args(["-c", SCRIPT, "server.sh", "plain", SETTINGS]);
        command.env("DOWNLINK_POSTGRES_BIN", programs);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = in_a_group_of_its_own(&mut command).spawn()?;
        let (commands, output) = script.stdin.take().zip(script.stdout.take()).expect("pipes");
        let answers = BufReader::new(output).lines();
        let mut postgres = Self { script, commands, answers, folder: PathBuf::new() };
        postgres.folder = postgres.answer("PostgreSQL did not start").await?.into();
        Ok(postgres)
    }

    /// The folder of its files, and of those of all others.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn url(&self) -> OsString {
        format!("postgres:///postgres?user=downlink&host={}", self.folder.display()).into()
    }

    /// Ends the server in this way, and returns when it serves again.
    pub(crate) async fn crash(&mut self, how: Crash) -> Result<()> {
        let command = match how {
            Crash::Kill => "kill\n",
            Crash::Immediate => "restart\n",
        };
        self.commands.write_all(command.as_bytes()).await?;
        self.answer("PostgreSQL did not start again").await?;
        Ok(())
    }

    /// Stops the server and removes the folder.
    pub(crate) async fn stop(self) -> Result<()> {
        let Self { mut script, commands, folder, .. } = self;
        drop(commands);
        timeout(DEADLINE, script.wait()).await.map_err(|_| {
            format!("PostgreSQL does not stop: its folder is {}", folder.display())
        })??;
        Ok(())
    }

    async fn answer(&mut self, problem: &str) -> Result<String> {
        let answer = timeout(DEADLINE, self.answers.next_line()).await;
        match answer.map_err(|_| format!("{problem}: no answer after a minute"))?? {
            Some(answer) => Ok(answer),
            None => Err(format!("{problem}: see above").into()),
        }
    }
}

/// A shell of a user that PostgreSQL runs as, which must not be root.
fn shell() -> Command {
    #[cfg(unix)]
    if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
        return command;
    }
    Command::new("sh")
}
