//! The table of what the delivery should reach.

mod aim;
mod append;
mod bench;
mod burst;
mod filters;
mod idle;
mod light;
mod replay;
mod resume;
mod row;
mod subject;
mod table;
mod unmatched;

use clap::ValueEnum;
use serde_json::Value;

use self::bench::Bench;
use self::row::Row;
use self::table::Table;
use crate::arguments::Arguments;
use crate::peer::Peer;
use crate::support::Result;
use crate::transport::Transport;

/// Rows that are measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowGroup {
    /// Many events at once, to all clients.
    Burst,
    /// One event at a time, to all clients.
    Light,
    /// Open connections without events.
    Idle,
    /// A durable append, up to a client.
    Append,
    /// Clients that no event is for.
    Unmatched,
    /// Clients with a filter each.
    Filters,
    /// One client that reads a long log.
    Replay,
    /// Many clients that are behind.
    Resume,
}

/// Measures the rows, and prints the table.
pub(crate) async fn run(arguments: &Arguments) -> Result<Value> {
    let bench = Bench::new(arguments)?;
    let mut table = Table { rows: Vec::new(), notes: notes() };
    let mut failed = Vec::new();
    for group in arguments.row_groups() {
        match group.measure(&bench).await {
            Ok(rows) => table.rows.extend(rows),
            Err(error) => failed.push(format!("{group:?} was not measured: {error}")),
        }
    }
    drop(bench);
    table.notes.extend(failed.iter().cloned());
    table.print();
    if failed.is_empty() { Ok(table.to_json()) } else { Err(failed.join("; ").into()) }
}

impl RowGroup {
    async fn measure(self, bench: &Bench) -> Result<Vec<Row>> {
        match self {
            Self::Burst => burst::rows(bench).await,
            Self::Light => light::rows(bench).await,
            Self::Idle => idle::rows(bench).await,
            Self::Append => append::rows(bench).await,
            Self::Unmatched => unmatched::rows(bench).await,
            Self::Filters => filters::rows(bench).await,
            Self::Replay => replay::rows(bench).await,
            Self::Resume => resume::rows(bench).await,
        }
    }
}

fn notes() -> Vec<String> {
    let peers = [Transport::Redis, Transport::Nats];
    let missing = peers.into_iter().filter(|peer| Peer::program(*peer).is_none());
    let mut notes: Vec<_> =
        missing.map(|peer| format!("{}: not measured, not in the PATH", peer.name())).collect();
    if !cfg!(target_os = "linux") {
        notes.push("CPU time and memory: not measured on this system".to_owned());
    }
    notes
}
