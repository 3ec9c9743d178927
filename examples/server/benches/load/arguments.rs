use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::rows::RowGroup;
use crate::scale::Scale;
use crate::transport::Transport;

/// Loads a server with many clients, and measures it beside raw TCP
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option")]
pub(crate) struct Arguments {
    /// The transports of the clients, one after the other
    #[arg(long, value_enum, value_delimiter = ',', default_value = "sse")]
    pub(crate) transport: Vec<Transport>,

    /// The number of connections: 1,000 by default
    #[arg(long, value_name = "N")]
    connections: Option<usize>,

    /// What the clients subscribe to, such as `type=FlightDelayed`; `{n}` is the number of
    /// the connection
    #[arg(long, value_name = "QUERY", default_value = "")]
    pub(crate) filter: String,

    /// Events per second; 0 for idle connections
    #[arg(long, value_name = "EVENTS_PER_SECOND", default_value_t = 20)]
    pub(crate) rate: usize,

    /// How long to append
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    seconds: usize,

    /// The number of streams that the events go to
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) streams: usize,

    /// How many connections a second are closed and replaced by others, as visitors come and go
    #[arg(long, value_name = "CONNECTIONS_PER_SECOND", default_value_t = 0)]
    pub(crate) churn: usize,

    /// The store of the server: `memory`, `rusqlite:FILE` or `sqlx:FILE`
    #[arg(long, default_value = "memory")]
    pub(crate) store: String,

    /// Load a server that already runs
    #[arg(long, conflicts_with = "store")]
    pub(crate) url: Option<String>,

    /// The process of that server, whose CPU time and memory to measure
    #[arg(long, requires = "url")]
    pub(crate) pid: Option<u32>,

    /// Measure what the delivery should reach, row by row
    #[arg(long)]
    pub(crate) table: bool,

    /// The rows of the table
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROWS")]
    rows: Option<Vec<RowGroup>>,

    /// Fewer rounds and events in the table
    #[arg(long)]
    quick: bool,

    /// The number of rounds in the table
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,

    /// The events of a burst in the table
    #[arg(long, value_name = "EVENTS")]
    burst: Option<usize>,

    /// The number of idle connections in the table
    #[arg(long, value_name = "N")]
    idle: Option<usize>,

    /// The folder for SQLite files
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub(crate) folder: PathBuf,

    /// Also write the results to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Run everything once with few events, as a test
    #[arg(long)]
    test: bool,

    /// Added by cargo
    #[arg(long, hide = true)]
    bench: bool,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The processes that the program starts.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(hide = true)]
    Serve(crate::server_process::Serve),
    #[command(hide = true)]
    Clients(crate::client_process::ClientArguments),
}

impl Arguments {
    pub(crate) fn is_test(&self) -> bool {
        self.test
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.unwrap_or(self.scale().connections)
    }

    pub(crate) fn seconds(&self) -> usize {
        if self.test { 1 } else { self.seconds }
    }

    pub(crate) fn row_groups(&self) -> &[RowGroup] {
        self.rows.as_deref().unwrap_or(RowGroup::value_variants())
    }

    /// The sizes of the measurements of the table.
    pub(crate) fn scale(&self) -> Scale {
        let mut scale = match (self.test, self.quick) {
            (true, _) => Scale::TINY,
            (false, true) => Scale::QUICK,
            (false, false) => Scale::FULL,
        };
        scale.rounds = self.rounds.unwrap_or(scale.rounds).max(1);
        scale.connections = self.connections.unwrap_or(scale.connections).max(1);
        scale.burst_events = self.burst.unwrap_or(scale.burst_events).max(1);
        scale.idle = self.idle.unwrap_or(scale.idle).max(1);
        scale
    }
}
