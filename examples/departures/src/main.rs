//! Lets the first flights of 1 January 2013 leave, and asks a table about them.

use std::env;
use std::path::PathBuf;

use departures::flight::Flights;
use departures::{morning, through_rusqlite, version_2};
use downlink::{BoxError, Executor, FailurePolicy, Hub, LocalBus};
use downlink_rusqlite::RusqliteStore;
use terminal::say;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let path = env::args_os().nth(1).map_or_else(|| "first-flights.db".into(), PathBuf::from);
    // ANCHOR: open
    let store = downlink_rusqlite::open(&path).await?;
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;
    // ANCHOR_END: open

    // ANCHOR: start
    let board = hub.project(through_rusqlite::ByAirport, store.clone());
    // An event that cannot be applied is set aside, and costs no others.
    let board = board.policy(FailurePolicy::skip()).start()?;
    // ANCHOR_END: start

    // ANCHOR: wait
    let departed = morning::depart(&Executor::new(&hub, Flights)).await?;
    board.wait_live().await?;
    board.wait_for(departed).await?;
    // ANCHOR_END: wait
    show(&store).await?;

    // ANCHOR: version_2
    let next = hub.project(version_2::ByAirport, store.clone());
    let next = next.policy(FailurePolicy::skip()).start()?;
    next.wait_live().await?;
    board.shutdown().await;
    // ANCHOR_END: version_2
    show_more(&store).await?;

    hub.shutdown().await;
    store.close().await;
    Ok(())
}

async fn show(store: &RusqliteStore) -> Result<(), BoxError> {
    let (rows, _) = through_rusqlite::departed(store).await?;
    for (airport, departed) in rows {
        say!("{airport} {departed:3} departed");
    }
    Ok(())
}

async fn show_more(store: &RusqliteStore) -> Result<(), BoxError> {
    say!("and what version 2 of the same table knows besides:");
    let (rows, _) = version_2::departed(store).await?;
    for (airport, departed, late) in rows {
        say!("{airport} {departed:3} departed, {late:3} minutes late in all");
    }
    Ok(())
}
