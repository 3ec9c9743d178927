use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use downlink_postgres::Options;

/// The server of this test program. It stops when the program ends, because that
/// closes its standard input.
#[derive(Debug)]
pub(crate) struct Server {
    folder: PathBuf,
    script: Mutex<Script>,
}

/// The process that runs it.
#[derive(Debug)]
struct Script {
    _process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// How the server ends, before it is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// As by `pg_ctl restart -m immediate`.
    Immediate,
    /// By `kill -9` of its first process.
    Kill,
}

static SERVER: OnceLock<Server> = OnceLock::new();

/// The number of schemas created so far.
static LOGS: AtomicU64 = AtomicU64::new(0);

impl Server {
    /// The server, started by the first test that needs it.
    pub(crate) fn get() -> &'static Self {
        SERVER.get_or_init(Self::start)
    }

    /// A server of its own.
    pub(crate) fn start() -> Self {
        Self::run(&[])
    }

    /// A server of its own with these settings.
    pub(crate) fn start_with(settings: &str) -> Self {
        Self::run(&["plain", settings])
    }

    /// Runs one of the servers that the script knows.
    pub(crate) fn run(arguments: &[&str]) -> Self {
        // Of any package that includes this file.
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../backends/postgres/tests/postgres/server.sh"
        );
        let mut command = Command::new("sh");
        command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("a shell");
        let commands = process.stdin.take().expect("its input");
        let answers = BufReader::new(process.stdout.take().expect("its output"));
        let mut script = Script { _process: process, commands, answers };
        let folder = script.answer();
        assert!(!folder.is_empty(), "the server did not start: see above");
        Self { folder: folder.into(), script: Mutex::new(script) }
    }

    /// Ends the server in this way, and returns when it serves again.
    pub(crate) fn crash(&self, how: Crash) {
        let command = match how {
            Crash::Immediate => "restart",
            Crash::Kill => "kill",
        };
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(script.commands, "{command}").expect("a script that runs");
        assert_eq!(script.answer(), "done", "PostgreSQL did not start again: see above");
    }

    /// The folder of its files.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(".s.PGSQL.5432")
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The URL of one of its databases.
    pub(crate) fn url_of(&self, database: &str) -> String {
        format!("postgres:///{database}?user=downlink&host={}", self.folder.display())
    }
}

impl Script {
    /// Reads a line.
    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("its output");
        line.trim_end().to_owned()
    }
}

/// The name of a schema that no other log has.
pub(crate) fn fresh_schema() -> String {
    format!("log_{}", LOGS.fetch_add(1, Ordering::Relaxed))
}

/// Options for a log in this schema.
pub(crate) fn options(schema: &str) -> Options {
    // The laws wait for a minute, and a busy machine may be slow.
    Options::new().with_schema(schema).with_step_deadline(Duration::from_secs(20))
}
