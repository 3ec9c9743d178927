//! Checks a server that implements the wire contract, by its URL.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use downlink_conformance_tests::black_box;

const USAGE: &str = "check-feed URL

Checks the server at URL, such as http://127.0.0.1:3000, against the wire contract of feeds, and prints
each check. If the server accepts appends, events are written to streams that begin with `check-`; if it
does not, only existing events are read, and the checks that need more are skipped.

Exit code: 0 if all checks passed, 1 if one failed, 2 if nothing could be checked.";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url] = arguments.as_slice() else {
        write(io::stderr(), USAGE);
        return ExitCode::from(2);
    };
    if matches!(url.as_str(), "-h" | "--help") {
        write(io::stdout(), USAGE);
        return ExitCode::SUCCESS;
    }
    match black_box::check(url, |finding| write(io::stdout(), finding)).await {
        Ok(report) => {
            write(io::stdout(), format_args!("\n{report}"));
            if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            write(io::stderr(), why);
            ExitCode::from(2)
        }
    }
}

/// Writes a line, and ignores errors: if the reader closes the output early, as
/// `| head` does, the exit code stays the same.
fn write(mut to: impl Write, line: impl fmt::Display) {
    let _ = writeln!(to, "{line}");
}
