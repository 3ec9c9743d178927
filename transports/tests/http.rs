//! HTTP as servers do it: pauses, half-closed connections, requests that cannot be
//! parsed, and responses that pass unchanged.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use downlink_transports::feed::Feed;
use downlink_transports::serve::{Server, TrustedProxies};
use futures::{StreamExt, stream};
use support::{Raw, listener, soon};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

const SHORT: Duration = Duration::from_millis(200);
const NEVER: Duration = Duration::from_hours(1);

struct Scene {
    server: Server,
    address: SocketAddr,
    _serving: AbortOnDropHandle<()>,
}

impl Scene {
    async fn start(router: Router, set_up: impl FnOnce(Server) -> Server) -> Self {
        let server = set_up(Server::new(router));
        let (listener, address) = listener().await;
        let serving = server.clone().serve(listener, CancellationToken::new());
        let serving = tokio::spawn(async { serving.await.unwrap() });
        Self { server, address, _serving: AbortOnDropHandle::new(serving) }
    }

    async fn plain() -> Self {
        Self::start(router(), |server| server).await
    }

    /// Sends a request, with `\n` for the ends of lines.
    async fn send(&self, request: &str) -> Raw {
        let mut raw = Raw::connect(self.address).await;
        raw.send(&request.replace('\n', "\r\n")).await;
        raw
    }

    async fn until_closed(&self) {
        soon("the close", async {
            while self.server.stats().open > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

fn router() -> Router {
    Router::new()
        .route("/ping", get(async || "pong"))
        .route("/echo", post(async |body: String| body))
        .route("/slow", post(slow))
        .route("/bare", any(bare))
}

/// Responds after a while, and in two parts.
async fn slow(body: String) -> Response {
    tokio::time::sleep(SHORT * 2).await;
    let end = stream::once(async {
        tokio::time::sleep(SHORT * 2).await;
        "end"
    });
    let parts = stream::iter(["begin "]).chain(end).map(Ok::<_, Infallible>);
    let _ = body;
    Response::new(Body::from_stream(parts))
}

/// A response that looks like one of hyper's own.
async fn bare() -> impl IntoResponse {
    (StatusCode::BAD_REQUEST, [("connection", "close"), ("x-reason", "mine")])
}

const POST: &str = "POST /echo HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nhello";

#[tokio::test]
async fn a_request_may_follow_long_after_the_last() {
    // In proportion: 15 seconds after the last, with the default of 10 for a head.
    let set_up = |server: Server| server.with_header_timeout(SHORT).with_keep_alive_timeout(NEVER);
    let scene = Scene::start(router(), set_up).await;
    let mut raw = scene.send(POST).await;
    for _ in 0..3 {
        assert!(raw.answer().await.ends_with("hello"));
        tokio::time::sleep(SHORT * 3).await;
        raw.send(&POST.replace('\n', "\r\n")).await;
    }
    assert!(raw.answer().await.ends_with("hello"));
    // A head of which bytes have arrived has the shorter time.
    raw.send("POST /echo HTTP/1.1\r\nHo").await;
    raw.rest().await;
    scene.until_closed().await;
    assert_eq!(scene.server.stats().header_timeouts, 1);
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end() {
    let set_up = |server: Server| server.with_header_timeout(NEVER).with_keep_alive_timeout(SHORT);
    let scene = Scene::start(router(), set_up).await;
    let mut raw = scene.send(POST).await;
    raw.answer().await;
    assert_eq!(raw.rest().await, "");
    scene.until_closed().await;
    assert_eq!(scene.server.stats().header_timeouts, 0);
}

#[tokio::test]
async fn a_body_that_is_discarded_is_not_the_next_head() {
    let set_up = |server: Server| server.with_header_timeout(SHORT).with_keep_alive_timeout(SHORT);
    let scene = Scene::start(router(), set_up).await;
    let head = "GET /ping HTTP/1.1\nHost: localhost\nContent-Length: 5\n\n";
    let mut raw = scene.send(head).await;
    raw.until("pong").await;
    for byte in ["h", "e", "l", "l"] {
        tokio::time::sleep(SHORT).await;
        raw.send(byte).await;
    }
    raw.send("o").await;
    raw.send(&POST.replace('\n', "\r\n")).await;
    assert!(raw.answer().await.ends_with("hello"));
}

#[tokio::test]
async fn a_half_closed_request_is_answered() {
    let scene = Scene::plain().await;
    for (request, end) in [
        (POST.to_owned(), "hello"),
        (POST.replace("/echo", "/slow"), "end\r\n0\r\n\r\n"),
        ("GET /ping HTTP/1.1\nHost: localhost\n\n".to_owned(), "pong"),
    ] {
        let mut raw = scene.send(&request).await;
        raw.0.shutdown().await.unwrap();

        let answer = raw.rest().await;

        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(end), "{answer}");
        scene.until_closed().await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_stream() {
    let hub = downlink::memory::hub().await.unwrap();
    let (endless, waiting) = (CancellationToken::new(), CancellationToken::new());
    let (in_body, in_handler) = (endless.clone(), waiting.clone());
    let endless_body = async move || {
        let held = in_body.drop_guard();
        let body = stream::iter(["hello"]).chain(stream::pending()).map(Ok::<_, Infallible>);
        Response::new(Body::from_stream(body.inspect(move |_| _ = &held)))
    };
    let has_begun = CancellationToken::new();
    let begins = has_begun.clone();
    let endless_handler = async move || {
        let _held = in_handler.drop_guard();
        begins.cancel();
        std::future::pending::<()>().await;
    };
    let router = Feed::new(&hub).with_public_access().router();
    let router =
        router.route("/endless", get(endless_body)).route("/waiting", get(endless_handler));
    let set_up = |server: Server| server.with_dead_peer_timeout(Duration::from_secs(1));
    let scene = Scene::start(router, set_up).await;

    let accept = "GET /feed HTTP/1.1\nHost: localhost\nAccept: text/event-stream\n\n";
    let mut event_source = scene.send(accept).await;
    event_source.until("event: feed.live\n").await;
    drop(event_source);
    scene.until_closed().await;
    assert_eq!(hub.stats().open_subscriptions, 0);

    let mut raw = scene.send("GET /endless HTTP/1.1\nHost: localhost\n\n").await;
    raw.until("hello").await;
    drop(raw);
    soon("the end of the stream", endless.cancelled()).await;

    let raw = scene.send("GET /waiting HTTP/1.1\nHost: localhost\n\n").await;
    soon("the request", has_begun.cancelled()).await;
    // Closing with unread bytes, or with this option, resets the connection.
    socket2::SockRef::from(&raw.0).set_linger(Some(Duration::ZERO)).unwrap();
    drop(raw);
    soon("the end of the handler", waiting.cancelled()).await;
    scene.until_closed().await;
}

#[tokio::test]
async fn a_response_of_the_application_passes_unchanged() {
    let scene = Scene::plain().await;
    for kept in [false, true] {
        for method in ["GET", "HEAD"] {
            let mut raw = Raw::connect(scene.address).await;
            if kept {
                raw.send(&POST.replace('\n', "\r\n")).await;
                raw.answer().await;
            }
            raw.send(&format!("{method} /bare HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
            let answer = raw.rest().await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
            assert!(answer.contains("x-reason: mine"), "{answer}");
            assert!(answer.ends_with("\r\n\r\n"), "a body: {answer}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_parsed_is_answered_alike_on_every_connection() {
    let scene = Scene::plain().await;
    let get = "GET /ping HTTP/1.1\nHost: localhost\n";
    let many = "x-name: y\n".repeat(100);
    for (request, status) in [
        (format!("{get}{many}\n"), "431"),
        (format!("{get}Cookie: {}\n\n", "x".repeat(60_000)), "431"),
        (format!("GET /{} HTTP/1.1\nHost: localhost\n\n", "x".repeat(60_000)), "431"),
        (format!("{get}no header\n\n"), "400"),
        (format!("{get}Bad Name: x\n\n"), "400"),
        (format!("{get}Name: a\x01b\n\n"), "400"),
        (format!("{get}Content-Length: 1\nContent-Length: 2\n\n"), "400"),
        (format!("{get}Content-Length: many\n\n"), "400"),
        (format!("{get}Transfer-Encoding: gzip\n\n"), "400"),
        ("GET /ping HTTP/1.0\nHost: localhost\nTransfer-Encoding: chunked\n\n".into(), "400"),
        ("GET /ping HTTP/9.9\nHost: localhost\n\n".into(), "400"),
        ("G@T /ping HTTP/1.1\nHost: localhost\n\n".into(), "400"),
        ("GET /pi ng HTTP/1.1\nHost: localhost\n\n".into(), "400"),
        ("PRI * HTTP/2.0\n\nSM\n\n".into(), "400"),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\x03\x03".into(), "400"),
    ] {
        let fresh = scene.send(&request).await.rest().await;
        assert!(fresh.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {fresh}");
        assert!(fresh.contains("application/problem+json") && fresh.ends_with('}'), "{fresh}");
        let mut kept = scene.send(POST).await;
        kept.answer().await;
        kept.send(&request.replace('\n', "\r\n")).await;
        assert_eq!(kept.rest().await, fresh, "on a kept connection: {request}");
    }
    scene.until_closed().await;
}

#[tokio::test]
async fn a_head_request_that_cannot_be_parsed_gets_no_body() {
    let scene = Scene::plain().await;
    for header in ["no header", "Content-Length: many"] {
        let request = format!("HEAD /ping HTTP/1.1\nHost: localhost\n{header}\n\n");
        let answer = scene.send(&request).await.rest().await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(answer.contains("content-length: "), "{answer}");
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_head_request_in_pieces_that_is_too_large_gets_no_body() {
    let scene = Scene::plain().await;
    // More than a read that begins below the limit can bring.
    let cookie = format!("Cookie: {}\r\n\r\n", "x".repeat(200_000));
    for pieces in [["HEAD /ping", " HTTP/1.1\r\n"], ["HE", "AD /ping HTTP/1.1\r\n"]] {
        for is_kept in [false, true] {
            let mut raw = scene.send(if is_kept { POST } else { "" }).await;
            if is_kept {
                raw.answer().await;
            }
            for piece in pieces {
                raw.send(piece).await;
                raw.all_read().await;
            }
            raw.send(&cookie).await;
            let answer = raw.rest().await;
            assert!(answer.starts_with("HTTP/1.1 431 "), "{pieces:?}: {answer}");
            assert!(answer.ends_with("\r\n\r\n"), "a body after {pieces:?}: {answer}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_parsed_is_answered_alike_on_a_kept_connection_of_http_1_0() {
    let scene = Scene::plain().await;
    let kept_request = POST.replace("HTTP/1.1", "HTTP/1.0\nConnection: keep-alive");
    for (header, status) in [
        ("no header".to_owned(), "400"),
        ("Content-Length: many".to_owned(), "400"),
        ("Transfer-Encoding: chunked".to_owned(), "400"),
        (format!("Cookie: {}", "x".repeat(60_000)), "431"),
    ] {
        let request = format!("GET /ping HTTP/1.0\nConnection: keep-alive\n{header}\n\n");
        let fresh = scene.send(&request).await.rest().await;
        assert!(fresh.starts_with(&format!("HTTP/1.1 {status} ")), "{header}: {fresh}");
        assert!(fresh.contains("application/problem+json") && fresh.ends_with('}'), "{fresh}");
        let mut kept = scene.send(&kept_request).await;
        assert!(kept.answer().await.contains("connection: keep-alive"), "it is not kept");
        kept.send(&request.replace('\n', "\r\n")).await;
        assert_eq!(kept.rest().await, fresh, "on a kept connection: {header}");
    }
    scene.until_closed().await;
}

/// An application with CORS of its own, which allows one origin.
fn with_cors(router: Router) -> Router {
    router.layer(axum::middleware::from_fn(async |request: Request, next: Next| {
        let is_listed = request.headers().get("origin").is_some_and(|origin| origin == LISTED);
        let is_preflight = request.headers().contains_key("access-control-request-method");
        let mut response = if is_preflight {
            StatusCode::NO_CONTENT.into_response()
        } else {
            next.run(request).await
        };
        if is_listed {
            response.headers_mut().insert("access-control-allow-origin", LISTED.parse().unwrap());
        }
        response
    }))
}

const LISTED: &str = "https://app.example.com";

/// Expects a refusal that a listed origin may read, and no other.
async fn expect_readable(scene: &Scene, request: &str, status: &str) {
    for (origin, is_readable) in [(LISTED, true), ("https://evil.example.com", false)] {
        let request = request.replacen('\n', &format!("\nOrigin: {origin}\n"), 1);
        let answer = scene.send(&request).await.rest().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("\r\nretry-after: "), "{answer}");
        let header = format!("access-control-allow-origin: {LISTED}\r\n");
        assert_eq!(answer.contains(&header), is_readable, "{answer}");
        let is_exposed =
            answer.to_lowercase().contains("access-control-expose-headers: retry-after");
        assert_eq!(is_exposed, is_readable, "{answer}");
        assert_eq!(answer.contains("cross-origin-resource-policy"), !is_readable, "{answer}");
    }
}

#[tokio::test]
async fn pages_can_read_refusals_beyond_a_limit() {
    let hub = downlink::memory::hub().await.unwrap();
    let feed = Feed::new(&hub).with_public_access().with_origins([LISTED]).with_cors().router();
    let close = "GET /feed HTTP/1.1\nHost: localhost\nConnection: close\n\n";
    for router in [feed.clone(), with_cors(router())] {
        let router = router.route("/held", get(async || std::future::pending::<()>().await));
        let scene = Scene::start(router.clone(), |server| server.with_max_connections(1)).await;
        let _held = scene.send("GET /held HTTP/1.1\nHost: localhost\n\n").await;
        expect_readable(&scene, close, "503").await;
        let scene = Scene::start(router.clone(), |server| server.with_max_per_client(1)).await;
        let _held = scene.send("GET /held HTTP/1.1\nHost: localhost\n\n").await;
        expect_readable(&scene, close, "429").await;
        let proxies = TrustedProxies::by_x_forwarded_for(["127.0.0.1"]);
        let set_up = |server: Server| server.with_max_per_client(1).with_trusted_proxies(proxies);
        let scene = Scene::start(router, set_up).await;
        let mut held = scene.send("GET /held HTTP/1.1\nHost: localhost\n\n").await;
        soon("the request", async {
            while !scene.send(close).await.rest().await.starts_with("HTTP/1.1 429") {}
        })
        .await;
        expect_readable(&scene, close, "429").await;
        held.0.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_body_beyond_the_budget_is_refused_on_every_route() {
    let lenient = async |body: Result<Bytes, axum::extract::rejection::BytesRejection>| match body {
        Ok(body) => body.len().to_string(),
        Err(_) => "no body".to_owned(),
    };
    let hub = downlink::memory::hub().await.unwrap();
    let feed = Feed::new(&hub).with_public_access().with_append().router();
    let router = feed.merge(
        Router::new()
            .route("/lenient", post(lenient))
            .route("/echo", post(async |body: String| body)),
    );
    let scene = Scene::start(with_cors(router), |server| server.with_byte_budget(100_000)).await;
    for path in ["/echo", "/lenient", "/streams/s"] {
        let head =
            format!("POST {path} HTTP/1.1\nHost: localhost\nContent-Type: application/json\n");
        let head = format!("{head}Content-Length: 200000\n\n");
        let request = |origin: &str| {
            format!(
                "{}{}",
                head.replacen('\n', &format!("\nOrigin: {origin}\n"), 1),
                " ".repeat(200_000)
            )
        };
        let mut raw = scene.send(&request("http://localhost")).await;
        let answer = raw.answer().await;
        if path == "/lenient" {
            // It has succeeded with what there was.
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("no body"), "{answer}");
        } else {
            assert!(answer.starts_with("HTTP/1.1 503 "), "{path}: {answer}");
            let says_when = answer.contains("retry-after: ");
            assert!(says_when && answer.contains(r#""code":"overloaded""#), "{answer}");
        }
        // The rest is discarded, and the connection kept.
        raw.send(&POST.replace("/echo", "/lenient").replace('\n', "\r\n")).await;
        assert!(raw.answer().await.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(scene.server.stats().over_budget, 3);
    // Several bodies that are small enough alone.
    let part = "POST /lenient HTTP/1.1\nHost: localhost\nContent-Length: 60000\n\n";
    let mut first = scene.send(part).await;
    first.send(&"x".repeat(59_999)).await;
    let mut second = Vec::new();
    let refused = async {
        loop {
            let mut raw = scene.send(&part.replace("/lenient", "/echo")).await;
            raw.send(&"x".repeat(60_000)).await;
            let answer = raw.answer().await;
            second.push(raw);
            if answer.starts_with("HTTP/1.1 503 ") {
                return;
            }
        }
    };
    soon("a refusal while the first body is held", refused).await;
    first.send("x").await;
    assert!(first.answer().await.ends_with("60000"));
    let mut raw = scene.send(part).await;
    raw.send(&"x".repeat(60_000)).await;
    assert!(raw.answer().await.ends_with("60000"), "what was held is given back");
}
