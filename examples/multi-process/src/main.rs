#![doc = include_str!("../README.md")]

mod append;
mod args;
mod serve;

use std::process::ExitCode;

use clap::Parser;
use downlink::{Error, ErrorKind, Result};
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
    terminal::exit_code("multi-process", outcome)
}

/// Serves in this process, and appends in a child process that ends with it.
async fn run_both(options: &Serve) -> Result<()> {
    let _appender = start_appender(options)?;
    serve::run(options).await
}

fn start_appender(options: &Serve) -> Result<Child> {
    let program = std::env::current_exe();
    let started = program.and_then(|program| {
        Command::new(program).arg("append").arg("--db").arg(&options.db).kill_on_drop(true).spawn()
    });
    started.map_err(|error| {
        let message = "cannot start the process that appends: run `multi-process append` yourself";
        Error::with_source(ErrorKind::Unavailable, message, error)
    })
}
