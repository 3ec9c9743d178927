use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::Result;
use crate::appenders::Appenders;
use crate::subject::Store;

/// The names under which a build is kept.
const SERVER: &str = "server";
const BENCHMARK: &str = "append_path";

/// Measures appends in process, over HTTP and up to a follower by SSE
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// The example server that is measured as `now`
    #[arg(long, value_name = "PROGRAM", default_value = env!("CARGO_BIN_EXE_server"))]
    server: PathBuf,

    /// What `--keep` has kept of an earlier build, measured as `before`
    #[arg(long, value_name = "FOLDER")]
    before: Option<PathBuf>,

    /// Copy the server and this program to a folder for `--before`, and measure nothing
    #[arg(long, value_name = "FOLDER")]
    pub(crate) keep: Option<PathBuf>,

    /// Where `durable-streams-server` is, if it is not in the `PATH`
    #[arg(long, value_name = "PROGRAM")]
    durable_streams: Option<PathBuf>,

    /// The stores to measure
    #[arg(long, value_enum, value_delimiter = ',', default_value = "rusqlite,sqlx")]
    pub(crate) stores: Vec<Store>,

    /// How often everything is measured
    #[arg(long, value_name = "N", default_value_t = 9)]
    rounds: u32,

    /// How long one measurement takes
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    seconds: f64,

    /// Leave out appends in process
    #[arg(long)]
    pub(crate) only_http: bool,

    /// Where the logs are written for the time of the measurement
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub(crate) folder: PathBuf,

    /// Write every round's figures to a file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Show in one short round that it works
    #[arg(long)]
    test: bool,

    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Append in this process and print one line: what the measurement starts for each round
    #[command(hide = true)]
    Appenders(Appenders),
}

/// The programs of one build.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) server: PathBuf,
    pub(crate) benchmark: PathBuf,
}

impl Arguments {
    pub(crate) fn rounds(&self) -> u32 {
        if self.test { 1 } else { self.rounds.max(1) }
    }

    pub(crate) fn time(&self) -> Result<Duration> {
        let seconds = if self.test { 0.05 } else { self.seconds };
        Ok(Duration::try_from_secs_f64(seconds)?)
    }

    /// Whether the write-ahead logs get their full size first.
    pub(crate) fn warms_up(&self) -> bool {
        !self.test
    }

    pub(crate) fn now(&self) -> Result<Programs> {
        Ok(Programs { server: self.server.clone(), benchmark: env::current_exe()? })
    }

    pub(crate) fn before(&self) -> Option<Programs> {
        let folder = self.before.as_ref()?;
        Some(Programs { server: folder.join(SERVER), benchmark: folder.join(BENCHMARK) })
    }

    /// The given program, or else one in the `PATH`.
    pub(crate) fn durable_streams(&self) -> Option<PathBuf> {
        self.durable_streams.clone().or_else(|| {
            let folders = env::var_os("PATH")?;
            let mut programs =
                env::split_paths(&folders).map(|folder| folder.join("durable-streams-server"));
            programs.find(|program| program.is_file())
        })
    }

    pub(crate) fn keep_in(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let now = self.now()?;
        fs::copy(now.server, folder.join(SERVER))?;
        fs::copy(now.benchmark, folder.join(BENCHMARK))?;
        println!("kept for --before {}", folder.display());
        Ok(())
    }
}
