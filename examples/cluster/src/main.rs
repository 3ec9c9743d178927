#![doc = include_str!("../README.md")]

mod args;
mod client;
mod cluster;
mod guarded;
mod killed;
mod nats;
mod ports;
mod postgres;
mod programs;
mod proxy;
mod ready;
mod report;
mod run;
mod screen;
mod serve;
mod server;
mod victims;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use self::args::{Args, Role};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> ExitCode {
    let Args { role, options } = Args::parse();
    terminal::init_log();
    let outcome = match role {
        Some(Role::Serve(role)) => serve::run(&role).await.map(|()| ExitCode::SUCCESS),
        None => run::run(&options).await,
    };
    outcome.unwrap_or_else(|error| {
        terminal::print_error("cluster", &*error);
        ExitCode::FAILURE
    })
}
