use std::ffi::OsString;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum, value_parser};

/// Starts PostgreSQL, NATS, a proxy and three servers, kills them under load, and counts what
/// clients lose.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) role: Option<Role>,

    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long the load lasts
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = value_parser!(u64).range(1..))]
    seconds: u64,

    /// The time from one kill to the next; the first and the last such time have none
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = value_parser!(u64).range(1..))]
    kill_every: u64,

    /// How many events are appended per second, by all clients together
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) rate: u32,

    /// How many clients append, and follow the whole log
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = value_parser!(u32).range(1..=200))]
    pub(crate) clients: u32,

    /// What tells servers of the appends of others
    #[arg(long, value_enum, default_value_t = BusChoice::Nats)]
    pub(crate) bus: BusChoice,

    /// What is in front of the servers [default: nginx, or haproxy if there is no nginx]
    #[arg(long, value_enum)]
    pub(crate) proxy: Option<ProxyKind>,

    /// Leave everything running after the report, until Ctrl-C
    #[arg(long)]
    pub(crate) keep: bool,

    /// Print what the servers log
    #[arg(long)]
    pub(crate) verbose: bool,
}

impl Options {
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    pub(crate) fn kill_every(&self) -> Duration {
        Duration::from_secs(self.kill_every)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BusChoice {
    /// `LISTEN` and `NOTIFY` of PostgreSQL; NATS is not started
    Postgres,
    /// A NATS server
    Nats,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProxyKind {
    Nginx,
    Haproxy,
}

impl ProxyKind {
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// One of the servers; the program starts them itself
    #[command(hide = true)]
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    #[arg(long)]
    pub(crate) listen: String,
    #[arg(long)]
    pub(crate) store: OsString,
    #[arg(long)]
    pub(crate) bus: String,
}
