//! Lets the first flights of 1 January 2013 depart, and queries a table of them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use departures::flight::Flights;
use departures::{first_departures, through_rusqlite, version_2};
use downlink::projection::FailurePolicy;
use downlink::{BoxError, Executor, Hub, LocalBus};
use downlink_rusqlite::RusqliteStore;
use downlink_transports::serve::ignore_sigxfsz;
use terminal::outln;

/// Lets the first flights of 1 January 2013 depart, and queries a table of them.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The file of the log, created if it does not exist
    #[arg(default_value = "first-flights.db")]
    file: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    terminal::exit_code("departures", run(&Args::parse()).await)
}

async fn run(Args { file }: &Args) -> Result<(), BoxError> {
    ignore_sigxfsz()?;
    // ANCHOR: open
    let store = downlink_rusqlite::open(file).await?;
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;
    // ANCHOR_END: open

    // ANCHOR: start
    let board = hub.project(through_rusqlite::ByAirport, store.clone());
    // An event that cannot be applied is set aside; the others are applied.
    let board = board.with_policy(FailurePolicy::skip()).start()?;
    // ANCHOR_END: start

    // ANCHOR: wait
    let departed = first_departures::depart_all(&Executor::new(&hub, Flights)).await?;
    board.wait_live().await?;
    board.wait_for(departed).await?;
    // ANCHOR_END: wait
    print(&store).await?;

    // ANCHOR: version_2
    let next = hub.project(version_2::ByAirport, store.clone());
    let next = next.with_policy(FailurePolicy::skip()).start()?;
    next.wait_live().await?;
    board.shutdown().await;
    // ANCHOR_END: version_2
    print_version_2(&store).await?;

    hub.shutdown().await;
    store.close().await;
    Ok(())
}

async fn print(store: &RusqliteStore) -> Result<(), BoxError> {
    let (rows, _) = through_rusqlite::departed(store).await?;
    for (airport, departed) in rows {
        outln!("{airport} {departed:3} departed");
    }
    Ok(())
}

async fn print_version_2(store: &RusqliteStore) -> Result<(), BoxError> {
    outln!("version 2 of the same table also has the delays:");
    let (rows, _) = version_2::departed(store).await?;
    for (airport, departed, late) in rows {
        outln!("{airport} {departed:3} departed, {late:3} minutes late in total");
    }
    Ok(())
}
