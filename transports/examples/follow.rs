//! Follows a feed over the first transport that works.
//!
//! ```console
//! $ cargo run -p downlink-transports --example follow -- http://127.0.0.1:3000/api
//! ```

use std::io::{Write, stdout};

use downlink::transport::{Endpoint, Frame};
use downlink::{FilterItem, Result, Subscribe};
use downlink_transports::client::{Client, Fallback};
use futures::TryStreamExt;

#[tokio::main]
async fn main() -> Result<()> {
    let base = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:3000".to_owned());
    // ANCHOR: follow
    let client = Client::new(Endpoint::new(base)).with_transport(Fallback::all());
    let departures = FilterItem::new().with_type("FlightDeparted")?;
    let mut follow = client.follow(Subscribe::new().with_filter(departures.into()))?;
    while let Some(frame) = follow.try_next().await? {
        // `println!` would panic if the output is closed, as with `| head`.
        let written = match frame {
            Frame::Event { event, .. } => {
                writeln!(stdout(), "{} {}", event.stream(), event.version())
            }
            Frame::Live { .. } => writeln!(stdout(), "up to date"),
            _ => Ok(()),
        };
        if written.is_err() {
            break;
        }
    }
    // ANCHOR_END: follow
    Ok(())
}
