//! What a program says on its terminal, whether anybody listens or not.
//!
//! `println!`, `eprintln!` and a log that is written to standard error panic when
//! the output is a pipe that was closed, as behind `| head -1`, or a disk that is
//! full. A server must not end for that: here, what cannot be written is lost.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};

use tracing_subscriber::EnvFilter;

#[cfg(unix)]
pub mod unheard;

/// Writes a line to standard output, if that is possible. Takes what `println!`
/// takes.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::write_line(::std::io::stdout(), ::std::format_args!($($argument)*))
    };
}

/// Writes a line to standard error, if that is possible. Takes what `eprintln!`
/// takes.
#[macro_export]
macro_rules! complain {
    ($($argument:tt)*) => {
        $crate::write_line(::std::io::stderr(), ::std::format_args!($($argument)*))
    };
}

/// Writes a line, if that is possible; see [`say!`] and [`complain!`].
pub fn write_line(mut to: impl Write, line: fmt::Arguments<'_>) {
    // As one piece, so that lines of several threads do not mix.
    let _ = to.write_all(format!("{line}\n").as_bytes());
}

/// Tells on standard error why the program ends: the error, and what caused it.
pub fn complain_of(program: &str, error: &dyn Error) {
    complain!("{program}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        complain!("  because: {error}");
        cause = error.source();
    }
}

/// Writes the program's log to standard error: warnings, unless `RUST_LOG` says
/// otherwise.
///
/// # Panics
///
/// Panics if the program has a log already.
pub fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // Otherwise it complains, by `eprintln!`, of what it could not write.
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
    fn a_line_is_written_in_one_piece_or_lost() {
        let mut written = Vec::new();
        write_line(&mut written, format_args!("{} {}", "FlightDeck", 7));
        assert_eq!(written, b"FlightDeck 7\n");
        write_line(Full, format_args!("lost"));
    }
}
