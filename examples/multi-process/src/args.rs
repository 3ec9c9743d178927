use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// One process appends events, another serves them; both share a SQLite file.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) role: Option<Role>,

    #[command(flatten)]
    pub(crate) both: Serve,
}

/// The role of a process. Without one it serves, and starts another process that
/// appends.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Serve a page that shows events as they are appended
    Serve(Serve),
    /// Append departures until Ctrl-C
    Append(Append),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// The file that all processes share
    #[arg(long, value_name = "FILE", default_value = "departures.db")]
    pub(crate) db: PathBuf,

    /// The address to listen on; port 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub(crate) listen: String,

    /// How often to read the log if the bus reports nothing
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub(crate) poll_interval: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Append {
    /// The file that all processes share
    #[arg(long, value_name = "FILE", default_value = "departures.db")]
    pub(crate) db: PathBuf,

    /// The number of departures [default: until Ctrl-C]
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,

    /// The pause between two departures
    #[arg(long, value_name = "MS", default_value_t = 500)]
    pub(crate) every: u64,
}
