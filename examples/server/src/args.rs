use std::ffi::OsString;

use clap::builder::RangedU64ValueParser;
use clap::{Parser, ValueEnum};

/// Serves an event log over HTTP: clients read it, follow it and append to it.
#[derive(Clone, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// The address to listen on; port 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub(crate) listen: String,

    /// The store of the log: `memory`, `rusqlite:FILE`, `sqlx:FILE` or
    /// `postgres://USER@HOST/DATABASE`
    // Neither this nor the bus is parsed here: clap repeats what it refuses, and a URL may have a
    // password.
    #[arg(long, value_name = "STORE", default_value = "memory")]
    pub(crate) store: OsString,

    /// Which appends wake the clients that follow the log: `local`, those through this server;
    /// `sqlite`, also those of other processes to the same file; `postgres` or
    /// `nats://HOST:4222`, also those of other processes to the same database
    #[arg(long, value_name = "BUS", default_value = "local")]
    pub(crate) bus: String,

    /// Accept appends at `POST /streams/{stream}`
    #[arg(long)]
    pub(crate) allow_append: bool,

    /// What an acknowledged append in a file survives
    #[arg(long, value_enum, default_value_t = DurabilityChoice::Full)]
    pub(crate) durability: DurabilityChoice,

    /// The maximum number of open connections
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one())]
    pub(crate) max_connections: usize,

    /// Serve clients of other machines, without authentication
    #[arg(long)]
    pub(crate) open_to_everyone: bool,
}

fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DurabilityChoice {
    /// Crashes and power cuts
    Full,
    /// Crashes of the process; a power cut may lose the newest events
    Normal,
}
