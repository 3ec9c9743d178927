//! Terminal output that cannot end a program.
//!
//! `println!`, `eprintln!` and a log that is written to standard error panic if
//! the output is a closed pipe, as behind `| head -1`, or a full disk. A server
//! must not end because of that: here, what cannot be written is dropped.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

#[cfg(unix)]
pub mod broken_output;

/// `println!` that ignores errors.
#[macro_export]
macro_rules! outln {
    ($($argument:tt)*) => {
        $crate::write_line(::std::io::stdout(), ::std::format_args!($($argument)*))
    };
}

/// `eprintln!` that ignores errors.
#[macro_export]
macro_rules! errln {
    ($($argument:tt)*) => {
        $crate::write_line(::std::io::stderr(), ::std::format_args!($($argument)*))
    };
}

/// Writes a line and ignores errors; see [`outln!`] and [`errln!`].
pub fn write_line(mut to: impl Write, line: fmt::Arguments<'_>) {
    // In one piece, so that lines of several threads do not mix.
    let _ = to.write_all(format!("{line}\n").as_bytes());
}

/// Prints an error and its causes to standard error.
pub fn print_error(program: &str, error: &dyn Error) {
    errln!("{program}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        errln!("  caused by: {error}");
        cause = error.source();
    }
}

/// The exit code of a program with this outcome. Prints the error if it failed:
/// an error that `main` returns is printed in its `Debug` form.
#[must_use]
pub fn exit_code<E>(program: &str, outcome: Result<(), E>) -> ExitCode
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(program, &*error.into());
            ExitCode::FAILURE
        }
    }
}

/// Writes the program's log to standard error: warnings, or what `RUST_LOG`
/// selects.
///
/// # Panics
///
/// Panics if the program has a log already.
pub fn init_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // Otherwise it reports failed writes with `eprintln!`, which panics.
    log.log_internal_errors(false).init();
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    #[test]
    fn a_line_is_written_in_one_piece_or_dropped() {
        let mut written = Vec::new();
        write_line(&mut written, format_args!("{} {}", "FlightDeck", 7));
        assert_eq!(written, b"FlightDeck 7\n");
        write_line(Full, format_args!("dropped"));
    }
}
