//! FlightDeck: a departures board that follows an event log.

use std::error::Error as StdError;
use std::process::ExitCode;

use clap::Parser;
use downlink_transports::serve::Signals;
use flightdeck::{FlightDeck, Options};
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
    let flight_deck = FlightDeck::start(options, Signals::listen()?).await?;
    let replay = flight_deck.replay().clone();
    greet(&flight_deck, options);
    flight_deck.run().await?;
    println!("The clock stopped at {}.", replay.status().clock.short());
    Ok(())
}

fn greet(flight_deck: &FlightDeck, options: &Options) {
    let url = format!("http://{}", flight_deck.address());
    let feed = format!("{url}/api/feed?after=start&tag=airport:EWR");
    println!("FlightDeck  {url}/");
    println!("log         {}", options.db.display());
    println!("try         curl -N -H 'Accept: text/event-stream' '{feed}'");
    let then = if flight_deck.replay().status().finished {
        "The day in this log is over: --fresh begins it anew."
    } else {
        "Ctrl-C ends it; start it again, and the day goes on where it was."
    };
    println!("            {then}");
}

fn tell(error: &dyn StdError) {
    eprintln!("flightdeck: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because: {error}");
        cause = error.source();
    }
}
