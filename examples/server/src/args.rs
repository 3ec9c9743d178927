use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, RangedU64ValueParser, TypedValueParser};
use clap::{Parser, ValueEnum};

/// Serves an event log over HTTP: read it, follow it, append to it.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub(crate) listen: String,

    /// Where the log is: `memory`, `rusqlite:FILE` or `sqlx:FILE`
    #[arg(long, value_name = "STORE", default_value = "memory", value_parser = store_parser())]
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

/// A path need not be UTF-8, so the choice is parsed as the system gives it.
fn store_parser() -> impl TypedValueParser<Value = StoreChoice> {
    OsStringValueParser::new().try_map(|text: OsString| StoreChoice::parse(&text))
}

impl StoreChoice {
    fn parse(text: &OsStr) -> Result<Self, String> {
        if text == "memory" {
            return Ok(Self::Memory);
        }
        if let Some(file) = after(text, "rusqlite:") {
            return Ok(Self::Rusqlite(file));
        }
        if let Some(file) = after(text, "sqlx:") {
            return Ok(Self::Sqlx(file));
        }
        let forms = "`memory`, `rusqlite:FILE` or `sqlx:FILE`";
        Err(format!("give {forms}, as in `rusqlite:flights.db`"))
    }
}

/// The file that follows a prefix.
#[cfg(unix)]
fn after(text: &OsStr, prefix: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;

    let file = text.as_bytes().strip_prefix(prefix.as_bytes())?;
    (!file.is_empty()).then(|| OsStr::from_bytes(file).into())
}

#[cfg(not(unix))]
fn after(text: &OsStr, prefix: &str) -> Option<PathBuf> {
    let file = text.to_str()?.strip_prefix(prefix)?;
    (!file.is_empty()).then(|| file.into())
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

    fn parse(text: &str) -> Result<StoreChoice, String> {
        StoreChoice::parse(OsStr::new(text))
    }

    #[test]
    fn stores_are_named_by_their_forms() {
        assert_eq!(parse("memory"), Ok(StoreChoice::Memory));
        let file = StoreChoice::Rusqlite("C:\\flights.db".into());
        assert_eq!(parse("rusqlite:C:\\flights.db"), Ok(file));
        assert_eq!(parse("sqlx:flights.db"), Ok(StoreChoice::Sqlx("flights.db".into())));
        for bad in ["", "rusqlite", "rusqlite:", "flights.db", "postgres:x"] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains("rusqlite:FILE"), "{bad}");
        }
    }
}
