//! Crew Chat: rooms over one WebSocket, on an event log.

use std::error::Error as StdError;
use std::process::ExitCode;

use chat::{Chat, Options};
use clap::Parser;
use downlink_transports::serve::Signals;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Box<dyn StdError>> {
    let chat = Chat::start(options, Signals::listen()?).await?;
    println!("Crew Chat  http://{}/", chat.address());
    println!("log        {}", options.db.display());
    println!("           Open it twice. Ctrl-C ends it; start it again, and nothing is missing.");
    Ok(chat.run().await?)
}

fn tell(error: &dyn StdError) {
    eprintln!("chat: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
}
