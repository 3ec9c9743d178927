//! SSE end to end: the feed on the server, and the client.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use downlink::transport::{Endpoint, Frame};
use downlink::{
    After, Cursor, ErrorKind, Expected, FilterItem, Hub, LocalBus, MemoryStore, NewEvent,
    Subscribe, Transport,
};
use downlink_transports::client::{Client, Follow};
use downlink_transports::feed::Feed;
use downlink_transports::serve::Server;
use downlink_transports::{Sse, health};
use futures::{StreamExt, TryStreamExt};
use support::{Raw, listener, soon};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_millis(20);

async fn append(hub: &Hub, leg: u32) {
    let event = NewEvent::json("FlightDeparted", format!(r#"{{"leg":{leg}}}"#)).unwrap();
    hub.append_to("flight-UA1545", Expected::Any, [event]).await.unwrap();
}

fn serve(hub: &Hub, listener: TcpListener) -> (CancellationToken, JoinHandle<()>) {
    let shutdown = CancellationToken::new();
    let router = Feed::new(hub).router().merge(health::router(hub));
    let serving = Server::new(router).serve(listener, shutdown.clone());
    (shutdown, tokio::spawn(async { serving.await.unwrap() }))
}

fn client(address: SocketAddr) -> Client {
    Client::new(Endpoint::new(format!("http://{address}")))
        .with_reconnect_delay(PAUSE..=PAUSE * 2)
        .with_max_server_delay(PAUSE * 4)
}

/// Binds the port again, as a restarted process does.
fn rebind(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(1_024).unwrap()
}

async fn legs(follow: &mut Follow, count: usize) -> Vec<String> {
    let mut legs = Vec::new();
    soon("the events", async {
        while legs.len() < count {
            if let Frame::Event { event, .. } = follow.next().await.unwrap().unwrap() {
                legs.push(String::from_utf8(event.payload().to_vec()).unwrap());
            }
        }
    })
    .await;
    legs
}

fn expected(legs: std::ops::Range<u32>) -> Vec<String> {
    legs.map(|leg| format!(r#"{{"leg":{leg}}}"#)).collect()
}

#[tokio::test]
async fn the_transport_serves_and_connects() {
    let hub = downlink::memory::hub().await.unwrap();
    for leg in 0..3 {
        append(&hub, leg).await;
    }
    let (listener, address) = listener().await;
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(Sse.serve(hub.clone(), listener, shutdown.clone()));
    let endpoint = Endpoint::new(format!("http://{address}"));

    let frames = Sse.connect(&endpoint, Subscribe::new()).await.unwrap();
    let mut frames = frames.map(Result::unwrap);
    assert!(matches!(soon("ready", frames.next()).await, Some(Frame::Ready { .. })));
    let mut second = Cursor::START;
    for position in 1..=3 {
        let Some(Frame::Event { event, .. }) = soon("an event", frames.next()).await else {
            panic!()
        };
        assert_eq!(event.position().get(), position);
        if position == 2 {
            second = event.cursor();
        }
    }
    assert!(matches!(soon("live", frames.next()).await, Some(Frame::Live { .. })));

    let resumed = Sse.connect(&endpoint, Subscribe::new().with_after(second)).await.unwrap();
    let frames: Vec<_> = soon("three frames", resumed.take(3).try_collect()).await.unwrap();
    assert!(matches!(&frames[1], Frame::Event { event, .. } if event.position().get() == 3));

    shutdown.cancel();
    soon("the end", server).await.unwrap().unwrap();
}

#[tokio::test]
async fn refused_resumes_have_the_kind_of_their_code() {
    let (full, other) =
        (downlink::memory::hub().await.unwrap(), downlink::memory::hub().await.unwrap());
    append(&full, 0).await;
    append(&other, 0).await;
    append(&other, 1).await;
    let changed = other.log_events(downlink::Read::log()).next().await.unwrap().unwrap().cursor();
    let ahead = other.head().await.unwrap();
    let (listener, address) = listener().await;
    let _server = serve(&full, listener);

    for (cursor, kind) in [(changed, ErrorKind::HistoryChanged), (ahead, ErrorKind::CursorAhead)] {
        let subscribe = Subscribe::new().with_after(cursor);
        let refused = client(address).connect(subscribe.clone()).await.map(drop);
        assert_eq!(refused.unwrap_err().kind(), kind);
        let mut follow = client(address).follow(subscribe).unwrap();
        let refused = soon("a refusal", follow.next()).await.unwrap();
        assert_eq!(refused.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn filters_reach_the_server() {
    let hub = downlink::memory::hub().await.unwrap();
    append(&hub, 0).await;
    let landed = NewEvent::json("Flight Landed/&", "{}").unwrap();
    hub.append_to("flight-UA1545", Expected::Any, [landed]).await.unwrap();
    let (listener, address) = listener().await;
    let _server = serve(&hub, listener);
    let filter = FilterItem::new().with_type("Flight Landed/&").unwrap();
    let mut follow = client(address).follow(Subscribe::new().with_filter(filter.into())).unwrap();
    assert_eq!(legs(&mut follow, 1).await, ["{}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn following_continues_after_a_restart_of_the_server() {
    let hub = Hub::builder(MemoryStore::new(), LocalBus::new()).start().await.unwrap();
    let (listener, address) = listener().await;
    let (_, server) = serve(&hub, listener);
    let mut follow = client(address).follow(Subscribe::new()).unwrap();
    append(&hub, 0).await;
    append(&hub, 1).await;
    assert_eq!(legs(&mut follow, 2).await, expected(0..2));

    for round in 1..4 {
        let first = round * 10;
        if round == 1 {
            // Killed: every connection breaks in mid-stream.
            server.abort();
        }
        soon("the port to be free", async {
            while tokio::net::TcpStream::connect(address).await.is_ok() {}
        })
        .await;
        append(&hub, first).await;
        let (shutdown, server) = serve(&hub, rebind(address));
        append(&hub, first + 1).await;
        assert_eq!(legs(&mut follow, 2).await, expected(first..first + 2));
        // Drained: every stream ends with `bye`.
        shutdown.cancel();
        soon("the drain", server).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_streams_drain_quickly_and_with_bye() {
    let hub = downlink::memory::hub().await.unwrap();
    append(&hub, 0).await;
    let (listener, address) = listener().await;
    let (shutdown, server) = serve(&hub, listener);
    let mut streams = Vec::new();
    for _ in 0..200 {
        let mut raw = Raw::connect(address).await;
        raw.send(
            "GET /feed?after=now HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n",
        )
        .await;
        raw.until("event: feed.live\n").await;
        streams.push(raw);
    }
    let began = Instant::now();
    shutdown.cancel();
    soon("the end of the server", server).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(8), "it waited for its deadline");
    for raw in &mut streams {
        let rest = raw.rest().await;
        assert!(rest.contains("event: feed.bye\n"), "{rest:?}");
        assert!(rest.ends_with("\n\n"), "{rest:?}");
    }
}

#[tokio::test]
async fn a_stalled_reader_is_disconnected_and_resumes_exactly_while_others_are_served() {
    let hub = downlink::memory::hub().await.unwrap();
    let payload = format!("\"{}\"", "x".repeat(500_000));
    let count = 40;
    let (listener, address) = listener().await;
    let shutdown = CancellationToken::new();
    let server =
        Server::new(Feed::new(&hub).router()).with_write_stall_timeout(Duration::from_millis(300));
    let _server = tokio::spawn(server.serve(listener, shutdown.clone()));
    let mut other = client(address).follow(Subscribe::new().with_after(After::Now)).unwrap();
    let ready = soon("live", other.next()).await.unwrap().unwrap();
    assert!(matches!(ready, Frame::Live { .. }));

    let mut stops = client(address).connect(Subscribe::new()).await.unwrap();
    let mut last = soon("ready", stops.next()).await.unwrap().unwrap().cursor().unwrap();
    for _ in 0..count {
        let event = NewEvent::json("Photo", payload.clone()).unwrap();
        hub.append_to("gate-C71", Expected::Any, [event]).await.unwrap();
    }
    // Other clients are served in the meantime, and the stalled one is disconnected.
    let mut count_of_other = 0;
    soon("the events of the other", async {
        while count_of_other < count {
            let frame = other.next().await.unwrap().unwrap();
            count_of_other += usize::from(matches!(frame, Frame::Event { .. }));
        }
    })
    .await;
    soon("the stalled stream to be disconnected", async {
        while connections(&hub) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut seen = 0;
    while let Some(frame) = soon("the end of the stalled stream", stops.next()).await {
        let Ok(frame) = frame else { break };
        seen += usize::from(matches!(frame, Frame::Event { .. }));
        last = frame.cursor().unwrap_or(last);
    }
    assert!(seen < count, "it was never disconnected");
    let mut resumed = client(address).follow(Subscribe::new().with_after(last)).unwrap();
    assert_eq!(legs(&mut resumed, count - seen).await.len() + seen, count);
    shutdown.cancel();
}

/// The number of open subscriptions.
fn connections(hub: &Hub) -> u64 {
    hub.stats().open_subscriptions
}

#[tokio::test]
async fn health_routes_are_served() {
    let hub = downlink::memory::hub().await.unwrap();
    let (listener, address) = listener().await;
    let _server = serve(&hub, listener);
    for path in ["/health/live", "/health/ready", "/openapi.json"] {
        let mut raw = Raw::get(address, path).await;
        assert!(raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 200"), "{path}");
    }
}
