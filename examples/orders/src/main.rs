//! Gate Service: orders of users who see only their own, on an event log.

use std::process::ExitCode;

use clap::Parser;
use downlink::BoxError;
use downlink_transports::serve::Signals;
use orders::Options;
use terminal::outln;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    terminal::init_log();
    terminal::exit_code("orders", run(&Options::parse()).await)
}

async fn run(options: &Options) -> Result<(), BoxError> {
    let listener = TcpListener::bind(options.listen).await?;
    outln!("Gate Service  http://{}/", listener.local_addr()?);
    outln!("log           {}", options.db.display());
    outln!("              Log in as any user; grace is an administrator. Press Ctrl-C to stop.");
    Ok(orders::serve(listener, &options.db, Signals::listen()?).await?)
}
