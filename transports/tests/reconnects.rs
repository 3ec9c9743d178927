//! The client on a paused clock, without sockets: how often it sends requests, and
//! which transport it uses.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use downlink::transport::{Endpoint, Frame};
use downlink::{
    Cursor, Error, ErrorKind, Event, Expected, Hub, LocalBus, MemoryStore, NewEvent, Subscribe,
};
use downlink_transports::client::{Client, Connector, Fallback, Follow, IoStream, TransportKind};
use downlink_transports::feed::Feed;
use downlink_transports::wire::{frame_block, sse_block};
use futures::StreamExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, timeout};
use tower::ServiceExt;

const MINUTE: Duration = Duration::from_mins(1);

/// Beyond this a loop is a busy loop.
const MAX_REQUESTS: usize = 10_000;

fn client(connector: impl Connector) -> Client {
    Client::new(Endpoint::new("http://localhost")).with_connector(connector)
}

/// A server that answers every request with the same bytes.
#[derive(Clone, Debug, Default)]
struct Scripted {
    answer: String,
    closes: bool,
    requests: Arc<AtomicUsize>,
}

impl Scripted {
    async fn serve(self, mut io: DuplexStream) -> io::Result<()> {
        loop {
            read_head(&mut io).await?;
            if self.requests.fetch_add(1, Ordering::SeqCst) > MAX_REQUESTS {
                // Ends a busy loop.
                std::future::pending::<()>().await;
            }
            io.write_all(self.answer.as_bytes()).await?;
            if self.closes {
                return Ok(());
            }
        }
    }
}

#[async_trait]
impl Connector for Scripted {
    async fn connect(&self, _: &str, _: u16) -> io::Result<Box<dyn IoStream>> {
        let (near, far) = duplex(64 << 10);
        tokio::spawn(self.clone().serve(far));
        Ok(Box::new(near))
    }
}

fn script(answer: impl Into<String>, closes: bool) -> Scripted {
    Scripted { answer: answer.into(), closes, requests: Arc::default() }
}

async fn read_head(io: &mut DuplexStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn stream(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n{body}")
}

fn json(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn status(line: &str) -> String {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n")
}

fn problem(status: &str, code: &str) -> String {
    json(status, &format!(r#"{{"code":"{code}","detail":"why","retryable":false}}"#))
}

fn ready() -> String {
    let start = Cursor::START;
    let heartbeat = Some(Duration::from_secs(15));
    let ready = Frame::Ready { cursor: start, head: start, heartbeat };
    String::from_utf8(frame_block(&ready, None).to_vec()).unwrap()
}

fn page(events: &str, more: bool) -> String {
    let (start, body) = (Cursor::START, events);
    json(
        "200 OK",
        &format!(r#"{{"events":[{body}],"cursor":"{start}","head":"{start}","more":{more}}}"#),
    )
}

fn event() -> Event {
    let content = NewEvent::json("FlightDeparted", "{}").unwrap();
    let position = Cursor::START.position().next();
    let stream = "flight-UA1545".try_into().unwrap();
    Event::new(
        position,
        stream,
        downlink::Version::FIRST,
        downlink::event::Timestamp::EPOCH,
        content,
    )
}

fn envelope() -> String {
    let block = String::from_utf8(sse_block(&event()).to_vec()).unwrap();
    block.split("data: ").nth(1).unwrap().trim().to_owned()
}

/// How many requests a follower sends in ten minutes, and the error that ended it.
async fn ten_minutes(
    script: Scripted,
    transport: impl Into<Fallback>,
) -> (usize, Option<ErrorKind>) {
    let mut follow =
        client(script.clone()).with_transport(transport).follow(Subscribe::new()).unwrap();
    let ended = timeout(10 * MINUTE, async {
        loop {
            match follow.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error.kind(),
                None => panic!("it ended without an error"),
            }
        }
    });
    let ended = ended.await.ok();
    (script.requests.load(Ordering::SeqCst), ended)
}

/// Answers after which the client retries, after a delay of at least a second
/// except for the first few.
fn temporary() -> Vec<(&'static str, Scripted)> {
    let bye =
        "event: feed.bye\ndata: {\"frame\":\"bye\",\"reason\":\"x\",\"reconnect_after_ms\":0}\n\n";
    vec![
        ("no answer at all", script("", true)),
        ("half a status line", script("HTTP/1.1 2", true)),
        ("not HTTP", script("220 smtp.example ESMTP\r\n", true)),
        ("429 without Retry-After", script(status("429 Too Many Requests"), true)),
        ("429 that keeps the connection", script(status("429 Too Many Requests"), false)),
        (
            "503 with Retry-After: 0",
            script("HTTP/1.1 503 No\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n", true),
        ),
        (
            "503 with a date",
            script(
                "HTTP/1.1 503 No\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n",
                true,
            ),
        ),
        ("500", script(status("500 Oh"), false)),
        ("502", script(status("502 Bad Gateway"), true)),
        ("504", script(status("504 Late"), true)),
        ("408", script(status("408 Late"), true)),
        ("a stream that ends at once", script(stream(""), true)),
        ("a stream of nothing but retry: 0", script(stream("retry: 0\n\n"), true)),
        ("ready and the end", script(stream(&ready()), true)),
        ("ready, retry: 0 and the end", script(stream(&format!("retry: 0\n{}", ready())), true)),
        ("ready and bye at once", script(stream(&(ready() + bye)), true)),
        ("bye before ready", script(stream(bye), true)),
        ("half a frame", script(stream("data: {\"cur"), true)),
    ]
}

/// Answers that end the client.
fn permanent() -> Vec<(&'static str, Scripted)> {
    vec![
        (
            "200 with HTML",
            script(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi",
                false,
            ),
        ),
        ("204", script("HTTP/1.1 204 No Content\r\n\r\n", false)),
        ("301 without Location", script(status("301 Moved"), false)),
        (
            "302",
            script(
                "HTTP/1.1 302 Found\r\nLocation: http://localhost/feed\r\nContent-Length: 0\r\n\r\n",
                false,
            ),
        ),
        ("400", script(problem("400 Bad Request", "bad-filter"), false)),
        ("401", script(problem("401 Unauthorized", "unauthenticated"), false)),
        ("403", script(problem("403 Forbidden", "forbidden"), false)),
        ("404", script(status("404 Not Found"), false)),
        ("410", script(problem("410 Gone", "cursor-ahead"), false)),
        ("410 without a body", script(status("410 Gone"), false)),
    ]
}

fn pages() -> Vec<(&'static str, Scripted)> {
    vec![
        ("wait answered at once with nothing", script(page("", false), false)),
        ("the same, over a connection each", script(page("", false), true)),
        ("always more, and nothing", script(page("", true), false)),
        ("the same event again and again", script(page(&envelope(), false), false)),
        ("the same event, and more", script(page(&envelope(), true), true)),
    ]
}

#[tokio::test(start_paused = true)]
async fn no_temporary_answer_puts_a_stream_into_a_busy_loop() {
    for (what, script) in temporary() {
        let (requests, ended) = ten_minutes(script, TransportKind::Sse).await;
        assert_eq!(ended, None, "{what}");
        assert!((30..=610).contains(&requests), "{requests} requests in ten minutes: {what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_permanent_refusal_is_not_retried() {
    for transport in [TransportKind::Sse, TransportKind::LongPoll] {
        for (what, script) in permanent() {
            let (requests, ended) = ten_minutes(script, transport).await;
            assert!(ended.is_some() && requests == 1, "{requests} requests by {transport}: {what}");
        }
    }
    let (requests, ended) =
        ten_minutes(script(stream("data: {}\n\n"), true), TransportKind::Sse).await;
    assert_eq!((requests, ended), (1, Some(ErrorKind::Corrupt)));
    let garbage = script(json("200 OK", "{\"events\":[]}"), false);
    let (requests, ended) = ten_minutes(garbage, TransportKind::LongPoll).await;
    assert_eq!((requests, ended), (1, Some(ErrorKind::Corrupt)));
}

#[tokio::test(start_paused = true)]
async fn no_answer_puts_polls_into_a_busy_loop() {
    for (what, script) in pages() {
        let (requests, ended) = ten_minutes(script, TransportKind::LongPoll).await;
        assert_eq!(ended, None, "{what}");
        assert!((30..=610).contains(&requests), "{requests} requests in ten minutes: {what}");
    }
    for (what, script) in temporary() {
        let (requests, ended) = ten_minutes(script, TransportKind::LongPoll).await;
        // A stream is not a page, which is permanent.
        assert!(ended.is_none_or(|_| requests == 1), "{requests} requests: {what}");
        assert!(requests <= 610, "{requests} requests in ten minutes: {what}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_puts_a_fallback_into_a_busy_loop() {
    let scripts = temporary().into_iter().chain(permanent()).chain(pages());
    for (what, script) in scripts {
        let (requests, _) = ten_minutes(script, Fallback::all()).await;
        assert!((1..=630).contains(&requests), "{requests} requests in ten minutes: {what}");
    }
}

/// A real feed behind a proxy that strips `Upgrade` and may hold streams back.
#[derive(Clone, Debug)]
struct Proxy {
    hub: Hub,
    holds_streams: Arc<AtomicBool>,
    /// The requests: `socket`, `sse` or `poll`.
    asked: Arc<Mutex<Vec<&'static str>>>,
}

impl Proxy {
    fn new(hub: &Hub, holds_streams: bool) -> Self {
        let holds_streams = Arc::new(AtomicBool::new(holds_streams));
        Self { hub: hub.clone(), holds_streams, asked: Arc::default() }
    }

    fn hold(&self, streams: bool) {
        self.holds_streams.store(streams, Ordering::SeqCst);
    }

    fn asked(&self) -> Vec<&'static str> {
        self.asked.lock().unwrap().clone()
    }

    async fn pass(self, mut client: DuplexStream) -> io::Result<()> {
        let (mut near, far) = duplex(64 << 10);
        let router = Feed::new(&self.hub).with_public_access().router();
        tokio::spawn(async move {
            let answer = service_fn(|request| router.clone().oneshot(request));
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(far), answer).await;
        });
        loop {
            let head = read_head(&mut client).await?;
            let (is_stream, is_socket) =
                (head.contains("accept: text/event-stream"), head.contains("upgrade: websocket"));
            let what = if is_socket { "socket" } else { ["poll", "sse"][usize::from(is_stream)] };
            self.asked.lock().unwrap().push(what);
            // As proxies do by default.
            let head = head.replace("upgrade: websocket\r\n", "");
            let head = head.replace("connection: Upgrade\r\n", "");
            near.write_all(head.as_bytes()).await?;
            if is_stream {
                if self.holds_streams.load(Ordering::SeqCst) {
                    // Forwards nothing until the client disconnects.
                    return client.read_u8().await.map(drop);
                }
                tokio::io::copy_bidirectional(&mut client, &mut near).await?;
                return Ok(());
            }
            let answer = tokio::select! {
                answer = read_answer(&mut near) => answer?,
                _ = client.read_u8() => return Ok(()),
            };
            client.write_all(&answer).await?;
        }
    }
}

async fn read_answer(io: &mut DuplexStream) -> io::Result<Vec<u8>> {
    let head = read_head(io).await?;
    let length = head.split("content-length: ").nth(1).unwrap();
    let length = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    io.read_exact(&mut body).await?;
    Ok([head.as_bytes(), &body].concat())
}

#[async_trait]
impl Connector for Proxy {
    async fn connect(&self, _: &str, _: u16) -> io::Result<Box<dyn IoStream>> {
        let (near, far) = duplex(64 << 10);
        tokio::spawn(self.clone().pass(far));
        Ok(Box::new(near))
    }
}

/// A hub that does not poll its store, so that the paused clock can jump by hours.
async fn hub() -> Hub {
    let never = Duration::from_hours(24 * 365);
    Hub::builder(MemoryStore::new(), LocalBus::new())
        .with_poll_interval(never)
        .start()
        .await
        .unwrap()
}

fn sse_or_long_poll() -> Fallback {
    Fallback::from(TransportKind::Sse).or(TransportKind::LongPoll)
}

async fn put(hub: &Hub, count: usize) {
    for _ in 0..count {
        let event = NewEvent::json("FlightDelayed", "{}").unwrap();
        hub.append_to("flight-UA1545", Expected::Any, [event]).await.unwrap();
    }
}

/// Takes events up to this version, each once and in order.
async fn take(follow: &mut Follow, last: &mut u64, until: u64) {
    while *last < until {
        let next = timeout(60 * 24 * MINUTE, follow.next()).await.expect("a frame within a day");
        if let Frame::Event { event, .. } = next.unwrap().unwrap() {
            assert_eq!(event.version().get(), *last + 1, "a gap or a repeat");
            *last += 1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn it_falls_back_if_streams_are_held_back_and_upgrades_when_they_are_not() {
    let hub = hub().await;
    put(&hub, 10).await;
    let proxy = Proxy::new(&hub, true);
    let mut follow =
        client(proxy.clone()).with_transport(sse_or_long_poll()).follow(Subscribe::new()).unwrap();
    let mut last = 0;
    take(&mut follow, &mut last, 10).await;
    assert_eq!(proxy.asked()[..3], ["sse", "sse", "poll"], "it fell back after two attempts");

    // While its upgrades fail, it continues with long-poll.
    let began = Instant::now();
    while began.elapsed() < 60 * MINUTE {
        let before = last;
        put(&hub, 1).await;
        take(&mut follow, &mut last, before + 1).await;
        let idle = timeout(MINUTE, take(&mut follow, &mut last, before + 2)).await;
        assert!(idle.is_err());
    }
    let failed = proxy.asked().iter().filter(|asked| **asked == "sse").count() - 2;
    assert!((2..=6).contains(&failed), "{failed} attempts to upgrade in an hour");

    proxy.hold(false);
    let (held, until) = (proxy.asked().len(), last + 5);
    while !proxy.asked()[held..].contains(&"sse") {
        let idle = timeout(5 * MINUTE, take(&mut follow, &mut last, until)).await;
        assert!(idle.is_err() && began.elapsed() < 600 * MINUTE, "it never upgraded");
    }
    put(&hub, 5).await;
    take(&mut follow, &mut last, until).await;
    let idle = timeout(5 * MINUTE, take(&mut follow, &mut last, until + 1)).await;
    assert!(idle.is_err() && proxy.asked().last() == Some(&"sse"), "it polls after the upgrade");
}

#[cfg(feature = "websocket")]
#[tokio::test(start_paused = true)]
async fn a_proxy_that_strips_upgrade_costs_one_request() {
    let hub = hub().await;
    put(&hub, 3).await;
    let proxy = Proxy::new(&hub, false);
    let client = client(proxy.clone()).with_transport(Fallback::all());
    let mut follow = client.follow(Subscribe::new()).unwrap();
    take(&mut follow, &mut 0, 3).await;
    assert_eq!(proxy.asked(), ["socket", "sse"]);
}

#[tokio::test(start_paused = true)]
async fn it_does_not_fall_back_if_the_server_is_unreachable_or_refuses() {
    #[derive(Debug)]
    struct Unreachable(AtomicUsize, Proxy);
    #[async_trait]
    impl Connector for Unreachable {
        async fn connect(&self, host: &str, port: u16) -> io::Result<Box<dyn IoStream>> {
            if self.0.fetch_add(1, Ordering::SeqCst) < 10 {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            self.1.connect(host, port).await
        }
    }
    let hub = hub().await;
    put(&hub, 1).await;
    let proxy = Proxy::new(&hub, false);
    let unreachable = Unreachable(AtomicUsize::new(0), proxy.clone());
    let mut follow =
        client(unreachable).with_transport(sse_or_long_poll()).follow(Subscribe::new()).unwrap();
    take(&mut follow, &mut 0, 1).await;
    assert_eq!(proxy.asked(), ["sse"]);

    let draining = script(problem("503 No", "draining"), true);
    let mut follow = client(draining.clone())
        .with_transport(sse_or_long_poll())
        .follow(Subscribe::new())
        .unwrap();
    assert!(timeout(10 * MINUTE, follow.next()).await.is_err());
    assert!(draining.requests.load(Ordering::SeqCst) > 10);
}

#[tokio::test(start_paused = true)]
async fn the_cursor_belongs_to_the_last_frame_on_every_transport() {
    let hub = hub().await;
    put(&hub, 30).await;
    for transport in [TransportKind::Sse, TransportKind::LongPoll] {
        let client = client(Proxy::new(&hub, false)).with_transport(transport).with_page_limit(7);
        let mut follow = client.follow(Subscribe::new()).unwrap();
        assert_eq!(follow.cursor(), None);
        for _ in 0..35 {
            let Ok(Some(Ok(frame))) = timeout(MINUTE, follow.next()).await else { break };
            if let Some(cursor) = frame.cursor() {
                assert_eq!(follow.cursor(), Some(cursor));
            }
        }
        assert_eq!(follow.cursor(), Some(hub.cached_head()));
        let resumed = Subscribe::new().with_after(follow.cursor().unwrap());
        let mut resumed = client.follow(resumed).unwrap();
        let first = resumed.next().await.unwrap().unwrap();
        assert!(matches!(first, Frame::Live { .. }), "{first:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connector_error_is_unavailable() {
    let refused = |error: &Error| error.kind() == ErrorKind::Unavailable;
    let connect = client(Scripted::default()).connect(Subscribe::new()).await;
    assert!(connect.err().is_some_and(|error| refused(&error)));
}
