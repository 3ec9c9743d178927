use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// Chat rooms for the crew of an airport, on an event log.
#[derive(Clone, Debug, Parser)]
#[command(name = "chat", version)]
pub struct Options {
    /// The file of the log, created if it does not exist
    #[arg(long, value_name = "FILE", default_value = "chat.db")]
    pub db: PathBuf,

    /// The loopback address to listen on; port 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_valid() {
        Options::command().debug_assert();
        assert_eq!(Options::parse_from(["chat"]).db.to_str(), Some("chat.db"));
    }
}
