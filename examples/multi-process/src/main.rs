#![doc = include_str!("../README.md")]

mod append;
mod args;
mod serve;

use std::process::ExitCode;

use clap::Parser;
use downlink::{Error, ErrorKind, Result};
use terminal::complain;
use tokio::process::{Child, Command};

use self::args::{Args, Role, Serve};

#[tokio::main]
async fn main() -> ExitCode {
    let Args { role, both } = Args::parse();
    let outcome = match role {
        Some(Role::Serve(options)) => serve::run(&options).await,
        Some(Role::Append(options)) => append::run(&options).await,
        None => run_both(&both).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain!("multi-process: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves here, and appends in a process of its own, which ends with this one.
async fn run_both(options: &Serve) -> Result<()> {
    let _appending = start_appending(options)?;
    serve::run(options).await
}

fn start_appending(options: &Serve) -> Result<Child> {
    let program = std::env::current_exe();
    let started = program.and_then(|program| {
        Command::new(program).arg("append").arg("--db").arg(&options.db).kill_on_drop(true).spawn()
    });
    started.map_err(|error| {
        let message = "the process that appends cannot be started: run `multi-process append`";
        Error::with_source(ErrorKind::Unavailable, message, error)
    })
}
