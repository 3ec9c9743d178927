use downlink::{Cursor, Expected, Filter, Subscribe};

use super::TransportSetup;
use super::setup::connect;
use crate::sample::append;

/// **Law.** A client that disconnects leaves nothing behind, neither one that
/// waits for new events, nor one that has not read what it asked for.
pub async fn a_client_that_goes_away_leaves_nothing(setup: &TransportSetup) {
    let history: Vec<_> = (0..20).map(|_| append("flight-UA1545", Expected::Any, 5)).collect();
    let served = setup.open(&history).await;
    for _ in 0..3 {
        let mut clients = Vec::new();
        for number in 0..8 {
            let client = connect(&served.transport, served.address, Subscribe::new()).await;
            let mut client = client.expect("a connection");
            if number % 2 == 0 {
                client.until_live().await;
                client.poke();
            }
            clients.push(client);
        }
        served
            .has_open("the hub has no subscription for a client that waits", |open| open > 0)
            .await;
        drop(clients);
        let what = "subscriptions stay open after their clients disconnected: watch for the end of \
                    the connection while there is nothing to send";
        served.has_open(what, |open| open == 0).await;
    }
    let mut client = served.follow(Cursor::START, Filter::everything()).await;
    client.until_live().await;
}
