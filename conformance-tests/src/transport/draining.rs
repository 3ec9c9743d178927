use downlink::transport::Frame;
use downlink::{Cursor, Event, Expected, Filter, Subscribe};

use super::TransportSetup;
use super::framing::check_order;
use super::setup::{connect, expect_same};
use crate::sample::append;

/// **Law.** A server that is told to shut down ends every stream in time and
/// between two frames, and ends itself. The next process resumes each client
/// exactly.
pub async fn a_drain_ends_every_stream_between_two_frames(setup: &TransportSetup) {
    let history: Vec<_> =
        (0..40).map(|n| append(&format!("flight-{}", n % 3), Expected::Any, 3)).collect();
    let mut served = setup.open(&history).await;
    let mut clients = Vec::new();
    for taken in [0, 1, 2, 7, 50, usize::MAX] {
        let client = connect(&served.transport, served.address, Subscribe::new()).await;
        let mut client = client.expect("a connection");
        while client.seen.len() < taken && !matches!(client.seen.last(), Some(Frame::Live { .. })) {
            client.next("the log was not delivered").await;
        }
        client.poke();
        clients.push(client);
    }
    served.stop();
    for client in &mut clients {
        client.until_a_good_end("a stream of a server that was told to shut down").await;
        check_order(&client.seen);
    }
    served.ended().await;

    let next = setup.again(&served).await;
    next.delay(5).await;
    let log = next.log().await;
    for client in clients {
        let cursor = client.cursor().unwrap_or(Cursor::START);
        let mut resumed = next.follow(cursor, Filter::everything()).await;
        resumed.until_live().await;
        let all: Vec<&Event> = client.events().chain(resumed.events()).collect();
        expect_same(&all, &log, &format!("resumed at {cursor} after a drain"));
    }
}
