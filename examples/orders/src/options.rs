use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// Orders of food to the gates of an airport, on an event log.
#[derive(Clone, Debug, Parser)]
#[command(name = "orders", version)]
pub struct Options {
    /// The file of the log, created if it does not exist
    #[arg(long, value_name = "FILE", default_value = "orders.db")]
    pub db: PathBuf,

    /// The loopback address to listen on; port 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,
}
