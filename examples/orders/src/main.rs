//! Gate Service: orders of users who see only their own, on an event log.

use std::process::ExitCode;

use clap::Parser;
use downlink::BoxError;
use downlink_transports::serve::{self, Signals};
use orders::Options;
use terminal::outln;

#[tokio::main]
async fn main() -> ExitCode {
    terminal::init_log();
    terminal::exit_code("orders", run(&Options::parse()).await)
}

async fn run(options: &Options) -> Result<(), BoxError> {
    let (listener, address) = serve::bind(options.listen).await?;
    outln!("Gate Service  http://{address}/");
    outln!("log           {}", options.db.display());
    outln!("              Log in as any user; grace is an administrator. Press Ctrl-C to stop.");
    Ok(orders::serve(listener, &options.db, Signals::listen()?).await?)
}
