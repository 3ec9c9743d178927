//! Stores two events, follows the log, and pushes it to every client.

// ANCHOR: all
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use axum::{Router, response::Html, routing::get};
use downlink::{Expected, Hub, Item, LocalBus, Subscribe};
use downlink_transports::{feed, serve};
use serde::{Deserialize, Serialize};

// ANCHOR: events
#[derive(Debug, Serialize, Deserialize)]
enum FlightEvent {
    FlightScheduled { from: String, to: String },
    FlightDeparted { gate: String },
}
// ANCHOR_END: events

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = run().await else { return ExitCode::SUCCESS };
    let _ = writeln!(stderr(), "quickstart: {error}");
    ExitCode::FAILURE
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    // ANCHOR: open
    let store = downlink_rusqlite::open("flights.db").await?;
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;
    // ANCHOR_END: open

    // ANCHOR: append
    let scheduled = FlightEvent::FlightScheduled { from: "EWR".into(), to: "IAH".into() };
    let departed = FlightEvent::FlightDeparted { gate: "C71".into() };
    hub.append_to("flight-UA1545", Expected::Any, [scheduled, departed]).await?;
    // ANCHOR_END: append

    // ANCHOR: subscribe
    let mut flights = hub.subscribe(Subscribe::new()).await?;
    tokio::spawn(async move {
        while let Some(Ok(item)) = flights.next().await {
            let Item::Event(event) = item else { continue };
            let (cursor, stream) = (event.cursor(), event.stream());
            // `println!` would panic if the output were closed, as behind `| head`.
            let _ = writeln!(stdout(), "{cursor} {stream} {:?}", event.decode_raw::<FlightEvent>());
        }
    });
    // ANCHOR_END: subscribe

    // ANCHOR: serve
    let page = get(Html(include_str!("page.html")));
    let app = Router::new().nest("/api", feed::router(&hub)).route("/", page);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    serve::serve(listener, app, serve::shutdown_signal()?).await?;
    hub.shutdown().await;
    store.close().await;
    Ok(())
    // ANCHOR_END: serve
}
// ANCHOR_END: all
