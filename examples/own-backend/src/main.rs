//! Opens a log, appends events of two flights, and prints what a subscription
//! receives. Run it twice: the second run begins with the events of the first.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use downlink::{BoxError, Expected, Hub, Item, LocalBus, Subscribe};
use downlink_transports::serve::ignore_sigxfsz;
use own_backend::FileStore;
use serde::{Deserialize, Serialize};
use terminal::outln;

/// Appends events of two flights to a log, and prints the log.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The file of the log, created if it does not exist
    #[arg(default_value = "flights.log")]
    file: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
enum FlightEvent {
    FlightScheduled { to: String },
    FlightDeparted { gate: String },
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    terminal::init_log();
    terminal::exit_code("own-backend", run(&args).await)
}

async fn run(Args { file }: &Args) -> Result<(), BoxError> {
    ignore_sigxfsz()?;
    let store = FileStore::open(file).await?;
    let hub = Hub::builder(store.clone(), LocalBus::new()).start().await?;

    for (flight, to, gate) in [("UA1545", "IAH", "C71"), ("AA1141", "MIA", "D3")] {
        let scheduled = FlightEvent::FlightScheduled { to: to.into() };
        let departed = FlightEvent::FlightDeparted { gate: gate.into() };
        hub.append_to(format!("flight-{flight}"), Expected::Any, [scheduled, departed]).await?;
    }

    let mut flights = hub.subscribe(Subscribe::new()).await?;
    while let Some(item) = flights.next().await.transpose()? {
        match item {
            Item::Event(event) => {
                let (cursor, stream, version) = (event.cursor(), event.stream(), event.version());
                match event.decode_raw::<FlightEvent>() {
                    Ok(event) => outln!("{cursor} {stream} {version} {event:?}"),
                    // Of another program or version; the other events are still printed.
                    Err(error) => outln!("{cursor} {stream} {version} cannot be decoded: {error}"),
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
