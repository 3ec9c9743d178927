use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::Driver;
use crate::load::LoadOptions;
use crate::replay::Speed;

/// The departures of New York's three airports on 1 January 2013, replayed as
/// events and followed live by every page that is open.
#[derive(Clone, Debug, Parser)]
#[command(name = "flightdeck", version, args_conflicts_with_subcommands = true)]
pub struct Options {
    /// What to do instead of replaying the day.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The file that holds the log. It is made if there is none; if there is
    /// one, the day goes on where it was.
    #[arg(long, value_name = "FILE", default_value = "flightdeck.db")]
    pub db: PathBuf,

    /// The driver to reach it through.
    #[arg(long, value_name = "DRIVER", value_enum, default_value_t)]
    pub store: Driver,

    /// The address to listen on. Port 0 takes any that is free.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,

    /// How fast the day goes by, from 1 (as it was) to 3600 (an hour in every
    /// second): 60 in a new log, and otherwise as it was when the program ended.
    #[arg(long, value_name = "FACTOR")]
    pub speed: Option<Speed>,

    /// Show the log, and let the day to others: to `flightdeck feed` in another
    /// process, or to nobody if the log is a loaded one.
    #[arg(long, conflicts_with = "speed")]
    pub no_replay: bool,

    /// Begin the day anew: delete the file of the log first.
    #[arg(long)]
    pub fresh: bool,
}

/// What FlightDeck does instead of replaying the day.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Load a year of flights into a log, as fast as the log takes it.
    Load(LoadOptions),
    /// Replay the day into a log that another FlightDeck shows.
    Feed(FeedOptions),
}

/// Replays the day into a log that another FlightDeck shows, which was started
/// with `--no-replay`. Whoever looks at its page has the buttons for this
/// replay, too.
#[derive(Clone, Debug, Args)]
pub struct FeedOptions {
    /// The file that holds the log. It is made if there is none.
    #[arg(long, value_name = "FILE", default_value = "flightdeck.db")]
    pub db: PathBuf,

    /// The driver to reach it through.
    #[arg(long, value_name = "DRIVER", value_enum, default_value_t)]
    pub store: Driver,

    /// How fast the day goes by, from 1 to 3600: 60 in a new log, and otherwise
    /// as it was when the program ended.
    #[arg(long, value_name = "FACTOR")]
    pub speed: Option<Speed>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn nothing_has_to_be_said() {
        let options = Options::parse_from(["flightdeck"]);
        assert_eq!(options.db.to_str(), Some("flightdeck.db"));
        assert_eq!(options.listen.to_string(), "127.0.0.1:3000");
        assert!(options.speed.is_none() && !options.fresh && options.command.is_none());
    }

    #[test]
    fn a_bad_speed_is_refused_with_the_bounds() {
        let error = Options::try_parse_from(["flightdeck", "--speed", "0"]).unwrap_err();
        assert!(error.to_string().contains("from 1"), "{error}");
    }
}
