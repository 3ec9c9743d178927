//! Opens a log, appends what a few flights do, and prints what a subscription
//! receives. Run it twice: the second run begins with the events of the first.

use std::env;
use std::path::PathBuf;

use downlink::{BoxError, Expected, Hub, Item, LocalBus, Subscribe};
use own_backend::FileStore;
use serde::{Deserialize, Serialize};
use terminal::say;

#[derive(Debug, Serialize, Deserialize)]
enum FlightEvent {
    FlightScheduled { to: String },
    FlightDeparted { gate: String },
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    terminal::log();
    let path = env::args_os().nth(1).map_or_else(|| "flights.log".into(), PathBuf::from);
    let store = FileStore::open(&path).await?;
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;

    for (flight, to, gate) in [("UA1545", "IAH", "C71"), ("AA1141", "MIA", "D3")] {
        let scheduled = FlightEvent::FlightScheduled { to: to.into() };
        let departed = FlightEvent::FlightDeparted { gate: gate.into() };
        hub.append(format!("flight-{flight}"), Expected::Any, [scheduled, departed]).await?;
    }

    let mut flights = hub.subscribe(Subscribe::new()).await?;
    while let Some(item) = flights.next().await.transpose()? {
        match item {
            Item::Event(event) => {
                let (cursor, stream, version) = (event.cursor(), event.stream(), event.version());
                match event.decode::<FlightEvent>() {
                    Ok(event) => say!("{cursor} {stream} {version} {event:?}"),
                    // Of another program, or of another version: the others are told all the same.
                    Err(error) => say!("{cursor} {stream} {version} cannot be read: {error}"),
                }
            }
            Item::Live { .. } => break,
            _ => {}
        }
    }
    hub.shutdown().await;
    store.close().await;
    Ok(())
}
