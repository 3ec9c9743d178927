//! Follows a live query of a running FlightDeck, and prints its rows whenever they change:
//!
//! ```console
//! $ cargo run -p downlink-transports --example follow_live -- http://127.0.0.1:3000/api EWR
//! ```

use downlink::live::Params;
use downlink::transport::Endpoint;
use downlink_transports::client::Client;

// ANCHOR: follow
#[derive(Debug, serde::Deserialize)]
struct Airline {
    airline: String,
    departed: u32,
}

async fn follow(client: Client, airport: &str) -> downlink::Result<()> {
    let mut airlines = client.live("punctuality", Params::new().with("airport", airport))?;
    while let Some(rows) = airlines.next().await? {
        for Airline { airline, departed } in rows.decode()? {
            println!("{airline} {departed}");
        }
    }
    Ok(())
}
// ANCHOR_END: follow

#[tokio::main]
async fn main() -> downlink::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "http://127.0.0.1:3000/api".to_owned());
    let airport = arguments.next().unwrap_or_else(|| "EWR".to_owned());
    follow(Client::new(Endpoint::new(url)), &airport).await
}
