//! Crew Chat: chat rooms over one WebSocket, on an event log.

use std::process::ExitCode;

use chat::{Chat, Options};
use clap::Parser;
use downlink::BoxError;
use downlink_transports::serve::Signals;
use terminal::outln;

#[tokio::main]
async fn main() -> ExitCode {
    terminal::init_log();
    terminal::exit_code("chat", run(&Options::parse()).await)
}

async fn run(options: &Options) -> Result<(), BoxError> {
    let chat = Chat::start(options, Signals::listen()?).await?;
    outln!("Crew Chat  http://{}/", chat.address());
    outln!("log        {}", options.db.display());
    outln!("           Open the page in two tabs. Press Ctrl-C to stop.");
    Ok(chat.run().await?)
}
