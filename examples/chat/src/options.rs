use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// Rooms for the crew of an airport, over one WebSocket, on an event log.
#[derive(Clone, Debug, Parser)]
#[command(name = "chat", version)]
pub struct Options {
    /// The file that holds the log. It is made if there is none.
    #[arg(long, value_name = "FILE", default_value = "chat.db")]
    pub db: PathBuf,

    /// The address to listen on, of this machine. Port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
        assert_eq!(Options::parse_from(["chat"]).db.to_str(), Some("chat.db"));
    }
}
