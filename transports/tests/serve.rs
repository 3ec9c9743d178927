//! The server, over real sockets and with a small router.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod support;

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing::get;
use downlink::ErrorKind;
use downlink_transports::serve::Server;
use downlink_transports::{Access, Connection};
use futures::{StreamExt, stream};
use support::{Raw, listener, soon};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const SHORT: Duration = Duration::from_millis(200);

struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<downlink::Result<()>>,
}

impl Running {
    async fn start(server: Server) -> Self {
        let (listener, address) = listener().await;
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(server.serve(listener, shutdown.clone()));
        Self { address, shutdown, task }
    }

    async fn ended(self) {
        soon("the end of the server", self.task).await.unwrap().unwrap();
    }
}

/// Sends `hello`, and `bye` when the server drains.
async fn stream(Extension(connection): Extension<Connection>) -> Response {
    let hello = stream::iter([Ok::<_, Infallible>(Bytes::from("hello\n"))]);
    let bye = stream::once(async move {
        connection.drain.cancelled().await;
        Ok(Bytes::from("bye\n"))
    });
    Response::new(Body::from_stream(hello.chain(bye)))
}

async fn state(Extension(connection): Extension<Connection>) -> &'static str {
    if connection.drain.is_cancelled() { "draining" } else { "open" }
}

/// Sends `hello`, and does not end when the server drains.
async fn endless() -> Response {
    let hello = stream::iter([Ok::<_, Infallible>(Bytes::from("hello\n"))]);
    Response::new(Body::from_stream(hello.chain(stream::pending())))
}

fn router() -> Router {
    Router::new()
        .route("/ping", get(async || "pong"))
        .route("/stream", get(stream))
        .route("/state", get(state))
        .route("/endless", get(endless))
}

async fn open(address: SocketAddr, path: &str) -> Raw {
    let mut raw = Raw::get(address, path).await;
    let head = raw.until("hello\n").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    raw
}

async fn ping(address: SocketAddr) -> String {
    let mut raw = Raw::connect(address).await;
    raw.send("GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    raw.rest().await
}

#[tokio::test]
async fn a_half_sent_header_is_closed_at_the_header_timeout() {
    let server = Server::new(router()).with_header_timeout(SHORT);
    let server = Running::start(server.with_keep_alive_timeout(SHORT)).await;
    let mut half = Raw::connect(server.address).await;
    half.send("GET /ping HTTP/1.1\r\nHost: loc").await;
    let mut silent = Raw::connect(server.address).await;
    let mut idle = Raw::get(server.address, "/ping").await;
    idle.until("pong").await;
    for raw in [&mut half, &mut silent, &mut idle] {
        raw.rest().await;
    }
}

#[tokio::test]
async fn a_stream_outlives_the_header_timeout() {
    let server = Running::start(Server::new(router()).with_header_timeout(SHORT)).await;
    let mut open = open(server.address, "/stream").await;
    let mut silent = Raw::connect(server.address).await;
    silent.rest().await;
    server.shutdown.cancel();
    assert!(open.rest().await.contains("bye\n"));
}

#[tokio::test]
async fn a_peer_that_never_reads_is_disconnected_while_others_are_served() {
    let gone = CancellationToken::new();
    let token = gone.clone();
    let flood = async move || {
        let (held, chunk) = (token.drop_guard(), Bytes::from(vec![b'x'; 64 << 10]));
        let body = stream::repeat_with(move || {
            let _held = &held;
            Ok::<_, Infallible>(chunk.clone())
        });
        Response::new(Body::from_stream(body))
    };
    let router = router().route("/flood", get(flood));
    let server = Running::start(Server::new(router).with_write_stall_timeout(SHORT)).await;
    let mut other = open(server.address, "/stream").await;
    let stalled = Raw::get(server.address, "/flood").await;
    stalled.0.readable().await.unwrap();
    while !gone.is_cancelled() {
        assert!(ping(server.address).await.ends_with("pong"));
    }
    server.shutdown.cancel();
    assert!(other.rest().await.contains("bye\n"));
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused() {
    let server = Running::start(Server::new(router()).with_max_connections(2)).await;
    let first = open(server.address, "/stream").await;
    let _second = open(server.address, "/stream").await;

    let refused = ping(server.address).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("retry-after:"), "{refused}");
    assert!(refused.contains(r#""code":"overloaded""#), "{refused}");

    let mut browser = Raw::connect(server.address).await;
    browser
        .send("GET /feed HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        .await;
    let answer = browser.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("event: feed.bye\n"), "{answer}");

    drop(first);
    soon("a free place", async {
        while !ping(server.address).await.starts_with("HTTP/1.1 200") {}
    })
    .await;
}

#[tokio::test]
async fn refusals_ask_the_router_a_few_times_at_once() {
    const ROOM: usize = 100;
    let (room, least_room) = (Arc::new(Semaphore::new(ROOM)), Arc::new(AtomicUsize::new(ROOM)));
    let least = Arc::clone(&least_room);
    let router = router().fallback(async move |method: Method| {
        assert_eq!(method, Method::OPTIONS);
        let _place = room.acquire().await;
        least.fetch_min(room.available_permits(), Ordering::Relaxed);
        // Until the server asks no longer.
        std::future::pending::<()>().await;
    });
    let server = Running::start(Server::new(router).with_max_connections(1)).await;
    let _first = open(server.address, "/stream").await;
    let mut refused = Vec::new();
    for _ in 0..40 {
        let mut raw = Raw::connect(server.address).await;
        raw.send("GET /page HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n").await;
        refused.push(raw);
    }
    for mut raw in refused {
        let answer = raw.rest().await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    }
    let most = ROOM - least_room.load(Ordering::Relaxed);
    assert!((1..=8).contains(&most), "{most} at once");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn peers_are_asked_whether_they_are_there() {
    let server = Running::start(Server::new(router())).await;
    let silent = Raw::connect(server.address).await;
    let quiet = open(server.address, "/stream").await;
    let asks_soon = |raw: &Raw| {
        let keepalive = raw.server_end().and_then(|end| end.keepalive);
        keepalive.is_some_and(|time| time <= Duration::from_mins(1))
    };
    soon("the timer of keepalive", async {
        while ![&silent, &quiet].into_iter().all(asks_soon) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_many_open_streams() {
    let server = Running::start(Server::new(router())).await;
    let mut streams = Vec::new();
    for _ in 0..200 {
        streams.push(open(server.address, "/stream").await);
    }
    server.shutdown.cancel();
    for raw in &mut streams {
        let rest = raw.rest().await;
        assert!(rest.contains("bye\n"), "{rest:?}");
        assert!(rest.ends_with("0\r\n\r\n"), "the body has no end: {rest:?}");
    }
    server.ended().await;
}

#[tokio::test]
async fn idle_connections_do_not_delay_the_drain() {
    let server = Running::start(Server::new(router())).await;
    let _silent = Raw::connect(server.address).await;
    let mut idle = Raw::get(server.address, "/ping").await;
    idle.until("pong").await;
    let began = Instant::now();
    server.shutdown.cancel();
    server.ended().await;
    assert!(began.elapsed() < Duration::from_secs(5), "it waited until the deadline");
}

#[tokio::test]
async fn streams_that_do_not_end_are_closed_at_the_drain_deadline() {
    let server = Running::start(Server::new(router()).with_drain_deadline(SHORT)).await;
    let mut endless = open(server.address, "/endless").await;
    server.shutdown.cancel();
    endless.rest().await;
    server.ended().await;
}

thread_local! {
    /// What this thread has logged since [`Log::start`], one event a line: its message, and then its fields.
    static LOG: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps what a test with a runtime of one thread logs. It is the subscriber of the whole process, because
/// `tracing` remembers for each event whether a subscriber wants it, and may ask only the thread that
/// reaches it first.
struct Log;

impl Log {
    fn start() {
        static SET: Once = Once::new();
        SET.call_once(|| tracing::subscriber::set_global_default(Self).unwrap());
        LOG.take();
    }

    /// The number of open connections in the line with this message.
    fn open(message: &str) -> Option<usize> {
        let log = LOG.with_borrow(String::clone);
        let line = log.lines().find(|line| line.contains(message))?;
        line.split(" open=").nth(1)?.split(' ').next()?.parse().ok()
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = String::new();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            write!(line, " {field}={value:?}").unwrap();
        });
        LOG.with_borrow_mut(|log| *log += &(line + "\n"));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Switches to another protocol, and says nothing in it.
async fn upgrade(request: Request) -> Response {
    tokio::spawn(async move {
        let _held = hyper::upgrade::on(request).await.unwrap();
        std::future::pending::<()>().await;
    });
    let upgraded = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    upgraded.header("connection", "upgrade").header("upgrade", "mine").body(Body::empty()).unwrap()
}

#[tokio::test]
async fn the_log_of_the_drain_counts_each_connection_once() {
    Log::start();
    let router = router().route("/upgrade", get(upgrade));
    let server = Running::start(Server::new(router).with_drain_deadline(SHORT)).await;
    let _endless = open(server.address, "/endless").await;
    let _stream = open(server.address, "/stream").await;
    let mut idle = Raw::get(server.address, "/ping").await;
    idle.until("pong").await;
    let mut upgraded = Raw::connect(server.address).await;
    let request =
        "GET /upgrade HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: mine\r\n\r\n";
    upgraded.send(request).await;
    upgraded.until("\r\n\r\n").await;
    // Not counted, because it has ended.
    assert!(ping(server.address).await.ends_with("pong"));

    server.shutdown.cancel();
    server.ended().await;

    assert_eq!(Log::open("message=draining"), Some(4));
    assert_eq!(Log::open("message=closing the connections that have not ended"), Some(2));
}

#[tokio::test]
async fn force_ends_the_drain() {
    let force = CancellationToken::new();
    let never = Duration::from_hours(1);
    let server = Server::new(router()).with_drain_deadline(never).with_force(force.clone());
    let server = Running::start(server).await;
    let mut endless = open(server.address, "/endless").await;
    server.shutdown.cancel();
    force.cancel();
    endless.rest().await;
    server.ended().await;
}

#[tokio::test]
async fn a_connection_during_the_drain_gets_one_response() {
    let never = Duration::from_hours(1);
    let server = Running::start(Server::new(router()).with_drain_deadline(never)).await;
    let _endless = open(server.address, "/endless").await;
    let mut open = open(server.address, "/stream").await;
    server.shutdown.cancel();
    open.rest().await;
    let mut late = Raw::get(server.address, "/state").await;
    let answer = late.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("draining"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn silent_connections_beyond_the_limit_do_not_block_others() {
    let server = Server::new(router()).with_max_connections(1);
    let server = Running::start(server.with_header_timeout(Duration::from_hours(1))).await;
    let first = open(server.address, "/stream").await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(Raw::connect(server.address).await);
    }
    // Connections are accepted in order: once this is refused, the silent ones were accepted.
    ping(server.address).await;
    drop(first);
    soon("a free place", async {
        while !ping(server.address).await.starts_with("HTTP/1.1 200") {}
    })
    .await;
}

#[tokio::test]
async fn a_request_that_cannot_be_parsed_gets_a_problem() {
    let server = Running::start(Server::new(router())).await;
    for (head, status) in [
        (format!("Last-Event-ID: {}", "0".repeat(60_000)), "HTTP/1.1 431"),
        ("no header".into(), "HTTP/1.1 400"),
    ] {
        let mut raw = Raw::connect(server.address).await;
        raw.send(&format!("GET /ping HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n")).await;
        let answer = raw.rest().await;
        assert!(answer.starts_with(status), "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
        assert!(answer.ends_with('}'), "{answer}");
    }
}

#[tokio::test]
async fn dropping_the_server_closes_every_connection() {
    let server = Running::start(Server::new(router())).await;
    let mut endless = open(server.address, "/endless").await;
    server.task.abort();
    endless.rest().await;
}

#[tokio::test]
async fn a_listener_that_others_can_reach_needs_an_access() {
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    let serve = async |access, address| {
        let listener = TcpListener::bind(address).await.unwrap();
        let server = Server::new(router()).with_access(access);
        soon("the server", server.serve(listener, shutdown.clone())).await
    };
    let error = serve(Access::LocalOnly, "0.0.0.0:0").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    for call in [".with_authorizer(", ".with_public_access()", ".with_access("] {
        assert!(error.to_string().contains(call), "{error}");
    }
    serve(Access::Public, "0.0.0.0:0").await.unwrap();
    serve(Access::Authorized, "0.0.0.0:0").await.unwrap();
    serve(Access::LocalOnly, "127.0.0.1:0").await.unwrap();
}

#[tokio::test]
async fn requests_carry_their_connection() {
    let peer = async |Extension(connection): Extension<Connection>| connection.peer.to_string();
    let server = Running::start(Server::new(Router::new().route("/peer", get(peer)))).await;
    let mut raw = Raw::get(server.address, "/peer").await;
    let me = raw.0.local_addr().unwrap().to_string();
    raw.until(&me).await;
}
