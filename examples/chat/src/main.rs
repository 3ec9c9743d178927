//! Crew Chat: rooms over one WebSocket, on an event log.

use std::error::Error as StdError;
use std::process::ExitCode;

use chat::{Chat, Options};
use clap::Parser;
use downlink_transports::serve::Signals;
use terminal::say;

#[tokio::main]
async fn main() -> ExitCode {
    terminal::log();
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain_of("chat", &*error);
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Box<dyn StdError>> {
    let chat = Chat::start(options, Signals::listen()?).await?;
    say!("Crew Chat  http://{}/", chat.address());
    say!("log        {}", options.db.display());
    say!("           Open it twice. Ctrl-C ends it; start it again, and nothing is missing.");
    Ok(chat.run().await?)
}
