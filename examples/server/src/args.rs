use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::RangedU64ValueParser;
use clap::{Parser, ValueEnum};

/// Serves an event log over HTTP: read it, follow it, append to it.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub(crate) listen: String,

    /// Where the log is: `memory`, `rusqlite:FILE` or `sqlx:FILE`
    #[arg(long, value_name = "STORE", default_value = "memory")]
    pub(crate) store: StoreChoice,

    /// What wakes those who follow: appends through this server, or those of
    /// other processes on the same file, too
    #[arg(long, value_enum, default_value_t = BusChoice::Local)]
    pub(crate) bus: BusChoice,

    /// Take appends at `POST /streams/{stream}`
    #[arg(long)]
    pub(crate) allow_append: bool,

    /// What an acknowledged append survives, in a file
    #[arg(long, value_enum, default_value_t = Survives::Full)]
    pub(crate) durability: Survives,

    /// How many connections are served at a time
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one())]
    pub(crate) max_connections: usize,

    /// Let everyone who can connect read, and append if that is allowed
    #[arg(long)]
    pub(crate) open_to_everyone: bool,
}

fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreChoice {
    Memory,
    Rusqlite(PathBuf),
    Sqlx(PathBuf),
}

impl FromStr for StoreChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("rusqlite", file)) if !file.is_empty() => Ok(Self::Rusqlite(file.into())),
            Some(("sqlx", file)) if !file.is_empty() => Ok(Self::Sqlx(file.into())),
            _ => {
                let forms = "`memory`, `rusqlite:FILE` or `sqlx:FILE`";
                Err(format!("give {forms}, as in `rusqlite:flights.db`"))
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BusChoice {
    /// Appends through this server
    Local,
    /// Those of other processes on the same file, too
    Sqlite,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Survives {
    /// A power cut, too
    Full,
    /// A crash of the process; a power cut may take the newest
    Normal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_named_by_their_forms() {
        assert_eq!("memory".parse(), Ok(StoreChoice::Memory));
        let file = StoreChoice::Rusqlite("C:\\flights.db".into());
        assert_eq!("rusqlite:C:\\flights.db".parse(), Ok(file));
        assert_eq!("sqlx:flights.db".parse(), Ok(StoreChoice::Sqlx("flights.db".into())));
        for bad in ["", "rusqlite", "rusqlite:", "flights.db", "postgres:x"] {
            let error = bad.parse::<StoreChoice>().unwrap_err();
            assert!(error.contains("rusqlite:FILE"), "{bad}");
        }
    }
}
