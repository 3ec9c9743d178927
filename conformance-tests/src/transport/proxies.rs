use downlink::transport::Frame;
use downlink::{Append, Cursor, Event, Expected, Filter, NewEvent, Subscribe};

use super::TransportSetup;
use super::setup::{TestServer, connect, events, expect_same};
use crate::faults::HoldingProxy;

/// How many large events are more than the buffers of two sockets and a proxy
/// hold.
const FLOOD: usize = 256;

/// An event of 64 KiB.
pub(super) fn large() -> Append {
    let payload = format!("\"{}\"", "x".repeat((64 << 10) - 2));
    let event = NewEvent::json("FlightPhotographed", payload).expect("a payload");
    Append::to("flight-UA1545", Expected::Any, [event]).expect("a valid name")
}

/// Appends more than fits into all buffers on the way to a client that reads
/// nothing.
pub(super) async fn flood(served: &TestServer) {
    for _ in 0..FLOOD {
        served.append(large()).await;
    }
}

/// **Law.** A proxy that holds bytes back, however many, only delays them. If
/// it drops what it held, the client resumes before that.
pub async fn a_proxy_that_holds_bytes_back_only_delays(setup: &TransportSetup) {
    let served = setup.open(&[]).await;
    served.delay(3).await;
    let proxy = HoldingProxy::start(served.address).await.expect("a proxy");
    let client = connect(&served.transport, proxy.address(), Subscribe::new()).await;
    let mut client = client.expect("a connection through a proxy");
    client.until_live().await;

    proxy.hold();
    client.poke();
    flood(&served).await;
    // Another client gets everything, so the server was not just slow.
    expect_whole(&served, &[], Cursor::START, "next to a proxy that holds everything back").await;
    proxy.release();
    let events = served.log().await.len();
    client
        .until_the_end_or(events, "what a proxy had held back was lost: it does not arrive")
        .await;
    // The client may have disconnected in the meantime, as it does when a server is silent.
    let cursor = client.cursor().expect("a cursor");
    expect_whole(&served, &client.seen, cursor, "behind a proxy that held everything back").await;

    let client =
        connect(&served.transport, proxy.address(), Subscribe::new().with_after(cursor)).await;
    let mut client = client.expect("a connection through a proxy");
    client.until_live().await;
    proxy.hold();
    client.poke();
    served.delay(10).await;
    expect_whole(&served, &[], Cursor::START, "next to a proxy that is about to end").await;
    drop(proxy);
    client.until_the_end().await;
    let (begun, cursor) = (client.seen[0].cursor(), client.cursor().expect("a cursor"));
    let log = served.log().await;
    let after = |event: &&Event| begun.is_none_or(|begun| event.position() > begun.position());
    let wanted: Vec<_> = log.iter().filter(after).cloned().collect();
    let mut resumed = served.follow(cursor, Filter::everything()).await;
    resumed.until_live().await;
    let both: Vec<_> = client.events().chain(resumed.events()).collect();
    expect_same(&both, &wanted, "after a proxy dropped what it held");
}

/// Checks that what was delivered and what comes after the cursor are the whole
/// log.
async fn expect_whole(served: &TestServer, delivered: &[Frame], cursor: Cursor, what: &str) {
    let mut resumed = served.follow(cursor, Filter::everything()).await;
    resumed.until_live().await;
    let both: Vec<_> = events(delivered).chain(resumed.events()).collect();
    expect_same(&both, &served.log().await, what);
}
