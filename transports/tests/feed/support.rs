use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use downlink::store::{Appended, Page, ReadLog, ReadStream};
use downlink::{
    Append, Cursor, Error, ErrorKind, EventStore, Expected, Hub, LocalBus, MemoryStore, NewEvent,
    Result,
};
use downlink_transports::Connection;
use downlink_transports::feed::Feed;
use futures::StreamExt;
use http::{HeaderMap, Method, Request, StatusCode, request};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// A hub over an empty log.
pub(crate) async fn hub() -> Hub {
    downlink::memory::hub().await.unwrap()
}

/// Appends one event and returns its cursor.
pub(crate) async fn put(hub: &Hub, stream: &str, event_type: &str) -> Cursor {
    let event = NewEvent::json(event_type, r#"{"gate":"C71"}"#).unwrap();
    hub.append_to(stream, Expected::Any, [event]).await.unwrap().cursor
}

/// `count` events in streams `flight-0`, `flight-1` and `flight-2`, in turn.
pub(crate) async fn put_many(hub: &Hub, count: usize) -> Vec<Cursor> {
    let mut cursors = Vec::new();
    for n in 0..count {
        cursors.push(put(hub, &format!("flight-{}", n % 3), "FlightDelayed").await);
    }
    cursors
}

/// A router that accepts appends, with requests from the same machine.
pub(crate) struct App {
    router: Router,
}

impl App {
    pub(crate) fn new(hub: &Hub) -> Self {
        Self::of(Feed::new(hub).with_append())
    }

    pub(crate) fn of(feed: Feed) -> Self {
        Self { router: feed.router() }
    }

    /// An application's own routes.
    pub(crate) fn serving(router: Router) -> Self {
        Self { router }
    }

    pub(crate) fn nested(self, path: &str) -> Self {
        Self { router: Router::new().nest(path, self.router) }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> http::Response<Body> {
        self.router.clone().oneshot(from_here(request)).await.unwrap()
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.send(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.ask(get(uri).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, uri: &str, body: impl Into<Body>) -> Answer {
        self.ask(post(uri).body(body.into()).unwrap()).await
    }

    /// Opens a stream; panics if it is refused.
    pub(crate) async fn open(&self, uri: &str) -> Frames {
        let response = self.send(sse(uri).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 200, "{uri}");
        Frames::of(response)
    }
}

/// The request as it comes from a program on this machine, unless it has a peer.
pub(crate) fn from_here<B>(mut request: Request<B>) -> Request<B> {
    let extensions = request.extensions_mut();
    if extensions.get::<ConnectInfo<SocketAddr>>().is_none() {
        let here = Connection::new(([127, 0, 0, 1], 9).into(), CancellationToken::new());
        extensions.get_or_insert_with(|| here);
    }
    request
}

pub(crate) fn request(method: Method, uri: &str) -> request::Builder {
    Request::builder().method(method).uri(uri).header("host", "localhost:3000")
}

pub(crate) fn get(uri: &str) -> request::Builder {
    request(Method::GET, uri)
}

pub(crate) fn sse(uri: &str) -> request::Builder {
    get(uri).header("accept", "text/event-stream")
}

pub(crate) fn post(uri: &str) -> request::Builder {
    request(Method::POST, uri).header("content-type", "application/json")
}

pub(crate) fn empty(builder: request::Builder) -> Request<Body> {
    builder.body(Body::empty()).unwrap()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that this is a problem as in the wire contract, and returns it.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!(
            (self.status.as_u16(), problem["code"].as_str()),
            (status, Some(code)),
            "{problem}"
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["type"], format!("urn:downlink:problem:{code}"));
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["retryable"].is_boolean());
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{problem}");
        problem
    }

    /// The cursors of a page's events, in order.
    pub(crate) fn cursors(&self) -> Vec<String> {
        let page = self.json();
        let events = page["events"].as_array().unwrap();
        events.iter().map(|event| event["cursor"].as_str().unwrap().to_owned()).collect()
    }
}

/// The blocks of an SSE stream.
pub(crate) struct Frames {
    chunks: axum::body::BodyDataStream,
    text: String,
    /// The sizes of the received chunks, in bytes and in blocks.
    pub(crate) sizes: Vec<(usize, usize)>,
}

/// One block, field by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) retry: Option<u64>,
    pub(crate) id: Option<String>,
    pub(crate) event: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) comment: bool,
}

impl Block {
    fn parse(text: &str) -> Self {
        let mut block = Self::default();
        for line in text.lines() {
            match line.split_once(": ") {
                Some(("retry", value)) => block.retry = Some(value.parse().unwrap()),
                Some(("id", value)) => block.id = Some(value.to_owned()),
                Some(("event", value)) => block.event = Some(value.to_owned()),
                Some(("data", value)) => {
                    assert!(block.data.replace(value.to_owned()).is_none(), "two data lines");
                }
                _ if line.starts_with(':') => block.comment = true,
                _ => panic!("not a line of SSE: {line:?}"),
            }
        }
        block
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.data.as_deref().unwrap_or("null")).unwrap()
    }

    /// The name of a control frame, or `event`, or `:`.
    pub(crate) fn name(&self) -> &str {
        match (&self.event, self.comment) {
            (Some(name), _) => name.strip_prefix("feed.").unwrap(),
            (None, true) => ":",
            (None, false) => "event",
        }
    }
}

impl Frames {
    pub(crate) fn of(response: http::Response<Body>) -> Self {
        let chunks = response.into_body().into_data_stream();
        Self { chunks, text: String::new(), sizes: Vec::new() }
    }

    /// The next block; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Block> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (Block::parse(block), rest.len());
                self.text.drain(..self.text.len() - rest);
                return Some(block);
            }
            let Some(chunk) = self.chunks.next().await else {
                assert_eq!(self.text, "", "the stream ended within a block");
                return None;
            };
            let chunk = chunk.unwrap();
            let text = std::str::from_utf8(&chunk).unwrap();
            self.sizes.push((chunk.len(), text.matches("\n\n").count()));
            self.text.push_str(text);
        }
    }

    pub(crate) async fn expect(&mut self, name: &str) -> Block {
        let block = self.next().await.unwrap_or_else(|| panic!("{name} was expected, not the end"));
        assert_eq!(block.name(), name, "{block:?}");
        block
    }

    /// The comment and `ready`.
    pub(crate) async fn opened(&mut self) -> Block {
        self.expect(":").await;
        self.expect("ready").await
    }

    /// All blocks up to the end of the stream.
    pub(crate) async fn rest(&mut self) -> Vec<Block> {
        let mut blocks = Vec::new();
        while let Some(block) = self.next().await {
            blocks.push(block);
        }
        blocks
    }
}

/// A store whose calls fail with the kinds that are set, and whose reads of history
/// can be held.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failing {
    inner: MemoryStore,
    append: Arc<Mutex<Option<ErrorKind>>>,
    read: Arc<Mutex<Option<ErrorKind>>>,
    calls: Arc<AtomicUsize>,
    held: watch::Sender<bool>,
}

impl Failing {
    pub(crate) async fn hub(&self) -> Hub {
        Hub::builder(self.clone(), LocalBus::new()).start().await.unwrap()
    }

    pub(crate) fn fail_append(&self, kind: ErrorKind) {
        *self.append.lock().unwrap() = Some(kind);
    }

    pub(crate) fn fail_read(&self, kind: ErrorKind) {
        *self.read.lock().unwrap() = Some(kind);
    }

    /// Lets reads of history wait until they are let go.
    pub(crate) fn hold_reads(&self, yes: bool) {
        self.held.send_replace(yes);
    }

    /// The number of calls.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn backup(&self) -> MemoryStore {
        self.inner.snapshot()
    }

    pub(crate) fn restore(&self, backup: &MemoryStore) {
        self.inner.restore(backup);
    }
}

fn outcome(kind: &Mutex<Option<ErrorKind>>) -> Result<()> {
    match *kind.lock().unwrap() {
        None => Ok(()),
        Some(kind) => Err(Error::with_source(kind, "SECRET of the driver", "SECRET source")),
    }
}

#[async_trait]
impl EventStore for Failing {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        outcome(&self.append)?;
        self.inner.append(append).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        outcome(&self.read)?;
        if !read.is_live() && read.limit() > 0 {
            self.held.subscribe().wait_for(|held| !held).await.unwrap();
        }
        self.inner.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        outcome(&self.read)?;
        self.inner.read_stream(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        outcome(&self.read)?;
        self.inner.head().await
    }

    fn commits(&self) -> Option<downlink::commit::Commits> {
        None
    }
}
