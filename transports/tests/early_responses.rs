//! Responses that are sent before the request was read reach clients that write
//! everything before they read anything, at a limited cost for the server.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod support;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::get;
use downlink::{Hub, LocalBus, MemoryStore};
use downlink_transports::feed::Feed;
use downlink_transports::serve::{Server, ServerStats};
use futures::{StreamExt, stream};
use support::{Raw, listener, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const MIB: usize = 1 << 20;
const SHORT: Duration = Duration::from_millis(200);
const NEVER: Duration = Duration::from_hours(1);

/// How often each request is sent. Without a lingering close, every second one got
/// no response.
const TIMES: usize = 5;

const SIZES: [usize; 4] = [MIB, 3 * MIB, 10 * MIB, 17 * MIB];

const JSON: &str = "Content-Type: application/json\n";

const HANDSHAKE: &str = "Connection: upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n";

struct Scene {
    server: Server,
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<downlink::Result<()>>,
}

impl Scene {
    /// A feed that accepts appends, and other routes.
    async fn start(set_up: impl FnOnce(Server) -> Server) -> Self {
        let hub = Hub::builder(MemoryStore::new(), LocalBus::new()).start().await.unwrap();
        let feed = Feed::new(&hub).with_public_access().with_append();
        let router = feed.router().route("/ping", get(async || "pong")).route("/large", get(large));
        let server = set_up(Server::new(router));
        let (listener, address) = listener().await;
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(server.clone().serve(listener, shutdown.clone()));
        Self { server, address, shutdown, task }
    }

    /// Sends the beginning of a request.
    async fn send(&self, head: &str) -> Raw {
        let mut raw = Raw::connect(self.address).await;
        raw.send(&head.replace('\n', "\r\n")).await;
        raw
    }

    /// Sends a whole request, and only then reads the status.
    async fn ask(&self, head: &str, body: &[u8]) -> io::Result<String> {
        let Raw(mut socket) = Raw::connect(self.address).await;
        let exchange = async {
            socket.write_all(head.replace('\n', "\r\n").as_bytes()).await?;
            socket.write_all(body).await?;
            let mut answer = [0; 12];
            socket.read_exact(&mut answer).await?;
            Ok(String::from_utf8_lossy(&answer[9..]).into_owned())
        };
        soon("a response", exchange).await
    }

    /// Sends a body of this size several times, with a length and in chunks.
    async fn expect(&self, status: u16, head: &str, bytes: usize) {
        let fixed = format!("{head}Content-Length: {bytes}\n\n");
        let chunked = format!("{head}Transfer-Encoding: chunked\n\n");
        // Blanks, which may precede an event.
        let (whole, chunks) = (vec![b' '; bytes], in_chunks(bytes));
        for time in 0..TIMES {
            for (head, body) in [(&fixed, &whole), (&chunked, &chunks)] {
                let answer = self.ask(head, body).await.map_err(|error| error.to_string());
                assert_eq!(answer, Ok(status.to_string()), "{head}{bytes} bytes, time {time}");
            }
        }
    }

    /// Waits until the counters are as expected.
    async fn until(&self, what: &str, is_so: impl Fn(ServerStats) -> bool) {
        let counted = async {
            while !is_so(self.server.stats()) {
                tokio::task::yield_now().await;
            }
        };
        soon(what, counted).await;
    }

    async fn ended(self) {
        soon("the end of the server", self.task).await.unwrap().unwrap();
    }
}

/// A response that is too large for the buffers of a socket.
async fn large() -> Response {
    let chunk = Bytes::from(vec![b'x'; MIB]);
    Response::new(Body::from_stream(stream::repeat(Ok::<_, Infallible>(chunk)).take(32)))
}

fn in_chunks(bytes: usize) -> Vec<u8> {
    let chunk = [b"10000\r\n", &vec![b' '; 0x10000][..], b"\r\n"].concat();
    [chunk.repeat(bytes / 0x10000), b"0\r\n\r\n".to_vec()].concat()
}

fn head(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\nHost: localhost\n{headers}")
}

/// Writes until the server closes the connection.
async fn send_until_closed(raw: &mut Raw) {
    let junk = vec![b'x'; 0x10000];
    soon("the close", async { while raw.0.write_all(&junk).await.is_ok() {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_the_sender_of_a_large_body() {
    let scene = Scene::start(|server| server).await;
    let evil = format!("Origin: http://evil.test\n{JSON}");
    for bytes in SIZES {
        scene.expect(403, &head("POST /streams/s", &evil), bytes).await;
        scene.expect(405, &head("POST /feed", JSON), bytes).await;
        scene.expect(415, &head("POST /streams/s", "Content-Type: text/plain\n"), bytes).await;
        scene.expect(400, &head("POST /streams/s?expected=soon", JSON), bytes).await;
        scene.expect(400, &head("GET /feed/ws", HANDSHAKE), bytes).await;
    }
    scene.expect(404, &head("POST /nowhere", JSON), 3 * MIB).await;
    scene.expect(413, &head("POST /streams/s", JSON), 17 * MIB).await;
    scene.expect(426, &head("GET /feed/ws", ""), 3 * MIB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parse_error_reaches_the_sender_of_a_large_body() {
    let scene = Scene::start(|server| server).await;
    let too_large = format!("Last-Event-ID: {}\n", "0".repeat(60_000));
    scene.expect(431, &head("POST /streams/s", &too_large), 3 * MIB).await;
    scene.expect(400, &head("POST /streams/s", "no header\n"), 3 * MIB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_a_body_reaches_its_sender() {
    let scene = Scene::start(|server| server).await;
    for head in [head("POST /streams/s", JSON), head("POST /feed", JSON)] {
        let head = format!("{head}Transfer-Encoding: chunked\n\nno length\n");
        for _ in 0..TIMES {
            let status = scene.ask(&head, &vec![b'x'; 3 * MIB]).await.unwrap();
            assert!(["400", "405"].contains(&&*status), "{status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_error_reaches_the_sender_of_a_large_body() {
    let scene = Scene::start(|server| server.with_max_connections(1)).await;
    let mut first = Raw::get(scene.address, "/ping").await;
    first.until("pong").await;
    expect_everywhere(&scene, 503).await;

    let scene = Scene::start(|server| server.with_max_per_client(1)).await;
    let mut first = Raw::get(scene.address, "/ping").await;
    first.until("pong").await;
    expect_everywhere(&scene, 429).await;
}

/// Expects a refusal on every route, and in every way to send a body.
async fn expect_everywhere(scene: &Scene, status: u16) {
    for bytes in SIZES {
        scene.expect(status, &head("POST /streams/s", JSON), bytes).await;
    }
    let expects = format!("{JSON}Expect: 100-continue\n");
    let origin = format!("{JSON}Origin: http://evil.test\n");
    for head in [
        head("POST /streams/s", &expects),
        head("POST /streams/s", &origin),
        head("POST /feed", JSON),
        head("GET /feed", ""),
        head("GET /feed/ws", HANDSHAKE),
        head("POST /ping", ""),
        head("POST /nowhere", ""),
    ] {
        scene.expect(status, &head, 3 * MIB).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_lack_of_memory_reaches_the_sender_of_a_large_body() {
    let scene = Scene::start(|server| server.with_byte_budget(MIB / 2)).await;
    for bytes in [MIB, 3 * MIB, 10 * MIB] {
        scene.expect(503, &head("POST /streams/s", JSON), bytes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_sender_that_closes_its_half() {
    let scene = Scene::start(|server| server).await;
    let full = Scene::start(|server| server.with_max_connections(1)).await;
    let mut first = Raw::get(full.address, "/ping").await;
    first.until("pong").await;
    for (scene, status) in [(&scene, "405"), (&full, "503")] {
        for _ in 0..TIMES {
            let head = head("POST /feed", &format!("{JSON}Content-Length: {}\n\n", 3 * MIB));
            let mut raw = scene.send(&head).await;
            raw.send(&"x".repeat(3 * MIB)).await;
            raw.0.shutdown().await.unwrap();
            let answer = raw.rest().await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
    }
}

/// Java's client offers HTTP/2 with every request.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_after_an_offered_upgrade_is_read() {
    let scene = Scene::start(|server| server).await;
    let offer = "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAEAAEAA\n";
    let event = r#"{"type":"FlightDelayed","data":1}"#;
    let length = format!("{offer}{JSON}Content-Length: {}\n\n", event.len());
    let mut raw = Raw::connect(scene.address).await;
    for _ in 0..2 {
        raw.send(&head("POST /streams/s", &length).replace('\n', "\r\n")).await;
        raw.send(event).await;
        let answer = raw.answer().await;
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }
    scene.expect(405, &head("POST /feed", &format!("{offer}{JSON}")), 3 * MIB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_during_the_drain_reaches_the_sender_of_a_large_body() {
    let scene = Scene::start(|server| server.with_drain_deadline(NEVER)).await;
    // A request whose body is awaited delays the drain.
    let expects = format!("{JSON}Expect: 100-continue\nContent-Length: 3\n\n");
    let mut held = scene.send(&head("POST /streams/s", &expects)).await;
    held.until("100 Continue\r\n\r\n").await;
    let mut idle = Raw::get(scene.address, "/ping").await;
    idle.answer().await;
    scene.shutdown.cancel();
    idle.rest().await;
    for bytes in SIZES {
        scene.expect(405, &head("POST /feed", JSON), bytes).await;
        scene.expect(503, &head("POST /streams/s", JSON), bytes).await;
    }
    let expects = format!("{JSON}Expect: 100-continue\n");
    scene.expect(503, &head("POST /streams/s", &expects), 3 * MIB).await;
    scene.expect(503, &head("GET /feed", ""), 3 * MIB).await;
    scene.expect(503, &head("GET /feed/ws", HANDSHAKE), 3 * MIB).await;
    scene.expect(404, &head("POST /nowhere", ""), 3 * MIB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_after_the_last_request_do_not_lose_its_response() {
    let scene = Scene::start(|server| server).await;
    for _ in 0..TIMES {
        let head = head("GET /ping", "Connection: close\n\nGET /ping");
        assert_eq!(scene.ask(&head, &vec![b'x'; 3 * MIB]).await.unwrap(), "200");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_response_reaches_a_client_that_is_still_writing() {
    let scene = Scene::start(|server| server).await;
    scene.expect(200, &head("GET /large", ""), 17 * MIB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_kept_after_a_discarded_body() {
    let scene = Scene::start(|server| server.with_max_connections(1)).await;
    let mut raw = Raw::connect(scene.address).await;
    let event = r#"{"type":"FlightDelayed","data":1}"#;
    for (line, body, status) in [
        ("POST /streams/s", event.to_owned(), "201"),
        ("POST /feed", "x".repeat(3 * MIB), "405"),
        ("POST /feed", "x".into(), "405"),
        ("GET /ping", "x".repeat(17 * MIB), "200"),
        ("POST /streams/s", event.to_owned(), "201"),
    ] {
        let head = head(line, &format!("{JSON}Content-Length: {}\n\n", body.len()));
        raw.send(&head.replace('\n', "\r\n")).await;
        raw.send(&body).await;
        let answer = raw.answer().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head}{answer}");
        assert!(!answer.contains("connection: close"), "{head}{answer}");
    }
    assert_eq!(scene.server.stats().accepted, 1);
}

#[tokio::test]
async fn a_refusal_does_not_send_100_continue() {
    let scene = Scene::start(|server| server.with_linger_timeout(NEVER)).await;
    let expects = format!("{JSON}Expect: 100-continue\nContent-Length: {MIB}\n\n");
    let answer = scene.send(&head("POST /feed", &expects)).await.rest().await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_client_that_sends_without_100_continue() {
    let scene = Scene::start(|server| server).await;
    let expects = format!("{JSON}Expect: 100-continue\n");
    scene.expect(405, &head("POST /feed", &expects), 3 * MIB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_length_over_the_limit_is_refused_before_the_body_is_sent() {
    let scene = Scene::start(|server| server.with_linger_timeout(NEVER)).await;
    let endless = format!("{JSON}Content-Length: {}\n\n", 100 * MIB);
    let mut raw = scene.send(&head("POST /feed", &endless)).await;
    let answer = raw.rest().await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_sends_endlessly_is_disconnected() {
    let scene =
        Scene::start(|server| server.with_linger_timeout(NEVER).with_linger_bytes(1 << 20)).await;
    let chunk = "Transfer-Encoding: chunked\n\n7fffffff\n";
    for (count, head) in [
        head("POST /feed", chunk),
        head("POST /feed", &format!("Expect: 100-continue\n{chunk}")),
        head("POST /feed", &format!("Content-Length: {}\n\n", usize::MAX / 2)),
        head("POST /feed", "no header\n\n"),
        head("GET /ping", "Connection: close\n\nGET /ping"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut raw = scene.send(&head).await;
        send_until_closed(&mut raw).await;
        let is_closed =
            |stats: ServerStats| stats.still_sending == 1 + count as u64 && stats.open == 0;
        scene.until(&format!("the close after {head}"), is_closed).await;
    }
}

#[tokio::test]
async fn a_peer_that_stops_sending_is_disconnected() {
    let scene = Scene::start(|server| server.with_linger_timeout(SHORT)).await;
    let length = format!("Content-Length: {MIB}\n\n");
    let expects = format!("Expect: 100-continue\n{length}");
    let mut raws = Vec::new();
    for head in [head("POST /feed", &length), head("POST /feed", &expects), "no header\n\n".into()]
    {
        let mut raw = scene.send(&head).await;
        raw.rest().await;
        raws.push(raw);
    }
    scene
        .until("the silent peers to be disconnected", |stats| {
            stats.still_sending == 3 && stats.open == 0
        })
        .await;
}

#[tokio::test]
async fn a_lingering_connection_counts_as_open_until_it_closes() {
    let scene =
        Scene::start(|server| server.with_linger_timeout(NEVER).with_max_connections(1)).await;
    let mut lingering = scene.send("no header\n\n").await;
    lingering.rest().await;
    assert_eq!(scene.ask("GET /ping HTTP/1.1\nHost: localhost\n\n", b"").await.unwrap(), "503");
    drop(lingering);
    scene.until("the close", |stats| stats.open == 0).await;
    assert_eq!(scene.ask("GET /ping HTTP/1.1\nHost: localhost\n\n", b"").await.unwrap(), "200");
    assert_eq!(scene.server.stats().still_sending, 0);
}

#[tokio::test]
async fn a_connection_whose_request_was_read_closes_at_once() {
    let scene = Scene::start(|server| server.with_linger_timeout(NEVER)).await;
    let event = r#"{"type":"FlightDelayed","data":1}"#;
    let with = |body: &str| format!("{JSON}Connection: close\nContent-Length: {}\n\n", body.len());
    for (head, body) in [
        (head("GET /ping", "Connection: close\n\n"), ""),
        (head("POST /streams/s", &with(event)), event),
        (head("POST /feed", &with(event)), event),
    ] {
        let mut raw = scene.send(&head).await;
        raw.send(body).await;
        raw.rest().await;
        scene.until("the close", |stats| stats.open == 0).await;
    }
}

#[tokio::test]
async fn a_drain_does_not_wait_for_silent_peers() {
    let set_up = |server: Server| server.with_linger_timeout(NEVER).with_drain_deadline(NEVER);
    let scene = Scene::start(set_up).await;
    let mut lingering = scene.send("no header\n\n").await;
    lingering.rest().await;
    let mut discarded = scene.send(&head("POST /feed", "Content-Length: 9\n\n")).await;
    discarded.answer().await;
    scene.shutdown.cancel();
    scene.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_does_not_wait_for_senders_beyond_its_deadline() {
    let set_up = |server: Server| server.with_linger_timeout(NEVER).with_linger_bytes(u64::MAX);
    let scene = Scene::start(|server| set_up(server).with_drain_deadline(SHORT)).await;
    let chunk = "Transfer-Encoding: chunked\n\n7fffffff\n";
    let mut senders = Vec::new();
    for head in [head("POST /feed", chunk), head("POST /feed", "no header\n\n")] {
        let mut raw = scene.send(&head).await;
        raw.0.readable().await.unwrap();
        senders.push(tokio::spawn(async move { send_until_closed(&mut raw).await }));
    }
    scene.shutdown.cancel();
    scene.ended().await;
    for sender in senders {
        sender.await.unwrap();
    }
}
