//! A server with misbehaving peers: other clients are served, and the cost of the
//! misbehaving ones is limited and counted.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use downlink::{Expected, Hub, LocalBus, MemoryStore, NewEvent};
use downlink_transports::feed::Feed;
use downlink_transports::serve::{Server, ServerStats, TrustedProxies};
use rustix::process::{Resource, getrlimit, setrlimit};
use support::{Raw, listener, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

const SHORT: Duration = Duration::from_millis(300);

/// Longer than it takes for a reader to be scheduled.
const STUCK: Duration = Duration::from_secs(4);

struct Scene {
    hub: Hub,
    server: Server,
    address: SocketAddr,
    _serving: AbortOnDropHandle<()>,
}

impl Scene {
    async fn start(set_up: impl FnOnce(Server) -> Server) -> Self {
        let hub = Hub::builder(MemoryStore::new(), LocalBus::new()).start().await.unwrap();
        let feed = Feed::new(&hub).with_public_access().with_append();
        let server = set_up(Server::new(feed.router()));
        let (listener, address) = listener().await;
        let serving = server.clone().serve(listener, CancellationToken::new());
        let serving = tokio::spawn(async { serving.await.unwrap() });
        Self { hub, server, address, _serving: AbortOnDropHandle::new(serving) }
    }

    async fn append(&self, payload: &str) {
        let event = NewEvent::json("FlightDelayed", payload.to_owned()).unwrap();
        self.hub.append_to("flight-UA1545", Expected::Any, [event]).await.unwrap();
    }

    async fn send(&self, request: &str) -> Raw {
        let mut raw = Raw::connect(self.address).await;
        raw.send(&request.replace('\n', "\r\n")).await;
        raw
    }

    async fn follow(&self) -> Raw {
        self.send("GET /feed HTTP/1.1\nHost: localhost\nAccept: text/event-stream\n\n").await
    }

    async fn page(&self) -> String {
        let request = "GET /feed?limit=1 HTTP/1.1\nHost: localhost\nConnection: close\n\n";
        self.send(request).await.rest().await
    }

    /// Waits until the counters are as expected.
    async fn until(&self, what: &str, is_so: impl Fn(ServerStats) -> bool) {
        soon(what, async {
            while !is_so(self.server.stats()) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// Opens `count` followers that never read, and one that does.
async fn followers_that_never_read_are_disconnected(count: u64) {
    let scene = Scene::start(|server| server.with_write_stall_timeout(STUCK)).await;
    let mut reader = scene.follow().await;
    reader.until("event: feed.live\n").await;
    let mut stalled = Vec::new();
    for _ in 0..count {
        stalled.push(scene.follow().await);
    }
    scene.until("every follower", |stats| stats.open == count + 1).await;
    // More than the kernel buffers for a peer that does not read.
    let payload = format!("\"{}\"", "x".repeat(100_000));
    for _ in 0..60 {
        scene.append(&payload).await;
        reader.until("\"tags\":[]}\n\n").await;
    }
    scene
        .until("the stalled followers to be disconnected", |stats| {
            stats.stalled_writes == count && stats.open == 1
        })
        .await;
    soon("their subscriptions to end", async {
        while scene.hub.stats().open_subscriptions > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(scene.page().await.starts_with("HTTP/1.1 200"));
    scene.append("{}").await;
    reader.until("\"tags\":[]}\n\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_followers_that_never_read_do_not_affect_others() {
    followers_that_never_read_are_disconnected(50).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes long: part of the long tests"]
async fn five_hundred_followers_that_never_read_do_not_affect_others() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    followers_that_never_read_are_disconnected(500).await;
}

#[tokio::test]
async fn half_sent_heads_are_closed_and_counted() {
    let scene = Scene::start(|server| server.with_header_timeout(SHORT)).await;
    let mut half = Vec::new();
    for _ in 0..20 {
        half.push(scene.send("GET /feed HTTP/1.1\nHost: localhost\nAcce").await);
    }
    assert!(scene.page().await.starts_with("HTTP/1.1 200"));
    for raw in &mut half {
        raw.rest().await;
    }
    scene
        .until("the half-sent heads to time out", |stats| {
            stats.header_timeouts == 20 && stats.open == 0
        })
        .await;
}

#[tokio::test]
async fn a_stalled_body_is_refused_and_counted() {
    let scene = Scene::start(|server| server.with_read_stall_timeout(SHORT)).await;
    let head = "POST /streams/s HTTP/1.1\nHost: localhost\nContent-Type: application/json\n\
                Content-Length: 30\n\n{\"type\":";
    let answer = scene.send(head).await.rest().await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert_eq!(scene.server.stats().stalled_bodies, 1);
}

#[tokio::test]
async fn endless_heads_are_refused() {
    let scene = Scene::start(|server| server).await;
    let line = format!("X-Junk: {}\r\n", "x".repeat(1_000));
    let mut raw = scene.send("GET /feed HTTP/1.1\nHost: localhost\n").await;
    for _ in 0..60 {
        raw.send(&line).await;
    }
    let answer = raw.rest().await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let mut many = scene.send("GET /feed HTTP/1.1\nHost: localhost\n").await;
    many.send(&format!("{}\r\n", "X: y\r\n".repeat(2_000))).await;
    let answer = many.rest().await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(scene.page().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_or_dropped() {
    let scene = Scene::start(|server| server.with_max_connections(10)).await;
    let mut reader = scene.follow().await;
    reader.until("event: feed.live\n").await;
    let mut flood = Vec::new();
    for _ in 0..300 {
        flood.push(Raw::connect(scene.address).await);
    }
    scene.until("all connections", |stats| stats.accepted == 301).await;
    let stats = scene.server.stats();
    assert!(stats.open <= 10 + 64, "{stats:?}");
    assert_eq!(stats.refused + stats.dropped, 300 - 9, "{stats:?}");
    scene.append("{}").await;
    reader.until("\"tags\":[]}\n\n").await;
    drop(flood);
    scene.until("the flood to be over", |stats| stats.open == 1).await;
    assert!(scene.page().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn the_limit_per_client_holds() {
    let scene = Scene::start(|server| server.with_max_per_client(3)).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = scene.follow().await;
        stream.until("event: feed.live\n").await;
        streams.push(stream);
    }
    let refused = scene.page().await;
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    assert!(refused.contains("retry-after:") && refused.contains(r#""code":"limit""#), "{refused}");
    let refused = scene.follow().await.rest().await;
    assert!(
        refused.starts_with("HTTP/1.1 200") && refused.contains(r#""reason":"limit""#),
        "{refused}"
    );
    assert_eq!(scene.server.stats().limited, 2);
    streams.pop();
    soon("a free place", async { while !scene.page().await.starts_with("HTTP/1.1 200") {} }).await;
}

/// Sends a request with this client header on a connection of a proxy.
async fn ask(proxy: &mut Raw, client: &str) -> String {
    let request = format!("HEAD /feed HTTP/1.1\r\nHost: localhost\r\n{client}\r\n\r\n");
    proxy.send(&request).await;
    proxy.until("\r\n\r\n").await
}

#[tokio::test]
async fn requests_through_a_trusted_proxy_count_by_client() {
    let proxies = TrustedProxies::by_x_forwarded_for(["127.0.0.1"]);
    let set_up = |server: Server| server.with_trusted_proxies(proxies).with_max_per_client(2);
    let scene = Scene::start(set_up).await;
    let follow = "GET /feed HTTP/1.1\nHost: localhost\nAccept: text/event-stream\n\
                  X-Forwarded-For: 203.0.113.9, 192.0.2.1\n\n";
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = scene.send(follow).await;
        stream.until("event: feed.live\n").await;
        streams.push(stream);
    }
    // All clients share a connection of the proxy, and a refusal does not close it.
    let mut proxy = Raw::connect(scene.address).await;
    let refused = ask(&mut proxy, "X-Forwarded-For: 192.0.2.2, 192.0.2.1").await;
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    for _ in 0..5 {
        let other = ask(&mut proxy, "X-Forwarded-For: 192.0.2.1, 192.0.2.2").await;
        assert!(other.starts_with("HTTP/1.1 200"), "{other}");
    }
    drop(streams.pop());
    soon("a free place", async {
        while !ask(&mut proxy, "X-Forwarded-For: 192.0.2.1").await.starts_with("HTTP/1.1 200") {}
    })
    .await;
}

#[tokio::test]
async fn an_unlisted_proxy_is_not_trusted() {
    let proxies = TrustedProxies::by_x_forwarded_for(["10.0.0.0/8"]);
    let set_up = |server: Server| server.with_trusted_proxies(proxies).with_max_per_client(1);
    let scene = Scene::start(set_up).await;
    let mut first = Raw::connect(scene.address).await;
    assert!(ask(&mut first, "X-Forwarded-For: 192.0.2.1").await.starts_with("HTTP/1.1 200"));
    let mut second = Raw::connect(scene.address).await;
    let refused = ask(&mut second, "X-Forwarded-For: 192.0.2.2").await;
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
}

/// A masked frame with this first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = u64::try_from(payload.len()).unwrap().to_be_bytes();
    [&[first, 0xff][..], &len, &[0; 4], payload].concat()
}

async fn websocket(scene: &Scene) -> Raw {
    let mut socket = scene
        .send(
            "GET /feed/ws HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: websocket\n\
             Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n",
        )
        .await;
    socket.until("\r\n\r\n").await;
    socket
}

/// Reads a text message of less than 64 KiB.
async fn message(socket: &mut Raw) -> String {
    let read = async {
        assert_eq!(socket.0.read_u8().await.unwrap(), 0x81);
        let len = match socket.0.read_u8().await.unwrap() {
            126 => socket.0.read_u16().await.unwrap().into(),
            len => usize::from(len),
        };
        let mut text = vec![0; len];
        socket.0.read_exact(&mut text).await.unwrap();
        String::from_utf8(text).unwrap()
    };
    soon("a message", read).await
}

#[tokio::test]
async fn unfinished_messages_are_bounded_by_the_byte_budget() {
    const FRAGMENT: usize = 255 << 10;
    let scene = Scene::start(|server| server.with_byte_budget(10 * FRAGMENT)).await;
    let begun = frame(0x01, &vec![b' '; FRAGMENT]);
    let (mut kept, mut refused) = (Vec::new(), 0);
    for _ in 0..30 {
        let mut socket = websocket(&scene).await;
        // The server may close the socket before it has taken everything.
        let _ = socket.0.write_all(&begun).await;
        let ping = soon("the ping", socket.0.write_all(b"\x89\x80\0\0\0\0")).await;
        // A pong, or a close frame, which the server writes first.
        match ping.map(|()| socket.0.read_u8()) {
            Ok(first) => match soon("an answer", first).await.unwrap() {
                0x8a => kept.push(socket),
                0x88 => refused += 1,
                other => panic!("{other:#x}"),
            },
            Err(_) => refused += 1,
        }
    }
    // Those that have room wait for the rest, and get an answer.
    assert_eq!((kept.len(), refused), (10, 20));
    for mut socket in kept {
        socket.0.read_u8().await.unwrap();
        let rest = br#"{"frame":"ping","req":"p1"}"#;
        socket.0.write_all(&frame(0x80, rest)).await.unwrap();
        assert_eq!(message(&mut socket).await, r#"{"frame":"pong","req":"p1"}"#);
    }
    let mut last = websocket(&scene).await;
    last.0.write_all(&begun).await.unwrap();
    last.0.write_all(&frame(0x80, b"")).await.unwrap();
    assert!(message(&mut last).await.contains(r#""code":"invalid""#));
}
