#![doc = include_str!("../README.md")]

mod args;
mod file_limit;
mod log;
mod run;

use std::error::Error;
use std::iter::successors;
use std::process::ExitCode;

use clap::Parser;
use terminal::errln;

use self::args::Args;

/// The memory of thousands of idle streams depends mostly on the allocator.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    terminal::init_log();
    match run::run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            errln!("server: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes in one line, without repeated clauses: drivers repeat
/// each other's messages.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    for cause in successors(error.source(), |&cause| cause.source()) {
        for clause in cause.to_string().split(": ") {
            if is_new(clause, &text) {
                text = format!("{text}: {clause}");
            }
        }
    }
    text
}

fn is_new(clause: &str, text: &str) -> bool {
    let words = |text| str::split(text, [' ', ':', ',']);
    !words(clause).all(|word| words(text).any(|known| known == word))
}

#[cfg(test)]
mod tests {
    use downlink::ErrorKind;

    use super::*;

    #[test]
    fn repeated_clauses_are_left_out() {
        let chain_of = |messages: [&str; 3]| {
            let [first, second, third] = messages;
            let error = downlink::Error::with_source(ErrorKind::Backend, second, third);
            chain(&downlink::Error::with_source(ErrorKind::Backend, first, error))
        };
        let text = chain_of([
            "x.db: the file is not a SQLite database",
            "file is not a database",
            "Error code 26: file is not a database",
        ]);
        assert_eq!(text, "x.db: the file is not a SQLite database: Error code 26");
        let text = chain_of(["cannot listen", "denied", "denied by a rule"]);
        assert_eq!(text, "cannot listen: denied: denied by a rule");
    }
}
