#![doc = include_str!("../README.md")]

mod args;
mod files;
mod log;
mod run;

use std::error::Error;
use std::iter::successors;
use std::process::ExitCode;

use clap::Parser;
use terminal::complain;

use self::args::Args;

/// What thousands of idle streams cost is mostly how their memory is packed.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    terminal::log();
    match run::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain!("server: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, clause by clause, without those that say nothing
/// new: drivers repeat each other.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    for cause in successors(error.source(), |&cause| cause.source()) {
        for clause in cause.to_string().split(": ") {
            if adds(clause, &text) {
                text = format!("{text}: {clause}");
            }
        }
    }
    text
}

fn adds(clause: &str, text: &str) -> bool {
    let words = |text| str::split(text, [' ', ':', ',']);
    !words(clause).all(|word| words(text).any(|said| said == word))
}

#[cfg(test)]
mod tests {
    use downlink::ErrorKind;

    use super::*;

    #[test]
    fn nothing_is_said_twice() {
        let chain_of = |messages: [&str; 3]| {
            let [first, second, third] = messages;
            let error = downlink::Error::with_source(ErrorKind::Backend, second, third);
            chain(&downlink::Error::with_source(ErrorKind::Backend, first, error))
        };
        let said = chain_of([
            "x.db: the file is not a SQLite database",
            "file is not a database",
            "Error code 26: file is not a database",
        ]);
        assert_eq!(said, "x.db: the file is not a SQLite database: Error code 26");
        let said = chain_of(["cannot listen", "denied", "denied by a rule"]);
        assert_eq!(said, "cannot listen: denied: denied by a rule");
    }
}
