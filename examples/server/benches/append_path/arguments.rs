use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::Result;
use crate::appenders::Appenders;
use crate::bare::Bare;
use crate::subject::Store;

/// The file names of a kept build.
const SERVER: &str = "server";
const BENCHMARK: &str = "append_path";

/// Measures appends in process, over HTTP and up to a subscriber over SSE
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// The example server to measure as `now`
    #[arg(long, value_name = "PROGRAM", default_value = env!("CARGO_BIN_EXE_server"))]
    server: PathBuf,

    /// An earlier build, copied by `--keep`, to measure as `before`
    #[arg(long, value_name = "FOLDER")]
    before: Option<PathBuf>,

    /// Copy the server and this program to a folder for `--before`, without measuring
    #[arg(long, value_name = "FOLDER")]
    pub(crate) keep: Option<PathBuf>,

    /// The path of `durable-streams-server`, if it is not in the `PATH`
    #[arg(long, value_name = "PROGRAM")]
    durable_streams: Option<PathBuf>,

    /// The stores to measure
    #[arg(long, value_enum, value_delimiter = ',', default_value = "rusqlite,sqlx")]
    pub(crate) stores: Vec<Store>,

    /// The number of rounds
    #[arg(long, value_name = "N", default_value_t = 9)]
    rounds: u32,

    /// The time of one measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    seconds: f64,

    /// Skip appends in process
    #[arg(long)]
    pub(crate) only_http: bool,

    /// The folder for the logs during the measurement
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub(crate) folder: PathBuf,

    /// Also write the figures of every round to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Run one short round, as a test
    #[arg(long)]
    test: bool,

    /// Added by cargo
    #[arg(long, hide = true)]
    bench: bool,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Append in this process and print the results: started by the benchmark
    #[command(hide = true)]
    Appenders(Appenders),
    /// Serve plain transactions: started by the benchmark
    #[command(hide = true)]
    Bare(Bare),
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

    /// Whether to grow the write-ahead logs to their full size first.
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

    /// The given program, or the one in the `PATH`.
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
