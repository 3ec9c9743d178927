//! FlightDeck: a departures board that follows an event log.

use std::error::Error as StdError;
use std::process::ExitCode;

use clap::Parser;
use downlink_transports::serve::Signals;
use flightdeck::load::{self, LoadOptions, Progress};
use flightdeck::{Command, Feed, FeedOptions, FlightDeck, Options};
use terminal::outln;

#[tokio::main]
async fn main() -> ExitCode {
    terminal::init_log();
    let options = Options::parse();
    let done = match &options.command {
        Some(Command::Load(options)) => load(options).await,
        Some(Command::Feed(options)) => feed(options).await.map(|()| ExitCode::SUCCESS),
        None => show(&options).await.map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        terminal::print_error("flightdeck", &*error);
        ExitCode::FAILURE
    })
}

async fn show(options: &Options) -> Result<(), Box<dyn StdError>> {
    let flight_deck = FlightDeck::start(options, Signals::listen()?).await?;
    let replay = flight_deck.replay().clone();
    greet(&flight_deck, options);
    flight_deck.run().await?;
    outln!("The clock stopped at {}.", replay.status().clock.short());
    Ok(())
}

async fn feed(options: &FeedOptions) -> Result<(), Box<dyn StdError>> {
    let feed = Feed::start(options, Signals::listen()?).await?;
    let replay = feed.replay().clone();
    outln!("The day goes into {}.", options.db.display());
    outln!("See it by: flightdeck --no-replay --db {}", options.db.display());
    feed.run().await;
    outln!("The clock stopped at {}.", replay.status().clock.short());
    Ok(())
}

/// What a program that Ctrl-C has ended answers.
const INTERRUPTED: u8 = 130;

async fn load(options: &LoadOptions) -> Result<ExitCode, Box<dyn StdError>> {
    let Signals { drain, force } = Signals::listen()?;
    let loaded = tokio::select! {
        loaded = load::load(options, Progress::on_stderr(), &drain) => loaded?,
        () = force.cancelled() => return Ok(INTERRUPTED.into()),
    };
    outln!("{loaded}");
    outln!("{} is at {}", options.db.display(), loaded.cursor);
    if !loaded.complete {
        outln!("Stopped: the same command goes on from here.");
        return Ok(INTERRUPTED.into());
    }
    let rebuilt = tokio::select! {
        rebuilt = load::rebuild(options, Progress::on_stderr(), &drain) => rebuilt?,
        () = force.cancelled() => return Ok(INTERRUPTED.into()),
    };
    outln!("{rebuilt}");
    outln!("See it by: flightdeck --no-replay --db {}", options.db.display());
    Ok(if rebuilt.complete { ExitCode::SUCCESS } else { INTERRUPTED.into() })
}

fn greet(flight_deck: &FlightDeck, options: &Options) {
    let url = format!("http://{}", flight_deck.address());
    let feed = format!("{url}/api/feed?after=start&tag=airport:EWR");
    outln!("FlightDeck  {url}/");
    outln!("log         {}", options.db.display());
    outln!("try         curl -N -H 'Accept: text/event-stream' '{feed}'");
    let then = if options.no_replay {
        "What others append is shown: flightdeck feed replays the day into the same file."
    } else if flight_deck.replay().status().finished {
        "The day in this log is over: --fresh begins it anew."
    } else {
        "Ctrl-C ends it; start it again, and the day goes on where it was."
    };
    outln!("            {then}");
}
