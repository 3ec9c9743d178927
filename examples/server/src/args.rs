use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, RangedU64ValueParser, TypedValueParser};
use clap::{Parser, ValueEnum};

/// Serves an event log over HTTP: clients read it, follow it and append to it.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// The address to listen on; port 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub(crate) listen: String,

    /// The store of the log: `memory`, `rusqlite:FILE`, `sqlx:FILE` or
    /// `postgres://USER@HOST/DATABASE`
    #[arg(long, value_name = "STORE", default_value = "memory", value_parser = store_parser())]
    pub(crate) store: StoreChoice,

    /// Which appends wake the clients that follow the log: `local`, those through this server;
    /// `sqlite`, also those of other processes to the same file; `postgres` or
    /// `nats://HOST:4222`, also those of other processes to the same database
    #[arg(long, value_name = "BUS", default_value = "local")]
    pub(crate) bus: BusChoice,

    /// Accept appends at `POST /streams/{stream}`
    #[arg(long)]
    pub(crate) allow_append: bool,

    /// What an acknowledged append in a file survives
    #[arg(long, value_enum, default_value_t = DurabilityChoice::Full)]
    pub(crate) durability: DurabilityChoice,

    /// The maximum number of open connections
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one())]
    pub(crate) max_connections: usize,

    /// Serve clients of other machines, without authentication
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
    Postgres(String),
}

/// Parses an `OsString`, since a path need not be UTF-8.
fn store_parser() -> impl TypedValueParser<Value = StoreChoice> {
    OsStringValueParser::new().try_map(|text: OsString| StoreChoice::parse(&text))
}

impl StoreChoice {
    fn parse(text: &OsStr) -> Result<Self, String> {
        if text == "memory" {
            return Ok(Self::Memory);
        }
        if let Some(file) = strip_prefix(text, "rusqlite:") {
            return Ok(Self::Rusqlite(file));
        }
        if let Some(file) = strip_prefix(text, "sqlx:") {
            return Ok(Self::Sqlx(file));
        }
        if let Some(url) = text.to_str().filter(|text| is_postgres(text)) {
            return Ok(Self::Postgres(url.into()));
        }
        let forms = "`memory`, `rusqlite:FILE`, `sqlx:FILE` or `postgres://USER@HOST/DATABASE`";
        Err(format!("use {forms}, for example `rusqlite:flights.db`"))
    }
}

fn is_postgres(url: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
}

/// The file name after a prefix.
#[cfg(unix)]
fn strip_prefix(text: &OsStr, prefix: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;

    let file = text.as_bytes().strip_prefix(prefix.as_bytes())?;
    (!file.is_empty()).then(|| OsStr::from_bytes(file).into())
}

#[cfg(not(unix))]
fn strip_prefix(text: &OsStr, prefix: &str) -> Option<PathBuf> {
    let file = text.to_str()?.strip_prefix(prefix)?;
    (!file.is_empty()).then(|| file.into())
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BusChoice {
    Local,
    Sqlite,
    Postgres,
    Nats(String),
}

impl FromStr for BusChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "local" => Ok(Self::Local),
            "sqlite" => Ok(Self::Sqlite),
            "postgres" => Ok(Self::Postgres),
            _ if text.starts_with("nats://") => Ok(Self::Nats(text.into())),
            _ => Err("use `local`, `sqlite`, `postgres` or `nats://HOST:4222`"),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DurabilityChoice {
    /// Crashes and power cuts
    Full,
    /// Crashes of the process; a power cut may lose the newest events
    Normal,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<StoreChoice, String> {
        StoreChoice::parse(OsStr::new(text))
    }

    #[test]
    fn stores_are_parsed() {
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
