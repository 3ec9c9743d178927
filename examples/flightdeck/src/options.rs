use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use downlink::{Error, Result};
use downlink_any::{Log, StoreUrl};

use crate::load::LoadOptions;
use crate::replay::Speed;

/// Replays the departures of New York's three airports on 1 January 2013 as events,
/// and serves a live departures board.
#[derive(Clone, Debug, Parser)]
#[command(name = "flightdeck", version, args_conflicts_with_subcommands = true)]
pub struct Options {
    /// What to do instead.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The log. If it exists, the replay resumes.
    #[command(flatten)]
    pub log: LogOptions,

    /// The loopback address to listen on. Port 0 picks a free port.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,

    /// The speed of the replay, from 1 (real time) to 3600 (an hour per second). The
    /// default is 60 in a new log, and otherwise the speed before the last stop.
    #[arg(long, value_name = "FACTOR")]
    pub speed: Option<Speed>,

    /// Serve the log without replaying the day: for a replay in another process, or for
    /// a log that was loaded.
    #[arg(long, conflicts_with = "speed")]
    pub no_replay: bool,

    /// Delete the file of the log first, and start the day again.
    #[arg(long)]
    pub fresh: bool,
}

/// What FlightDeck does instead of serving the board.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Load a year of flights into a log, as fast as possible.
    Load(LoadOptions),
    /// Replay the day into a log that another process serves.
    Replay(ReplayOptions),
}

/// Replays the day into a log that another process serves, which was started with
/// `--no-replay`. The buttons of its page control this replay.
#[derive(Clone, Debug, Args)]
pub struct ReplayOptions {
    /// The log.
    #[command(flatten)]
    pub log: LogOptions,

    /// The speed of the replay, from 1 to 3600. The default is 60 in a new log, and
    /// otherwise the speed before the last stop.
    #[arg(long, value_name = "FACTOR")]
    pub speed: Option<Speed>,
}

/// Which log FlightDeck uses.
#[derive(Clone, Args)]
pub struct LogOptions {
    /// The file of the log, created if it does not exist.
    #[arg(long, value_name = "FILE", default_value = "flightdeck.db")]
    pub db: PathBuf,

    /// How the log is stored: `rusqlite` or `sqlx` for the file, which they share, or the
    /// PostgreSQL database `postgres://USER@HOST/DATABASE`.
    #[arg(long, value_name = "STORE", default_value = "rusqlite")]
    pub store: String,

    /// What tells other processes on the database about new events: `postgres` (the default)
    /// or `nats://HOST:4222`.
    // Neither is parsed here: clap repeats what it refuses, and a URL may have a password.
    #[arg(long, value_name = "BUS")]
    pub bus: Option<String>,
}

impl LogOptions {
    /// Opens the log, or creates an empty one.
    ///
    /// # Errors
    ///
    /// Those of opening the store and the bus, with the options to change.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, an empty log may have been created.
    pub async fn open(&self) -> Result<Log> {
        let opened = async { self.log()?.open().await };
        opened.await.map_err(|error| self.refused(error))
    }

    /// Deletes the file of the log, if there is one.
    pub(crate) async fn delete(&self) -> Result<()> {
        let deleted = async { self.log()?.delete().await };
        deleted.await.map_err(|error| self.refused(error))
    }

    /// An error of the log as one of the program, which says which options to change.
    pub(crate) fn refused(&self, error: Error) -> Error {
        let message = format!(
            "cannot use {self} as the log: check --db, --store and --bus, or choose another one"
        );
        Error::with_source(error.kind(), message, error)
    }

    /// What another command needs to use the same log, to be shown after it.
    #[must_use]
    pub fn arguments(&self) -> String {
        if self.store_url().is_ok_and(|store| store.file().is_some()) {
            return format!(" --db {}", self.db.display());
        }
        ", with the same --store and --bus".to_owned()
    }

    // ANCHOR: log
    fn log(&self) -> Result<downlink_any::Options> {
        let log = downlink_any::Options::new(self.store_url()?).with_subject("flightdeck");
        Ok(if let Some(bus) = &self.bus { log.with_bus(bus.parse()?) } else { log })
    }

    fn store_url(&self) -> Result<StoreUrl> {
        match &*self.store {
            "rusqlite" => Ok(StoreUrl::Rusqlite(self.db.clone())),
            "sqlx" => Ok(StoreUrl::Sqlx(self.db.clone())),
            url => url.parse(),
        }
    }
    // ANCHOR_END: log
}

/// Without a password.
impl fmt::Debug for LogOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogOptions({self})")
    }
}

/// The file or the database, without a password.
impl fmt::Display for LogOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.store_url() {
            Ok(store) => store.fmt(f),
            Err(_) => f.write_str("--store"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_valid() {
        Options::command().debug_assert();
    }

    #[test]
    fn every_option_has_a_default() {
        let options = Options::parse_from(["flightdeck"]);
        assert_eq!(options.log.db.to_str(), Some("flightdeck.db"));
        assert_eq!(options.listen.to_string(), "127.0.0.1:3000");
        assert!(options.speed.is_none() && !options.fresh && options.command.is_none());
    }

    #[test]
    fn a_bad_speed_is_refused_with_the_bounds() {
        let error = Options::try_parse_from(["flightdeck", "--speed", "0"]).unwrap_err();
        assert!(error.to_string().contains("from 1"), "{error}");
    }
}
