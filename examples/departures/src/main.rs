//! Lets the first flights of 1 January 2013 leave, and asks a table about them.

use std::env;
use std::path::{Path, PathBuf};

use departures::flight::Flights;
use departures::{morning, through_rusqlite, version_2};
use downlink::{BoxError, Executor, Hub, LocalBus};
use tokio::task::spawn_blocking;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let path = env::args_os().nth(1).map_or_else(|| "first-flights.db".into(), PathBuf::from);
    // ANCHOR: open
    let store = downlink_rusqlite::open(&path).await?;
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;
    // ANCHOR_END: open

    // ANCHOR: start
    let board = hub.project(through_rusqlite::ByAirport, store.clone()).start()?;
    // ANCHOR_END: start

    // ANCHOR: wait
    let departed = morning::depart(&Executor::new(&hub, Flights)).await?;
    board.wait_for(departed).await?;
    // ANCHOR_END: wait
    show(&path).await?;

    // ANCHOR: version_2
    let next = hub.project(version_2::ByAirport, store.clone()).start()?;
    next.wait_live().await?;
    board.shutdown().await;
    // ANCHOR_END: version_2
    show_more(&path).await?;

    hub.shutdown().await;
    store.close().await;
    Ok(())
}

async fn show(path: &Path) -> Result<(), BoxError> {
    let path = path.to_owned();
    for (airport, departed) in spawn_blocking(move || through_rusqlite::departed(&path)).await?? {
        println!("{airport} {departed:3} departed");
    }
    Ok(())
}

async fn show_more(path: &Path) -> Result<(), BoxError> {
    println!("and what version 2 of the same table knows besides:");
    let path = path.to_owned();
    for (airport, departed, late) in spawn_blocking(move || version_2::departed(&path)).await?? {
        println!("{airport} {departed:3} departed, {late:3} minutes late in all");
    }
    Ok(())
}
