//! FlightDeck: a departures board that follows an event log.

use std::process::ExitCode;

use clap::Parser;
use downlink::BoxError;
use downlink_transports::serve::Signals;
use flightdeck::load::{self, LoadOptions, Progress};
use flightdeck::{Command, FlightDeck, Options, ReplayOptions, Replayer};
use terminal::outln;

#[tokio::main]
async fn main() -> ExitCode {
    terminal::init_log();
    let options = Options::parse();
    let outcome = match &options.command {
        Some(Command::Load(options)) => load(options).await,
        Some(Command::Replay(options)) => replay(options).await.map(|()| ExitCode::SUCCESS),
        None => serve(&options).await.map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        terminal::print_error("flightdeck", &*error);
        ExitCode::FAILURE
    })
}

async fn serve(options: &Options) -> Result<(), BoxError> {
    let flight_deck = FlightDeck::start(options, Signals::listen()?).await?;
    let replay = flight_deck.replay().clone();
    print_usage(&flight_deck, options);
    flight_deck.run().await?;
    outln!("The replay stopped at {}.", replay.status().clock.short());
    Ok(())
}

async fn replay(options: &ReplayOptions) -> Result<(), BoxError> {
    let replayer = Replayer::start(options, Signals::listen()?).await?;
    let replay = replayer.replay().clone();
    outln!("Replaying the day into {}.", options.log);
    outln!("To serve it, run: flightdeck --no-replay{}", options.log.arguments());
    replayer.run().await;
    outln!("The replay stopped at {}.", replay.status().clock.short());
    Ok(())
}

/// The exit code of a program that was stopped with Ctrl-C.
const INTERRUPTED: u8 = 130;

async fn load(options: &LoadOptions) -> Result<ExitCode, BoxError> {
    let Signals { drain, force } = Signals::listen()?;
    let loaded = tokio::select! {
        loaded = load::load(options, Progress::on_stderr(), &drain) => loaded?,
        () = force.cancelled() => return Ok(INTERRUPTED.into()),
    };
    outln!("{loaded}");
    outln!("The head of {} is {}.", options.log, loaded.cursor);
    if !loaded.complete {
        outln!("Stopped. Run the same command to resume.");
        return Ok(INTERRUPTED.into());
    }
    let rebuilt = tokio::select! {
        rebuilt = load::rebuild(options, Progress::on_stderr(), &drain) => rebuilt?,
        () = force.cancelled() => return Ok(INTERRUPTED.into()),
    };
    outln!("{rebuilt}");
    outln!("To serve it, run: flightdeck --no-replay{}", options.log.arguments());
    Ok(if rebuilt.complete { ExitCode::SUCCESS } else { INTERRUPTED.into() })
}

fn print_usage(flight_deck: &FlightDeck, options: &Options) {
    let url = format!("http://{}", flight_deck.address());
    let feed = format!("{url}/api/feed?after=start&tag=airport:EWR");
    outln!("FlightDeck  {url}/");
    outln!("log         {}", options.log);
    outln!("try         curl -N -H 'Accept: text/event-stream' '{feed}'");
    let replay = format!(
        "To replay the day into the same log, run: flightdeck replay{}",
        options.log.arguments()
    );
    let hint = if options.no_replay {
        replay.as_str()
    } else if flight_deck.replay().status().finished {
        "The day in this log is over. To start it again, use --fresh, or another log."
    } else {
        "Press Ctrl-C to stop. The next start resumes the day."
    };
    outln!("            {hint}");
}
