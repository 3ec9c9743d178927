use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use downlink_postgres::Options;

/// The server of this test program. It stops when the program ends, because that
/// closes its standard input.
#[derive(Debug)]
pub(crate) struct Server {
    folder: PathBuf,
    _script: Child,
}

static SERVER: OnceLock<Server> = OnceLock::new();

/// The number of schemas created so far.
static LOGS: AtomicU64 = AtomicU64::new(0);

impl Server {
    /// The server, started by the first test that needs it.
    pub(crate) fn get() -> &'static Self {
        SERVER.get_or_init(Self::start)
    }

    fn start() -> Self {
        Self::run(&[])
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
        let mut script = command.spawn().expect("a shell");
        let mut folder = String::new();
        let mut output = BufReader::new(script.stdout.take().expect("its output"));
        output.read_line(&mut folder).expect("its folder");
        assert!(!folder.is_empty(), "the server did not start: see above");
        Self { folder: folder.trim_end().into(), _script: script }
    }

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

/// The name of a schema that no other log has.
pub(crate) fn fresh_schema() -> String {
    format!("log_{}", LOGS.fetch_add(1, Ordering::Relaxed))
}

/// Options for a log in this schema.
pub(crate) fn options(schema: &str) -> Options {
    // The laws wait for a minute, and a busy machine may be slow.
    Options::new().with_schema(schema).with_step_deadline(Duration::from_secs(20))
}
