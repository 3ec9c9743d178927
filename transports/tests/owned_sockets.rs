//! SSE streams whose socket the server has taken over from hyper.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use downlink::{Expected, Hub, NewEvent};
use downlink_transports::feed::Feed;
use downlink_transports::serve::{Server, ServerStats};
use futures::{StreamExt, TryStreamExt};
use http::HeaderValue;
use http::header::{CONNECTION, CONTENT_LENGTH};
use support::{Raw, listener, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const HOST: &str = "Host: localhost\r\n";
const ACCEPT: &str = "Accept: text/event-stream\r\n";
const LIVE: &str = "event: feed.live\n";

/// A hub whose feed is served.
struct Served {
    hub: Hub,
    address: SocketAddr,
    shutdown: CancellationToken,
    server: Server,
    task: JoinHandle<downlink::Result<()>>,
}

impl Served {
    async fn start() -> Self {
        Self::layered(|router| router).await
    }

    async fn layered(layer: impl FnOnce(Router) -> Router) -> Self {
        Self::with(layer, |server| server).await
    }

    async fn with(
        layer: impl FnOnce(Router) -> Router,
        configure: impl FnOnce(Server) -> Server,
    ) -> Self {
        let hub = downlink::memory::hub().await.unwrap();
        let (listener, address) = listener().await;
        let router = Feed::new(&hub).router().route("/ping", get(async || "pong"));
        let server = configure(Server::new(layer(router)));
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(server.clone().serve(listener, shutdown.clone()));
        Self { hub, address, shutdown, server, task }
    }

    /// Requests a stream, with these lines in addition.
    async fn request(&self, version: &str, lines: &str) -> Raw {
        let mut raw = Raw::connect(self.address).await;
        raw.send(&format!("GET /feed {version}\r\n{HOST}{ACCEPT}{lines}\r\n")).await;
        raw
    }

    /// Opens a stream and reads it until it is live.
    async fn open(&self) -> (Raw, String) {
        let mut raw = self.request("HTTP/1.1", "").await;
        let read = raw.until(LIVE).await;
        let block = raw.until("\n\n").await;
        (raw, read + &block)
    }

    async fn append(&self, data: &str) {
        let event = NewEvent::json("FlightDelayed", format!("\"{data}\"")).unwrap();
        self.hub.append_to("flight-UA1545", Expected::Any, [event]).await.unwrap();
    }

    async fn subscriptions(&self, count: u64) {
        let is_reached = async || self.hub.stats().open_subscriptions == count;
        until("the number of subscriptions", is_reached).await;
    }

    async fn ended(self) -> ServerStats {
        soon("the end of the server", self.task).await.unwrap().unwrap();
        self.server.stats()
    }
}

/// Waits until a condition holds.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    soon(what, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Reads to the end of the connection, which must not be a reset.
async fn clean_end(raw: &mut Raw) -> String {
    let mut text = String::new();
    soon("the end of the connection", raw.0.read_to_string(&mut text)).await.unwrap();
    text
}

fn assert_owned(text: &str) {
    let head = text.split("\r\n\r\n").next().unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        head.contains("\r\nconnection: close") && !head.contains("transfer-encoding"),
        "{head}"
    );
}

#[tokio::test]
async fn the_head_is_that_of_the_layers_and_the_body_ends_with_the_connection() {
    let layer = map_response(async |mut response: Response| {
        response.headers_mut().insert("x-layer", HeaderValue::from_static("yes"));
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("keep-alive"));
        response
    });
    let served = Served::layered(|router| router.layer(layer)).await;
    let (mut raw, text) = served.open().await;
    assert_owned(&text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let count = |name: &str| head.matches(&format!("\r\n{name}: ")).count();
    assert_eq!(["date", "connection", "x-layer"].map(count), [1, 1, 1], "{head}");
    for line in ["content-type: text/event-stream", "x-accel-buffering: no", "x-layer: yes"] {
        assert!(head.contains(&format!("\r\n{line}")), "{head}");
    }
    assert!(body.starts_with(":\n\n") && body.contains("event: feed.ready\n"), "{body}");
    served.append("one").await;
    assert!(raw.until("\n\n").await.ends_with("\"data\":\"one\",\"metadata\":{},\"tags\":[]}\n\n"));
    served.shutdown.cancel();
    let bye = clean_end(&mut raw).await;
    assert!(bye.contains("event: feed.bye\n") && bye.ends_with("\n\n"), "{bye}");
    assert_eq!(served.ended().await.aborted, 0);
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_the_same() {
    let served = Served::start().await;
    let mut raw = served.request("HTTP/1.0", "Connection: keep-alive\r\n").await;
    assert_owned(&raw.until(LIVE).await);
    served.shutdown.cancel();
    assert!(clean_end(&mut raw).await.contains("event: feed.bye\n"));
}

#[tokio::test]
async fn a_body_that_a_layer_has_wrapped_is_what_is_sent() {
    let layer = map_response(async |response: Response| {
        let (head, body) = response.into_parts();
        let chunks = body.into_data_stream();
        let shouted = chunks.map_ok(|chunk| Bytes::from(chunk.to_ascii_uppercase()));
        Response::from_parts(head, Body::from_stream(shouted))
    });
    let served = Served::layered(|router| router.layer(layer)).await;
    let mut raw = served.request("HTTP/1.1", "").await;
    assert_owned(&raw.until("EVENT: FEED.LIVE\n").await);
    served.append("loud").await;
    raw.until("\"DATA\":\"LOUD\",").await;
}

#[tokio::test]
async fn a_layer_that_gives_the_body_a_length_keeps_hyper() {
    let layer = map_response(async |response: Response| {
        let (mut head, body) = response.into_parts();
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(2));
        let first = body.into_data_stream().map_ok(|chunk| chunk.slice(..2)).take(1);
        Response::from_parts(head, Body::from_stream(first))
    });
    let served = Served::layered(|router| router.layer(layer)).await;
    let mut raw = served.request("HTTP/1.1", "").await;
    assert!(raw.answer().await.ends_with("\r\n\r\n:\n"));
    raw.send(&format!("GET /ping HTTP/1.1\r\n{HOST}\r\n")).await;
    assert!(raw.answer().await.ends_with("\r\n\r\npo"), "the connection is kept");
}

/// How a connection ends whose body ends like this once `live` has come.
async fn end_of_a_broken_body(end: fn() -> std::io::Result<Bytes>) -> std::io::Result<usize> {
    let layer = map_response(move |response: Response| async move {
        let (head, body) = response.into_parts();
        let breaking = body.into_data_stream().map(move |chunk| {
            let chunk = chunk.map_err(std::io::Error::other)?;
            let is_live = chunk.windows(9).any(|part| part == b"feed.live");
            if is_live { end() } else { Ok(chunk) }
        });
        Response::from_parts(head, Body::from_stream(breaking))
    });
    let served = Served::layered(|router| router.layer(layer)).await;
    let mut raw = served.request("HTTP/1.1", "").await;
    soon("the end of the connection", raw.0.read_to_end(&mut Vec::new())).await
}

#[tokio::test]
async fn a_body_that_fails_or_panics_ends_with_a_reset() {
    let ends: [fn() -> std::io::Result<Bytes>; 2] = [
        || Err(std::io::Error::other("broken")),
        || panic!("this body panics (injected by the test)"),
    ];
    for end in ends {
        let ended = end_of_a_broken_body(end).await;
        assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn responses_before_the_stream_arrive_whole() {
    let large = || "x".repeat(16 << 20);
    let served = Served::layered(|router| router.route("/large", get(async move || large()))).await;
    let mut raw = Raw::connect(served.address).await;
    let ping = format!("GET /ping HTTP/1.1\r\n{HOST}\r\n");
    let large = format!("GET /large HTTP/1.1\r\n{HOST}\r\n");
    raw.send(&format!("{ping}{large}GET /feed HTTP/1.1\r\n{HOST}{ACCEPT}\r\n{ping}")).await;
    assert!(raw.answer().await.ends_with("\r\n\r\npong"));
    assert!(raw.answer().await.ends_with("xxxx"));
    assert_owned(&raw.until(LIVE).await);
    served.shutdown.cancel();
    let rest = clean_end(&mut raw).await;
    assert!(rest.contains("event: feed.bye\n") && !rest.contains("pong"), "{rest}");
}

#[tokio::test]
async fn what_a_client_sends_is_discarded_and_does_not_reset_the_connection() {
    let served = Served::start().await;
    let mut raw = served.request("HTTP/1.1", "").await;
    raw.send(&"x".repeat(256 << 10)).await;
    raw.until(LIVE).await;
    raw.send(&"y".repeat(256 << 10)).await;
    served.shutdown.cancel();
    let mut text = Vec::new();
    let (mut reader, mut writer) = raw.0.split();
    // It sends until it has read the end.
    let send = async {
        loop {
            writer.write_all(&[b'z'; 1 << 10]).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let read = soon("the end of the connection", reader.read_to_end(&mut text));
    tokio::select! {
        read = read => drop(read.unwrap()),
        () = send => {}
    }
    assert!(String::from_utf8(text).unwrap().contains("event: feed.bye\n"));
    drop(raw);
    assert_eq!(served.ended().await.aborted, 0);
}

#[tokio::test]
async fn a_client_that_closes_ends_its_subscription_at_once() {
    let served = Served::start().await;
    let (mut half, _) = served.open().await;
    let (whole, _) = served.open().await;
    served.subscriptions(2).await;
    drop(whole);
    served.subscriptions(1).await;
    half.0.shutdown().await.unwrap();
    served.subscriptions(0).await;
    until("the end of the connections", async || served.server.stats().open == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_waited_for_and_then_receives_everything() {
    let served = Served::start().await;
    let (mut raw, _) = served.open().await;
    let large = "x".repeat(64 << 10);
    for _ in 0..200 {
        served.append(&large).await;
    }
    served.append("last").await;
    let mut text = Vec::new();
    let has_last =
        |text: &[u8]| text.windows(6).rev().take(1 << 10).any(|part| part == b"\"last\"");
    soon("the last event", async {
        while !has_last(&text) {
            assert_ne!(raw.0.read_buf(&mut text).await.unwrap(), 0, "the stream ended");
        }
    })
    .await;
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.matches("data: {\"cursor\"").count(), 201, "an event came in part or twice");
    assert_eq!(text.matches(&large).count(), 200);
}

#[tokio::test]
async fn a_stream_that_does_not_end_is_closed_at_the_deadline_of_the_drain() {
    // A layer that does not let the stream's end through.
    let layer = map_response(async |response: Response| {
        let (head, body) = response.into_parts();
        let endless = body.into_data_stream().chain(futures::stream::pending());
        Response::from_parts(head, Body::from_stream(endless))
    });
    let deadline = Duration::from_millis(300);
    let served =
        Served::with(|router| router.layer(layer), |server| server.with_drain_deadline(deadline))
            .await;
    let (mut raw, _) = served.open().await;
    served.shutdown.cancel();
    raw.rest().await;
    assert_eq!(served.ended().await.aborted, 1);
}

#[tokio::test]
async fn a_connection_is_counted_as_long_as_its_stream() {
    let served = Served::with(|router| router, |server| server.with_max_per_client(1)).await;
    let (raw, _) = served.open().await;
    assert_eq!(served.server.stats().open, 1);
    let mut refused = Raw::get(served.address, "/ping").await;
    assert!(refused.rest().await.starts_with("HTTP/1.1 429"));
    drop(raw);
    until("the end of the connection", async || served.server.stats().open == 0).await;
    let mut raw = Raw::get(served.address, "/ping").await;
    assert!(raw.answer().await.ends_with("pong"));
}

#[tokio::test]
async fn a_head_request_stays_with_hyper() {
    let served = Served::start().await;
    let mut raw = Raw::connect(served.address).await;
    raw.send(&format!("HEAD /feed HTTP/1.1\r\n{HOST}{ACCEPT}\r\n")).await;
    let head = raw.until("\r\n\r\n").await;
    assert!(head.contains("text/event-stream") && !head.contains("connection: close"), "{head}");
    raw.send(&format!("GET /ping HTTP/1.1\r\n{HOST}\r\n")).await;
    assert!(raw.answer().await.ends_with("pong"));
}
