//! Copies a log into another store, and compares the two.
//!
//! ```text
//! downlink-copy [OPTIONS] FROM TO
//! ```

mod arguments;
mod display;
mod run;
mod signals;

use std::process::ExitCode;

use arguments::{Arguments, Parsed, USAGE};

/// The arguments are wrong.
const WRONG_ARGUMENTS: u8 = 2;

fn main() -> ExitCode {
    match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(Parsed::Copy(arguments)) => run::run(&arguments),
        Ok(Parsed::Help) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("downlink-copy: {message}\n\n{USAGE}");
            ExitCode::from(WRONG_ARGUMENTS)
        }
    }
}
