//! A peer that reads slowly is served, and one that reads nothing or has vanished is
//! disconnected: over real sockets, because only the kernel can tell them apart.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::{get, post};
use downlink::{Expected, Hub, NewEvent};
use downlink_transports::Connection;
use downlink_transports::feed::Feed;
use downlink_transports::serve::{Server, ServerStats};
use futures::future::join_all;
use futures::stream;
use socket2::{SockFilter, SockRef};
use support::{Raw, listener, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// How much faster than the default timeouts those of the tests are. Readers are
/// faster by as much.
const SCALE: u32 = 60;

const STUCK: Duration = Duration::from_secs(300 / SCALE as u64);
const DEAD: Duration = Duration::from_millis(500);
const NEVER: Duration = Duration::from_hours(1);

/// The receive buffer of a reader. Linux takes twice as much, and lets up to 122 KiB
/// of it become free before it acknowledges more.
const RECEIVE_BUFFER: u32 = 64 << 10;

const SSE: &str =
    "GET /feed?after=start HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";

const WEBSOCKET: &str = "GET /feed/ws?after=start HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

struct Scene {
    hub: Hub,
    server: Server,
    address: SocketAddr,
    _serving: AbortOnDropHandle<()>,
}

impl Scene {
    async fn start(set_up: impl FnOnce(Server) -> Server) -> Self {
        let hub = downlink::memory::hub().await.unwrap();
        let router = Feed::new(&hub).with_public_access().with_rotation(NEVER).router();
        let router = router.route("/hold", get(hold)).route("/bytes", post(bytes));
        let server = set_up(Server::new(router));
        let (listener, address) = listener().await;
        let serving = server.clone().serve(listener, CancellationToken::new());
        let serving = tokio::spawn(async { serving.await.unwrap() });
        Self { hub, server, address, _serving: AbortOnDropHandle::new(serving) }
    }

    async fn append(&self, bytes: usize) {
        let event = NewEvent::json("FlightDelayed", format!("\"{}\"", "x".repeat(bytes))).unwrap();
        self.hub.append_to("flight-UA1545", Expected::Any, [event]).await.unwrap();
    }

    /// Connects with a small receive buffer, and sends a request.
    async fn open(&self, request: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(RECEIVE_BUFFER).unwrap();
        let mut stream = soon("a connection", socket.connect(self.address)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Waits until the counters are as expected.
    async fn until(&self, what: &str, is_so: impl Fn(ServerStats) -> bool) {
        soon(what, async {
            while !is_so(self.server.stats()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

/// A stream without an end, that holds bytes of the budget as a reader that is behind
/// does.
async fn hold(Extension(connection): Extension<Connection>) -> Response {
    let held = connection.budget.try_reserve(HELD);
    let body = stream::repeat_with(move || {
        let _held = &held;
        Ok::<_, Infallible>(Bytes::from(vec![b'x'; 64 << 10]))
    });
    Response::new(Body::from_stream(body))
}

const HELD: usize = 450;

async fn bytes(body: Bytes) -> String {
    body.len().to_string()
}

/// Reads `total` bytes in small pieces, at this many bytes per second at most.
async fn read_slowly(reader: &mut TcpStream, rate: u32, total: usize) -> Vec<u8> {
    let piece = (rate / 50).clamp(16, 4 << 10);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) * piece / rate);
    let (mut bytes, began) = (Vec::new(), Instant::now());
    while bytes.len() < total {
        ticks.tick().await;
        let mut buf = vec![0; piece as usize];
        let read = reader.read(&mut buf).await;
        assert!(
            matches!(read, Ok(1..)),
            "a reader of {rate} bytes/s was disconnected after {} bytes and {:?}: {read:?}",
            bytes.len(),
            began.elapsed()
        );
        bytes.extend_from_slice(&buf[..read.unwrap()]);
    }
    bytes
}

/// Makes the socket lose every packet that arrives, as if its machine were gone.
fn vanish(socket: &TcpStream) {
    let return_0 = SockFilter::new(0x06, 0, 0, 0);
    SockRef::from(socket).attach_filter(&[return_0]).unwrap();
}

fn scaled(server: Server) -> Server {
    server.with_write_stall_timeout(STUCK).with_dead_peer_timeout(DEAD)
}

/// **Law.** A reader of 1 KiB/s is never disconnected.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_served() {
    let scene = Scene::start(scaled).await;
    for _ in 0..100 {
        scene.append(20_000).await;
    }
    let (mut sse, mut socket) = (scene.open(SSE).await, scene.open(WEBSOCKET).await);
    let rate = SCALE << 10;
    // For longer than the timeout.
    let total = rate as usize * 8;
    tokio::join!(read_slowly(&mut sse, rate, total), read_slowly(&mut socket, rate, total));
    assert_eq!(scene.server.stats().stalled_writes + scene.server.stats().dead_peers, 0);
}

/// **Law.** An event of a megabyte arrives at a reader of 8 KiB/s.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_event_arrives_at_a_slow_reader() {
    let scene = Scene::start(scaled).await;
    let size = 1_000_000;
    scene.append(size).await;
    let (mut sse, mut socket) = (scene.open(SSE).await, scene.open(WEBSOCKET).await);
    let rate = SCALE * (8 << 10);
    tokio::join!(read_slowly(&mut sse, rate, size), read_slowly(&mut socket, rate, size));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes long: part of the long tests"]
async fn slow_readers_are_served_with_the_default_timeouts() {
    let scene = Scene::start(|server| server).await;
    for _ in 0..400 {
        scene.append(20_000).await;
    }
    let mut readers = Vec::new();
    for rate in [1 << 10, 2 << 10, 8 << 10] {
        for request in [SSE, WEBSOCKET] {
            let mut reader = scene.open(request).await;
            let total = rate as usize * 480;
            readers.push(tokio::spawn(async move {
                read_slowly(&mut reader, rate, total).await;
            }));
        }
    }
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(scene.server.stats().stalled_writes + scene.server.stats().dead_peers, 0);
}

/// **Law.** A reader that is disconnected has advanced by an event at least, so that
/// it gets everything with time.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_disconnected_has_advanced() {
    let scene = Scene::start(scaled).await;
    let event = 20_000;
    for _ in 0..20 {
        scene.append(event).await;
    }
    // A quarter of what must be served.
    let rate = SCALE * 250;
    let received = [SSE, WEBSOCKET].map(async |request| {
        let mut reader = scene.open(request).await;
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let (mut buf, mut received) = (vec![0; rate as usize / 50], 0);
        loop {
            ticks.tick().await;
            match reader.read(&mut buf).await {
                Ok(read @ 1..) => received += read,
                _ => return received,
            }
        }
    });
    for received in soon("the end", join_all(received)).await {
        assert!(received > event * 2, "{received} bytes");
    }
    assert_eq!(scene.server.stats().stalled_writes, 2, "{:?}", scene.server.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_reads_is_disconnected_at_the_limit() {
    let stuck = Duration::from_secs(2);
    let scene = Scene::start(|server| server.with_write_stall_timeout(stuck)).await;
    for _ in 0..100 {
        scene.append(20_000).await;
    }
    let began = Instant::now();
    let (_sse, _socket) = (scene.open(SSE).await, scene.open(WEBSOCKET).await);
    scene.until("the end", |stats| stats.stalled_writes == 2 && stats.open == 0).await;
    assert!(began.elapsed() >= stuck, "{:?}", began.elapsed());
    soon("the end of their subscriptions", async {
        while scene.hub.stats().open_subscriptions > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_vanished_is_disconnected_as_dead() {
    let set_up =
        |server: Server| server.with_write_stall_timeout(NEVER).with_dead_peer_timeout(DEAD);
    // With an open window, bytes are sent again; with a closed one, it is probed.
    let peers = [(false, SSE), (false, WEBSOCKET), (true, SSE), (true, WEBSOCKET)];
    join_all(peers.map(async |(fills, request)| {
        let scene = Scene::start(set_up).await;
        let mut peer = scene.open(request).await;
        soon("the response", peer.read_u8()).await.unwrap();
        if fills {
            for _ in 0..50 {
                scene.append(20_000).await;
            }
            // Longer than it takes for the buffers to fill.
            tokio::time::sleep(DEAD * 3 / 2).await;
            assert_eq!(scene.server.stats().open, 1, "a peer that answers probes is not dead");
        }
        vanish(&peer);
        scene.append(1).await;
        scene.until("the end", |stats| stats.dead_peers == 1 && stats.open == 0).await;
        assert_eq!(scene.server.stats().stalled_writes, 0);
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_budget_is_used_up_the_oldest_stuck_peer_is_disconnected() {
    let under_pressure = Duration::from_secs(2);
    let stuck = under_pressure * 2;
    let set_up = |server: Server| server.with_write_stall_timeout(stuck).with_byte_budget(1_000);
    let scene = Scene::start(set_up).await;
    let hold = "GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let began = Instant::now();
    let mut first = Raw(scene.open(hold).await);
    first.until("\r\n\r\n").await;
    tokio::time::sleep(under_pressure / 2).await;
    let mut second = Raw(scene.open(hold).await);
    second.until("\r\n\r\n").await;
    let post = async || {
        let mut raw = Raw::connect(scene.address).await;
        let body = "x".repeat(200);
        raw.send(&format!(
            "POST /bytes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 200\r\n\r\n{body}"
        ))
        .await;
        raw.rest().await
    };
    let refused = post().await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    soon("room in the budget", async {
        while !post().await.starts_with("HTTP/1.1 200") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(began.elapsed() >= under_pressure, "{:?}", began.elapsed());
    assert_eq!(scene.server.stats().stalled_writes, 1);
    first.rest().await;
    let mut more = vec![0; 1 << 20];
    for _ in 0..8 {
        let read = soon("more of the second stream", second.0.read(&mut more)).await;
        assert!(matches!(read, Ok(1..)), "{read:?}");
    }
}

/// **Law.** No reader that advances is disconnected, even while the budget is used
/// up.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_budget_is_used_up_a_slow_reader_is_served() {
    let set_up = |server: Server| scaled(server).with_byte_budget(HELD);
    let scene = Scene::start(set_up).await;
    let mut reader = scene.open("GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    soon("the response", reader.read_u8()).await.unwrap();
    let refusals = async {
        loop {
            let mut raw = Raw::connect(scene.address).await;
            raw.send("POST /bytes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx").await;
            let answer = raw.rest().await;
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let rate = SCALE << 10;
    let total = rate as usize * 8;
    tokio::select! {
        _ = read_slowly(&mut reader, rate, total) => {}
        () = refusals => {}
    }
}
