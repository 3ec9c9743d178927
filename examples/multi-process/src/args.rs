use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// One process appends and another serves: the page is live across both.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) role: Option<Role>,

    #[command(flatten)]
    pub(crate) both: Serve,
}

/// What a process does; without one of these it serves, and starts another
/// process that appends.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Serve a page that shows every event as it happens
    Serve(Serve),
    /// Append flights that depart, until Ctrl-C
    Append(Append),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// The file that all processes share
    #[arg(long, value_name = "FILE", default_value = "departures.db")]
    pub(crate) db: PathBuf,

    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub(crate) listen: String,

    /// How often to look without having been woken
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub(crate) fallback: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Append {
    /// The file that all processes share
    #[arg(long, value_name = "FILE", default_value = "departures.db")]
    pub(crate) db: PathBuf,

    /// How many departures; without a number, until Ctrl-C
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,

    /// The pause between two of them
    #[arg(long, value_name = "MS", default_value_t = 500)]
    pub(crate) every: u64,
}
