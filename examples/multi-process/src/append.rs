use std::time::Duration;

use downlink::{Error, ErrorKind, EventStoreExt, Expected, NewEvent, Result};
use downlink_rusqlite::RusqliteStore;
use downlink_transports::serve::ignore_sigxfsz;
use serde::{Deserialize, Serialize};

use crate::args::Append;

const FLIGHTS: [&str; 4] = ["flight-UA1545", "flight-AA1141", "flight-DL461", "flight-B6725"];

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FlightEvent {
    FlightDeparted {
        gate: String,
        /// The id of the process that appended this.
        process: u32,
    },
}

/// Appends departures, without a hub or a bus.
pub(crate) async fn run(options: &Append) -> Result<()> {
    ignore_sigxfsz()?;
    let store = downlink_rusqlite::open(&options.db).await?;
    let outcome = tokio::select! {
        outcome = depart(&store, options) => outcome,
        signal = tokio::signal::ctrl_c() => signal.map_err(|error| {
            Error::with_source(ErrorKind::Unavailable, "cannot listen for Ctrl-C", error)
        }),
    };
    store.close().await;
    outcome
}

// ANCHOR: append
async fn depart(store: &RusqliteStore, options: &Append) -> Result<()> {
    let process = std::process::id();
    for (number, flight) in (1..=options.count.unwrap_or(u64::MAX)).zip(FLIGHTS.iter().cycle()) {
        let departed = FlightEvent::FlightDeparted { gate: format!("C{}", number % 90), process };
        store.append_to(*flight, Expected::Any, [NewEvent::from_variant(&departed)?]).await?;
        tokio::time::sleep(Duration::from_millis(options.every)).await;
    }
    Ok(())
}
// ANCHOR_END: append
