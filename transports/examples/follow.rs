//! Follows a feed by whatever carrier comes through.
//!
//! ```console
//! $ cargo run -p downlink-transports --example follow -- http://127.0.0.1:3000/api
//! ```

use downlink::{Endpoint, FilterItem, Frame, Result, Subscribe};
use downlink_transports::client::{Client, Ladder};
use futures::TryStreamExt;

#[tokio::main]
async fn main() -> Result<()> {
    let base = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:3000".to_owned());
    // ANCHOR: follow
    let client = Client::new(Endpoint::new(base)).with_carrier(Ladder::best());
    let departures = FilterItem::new().with_type("FlightDeparted")?;
    let mut follow = client.follow(Subscribe::new().filter(departures.into()))?;
    while let Some(frame) = follow.try_next().await? {
        match frame {
            Frame::Event { event, .. } => println!("{} {}", event.stream(), event.version()),
            Frame::Live { .. } => println!("up to date"),
            _ => {}
        }
    }
    // ANCHOR_END: follow
    Ok(())
}
