use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use downlink::transport::{Endpoint, Frame};
use downlink::{
    Append, Bus, Cursor, Event, EventStore, Expected, Filter, Hub, Result, Subscribe, Transport,
};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::faults::{BusFault, FaultyBus, FaultyStore};
use crate::fixture::{BusFixture, Guard, StoreFixture, TransportFixture};
use crate::subscription::HubOptions;
use crate::{sample, tasks};

/// A store, a bus and a transport.
pub struct TransportSetup {
    store: Arc<dyn StoreFixture>,
    bus: Arc<dyn BusFixture>,
    transport: Arc<dyn TransportFixture>,
}

impl fmt::Debug for TransportSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransportSetup")
    }
}

impl TransportSetup {
    /// Tests this transport, over this store and this bus.
    #[must_use]
    pub fn new(
        store: impl StoreFixture,
        bus: impl BusFixture,
        transport: impl TransportFixture,
    ) -> Self {
        Self { store: Arc::new(store), bus: Arc::new(bus), transport: Arc::new(transport) }
    }

    /// Serves a fresh store with these events, with a small ring.
    pub(super) async fn open(&self, history: &[Append]) -> TestServer {
        let (store, guard) = self.store.open().await.expect("a fresh store");
        for append in history {
            store.append(append.clone()).await.expect("an append");
        }
        let bus = self.bus.open(&guard).await.expect("a bus");
        self.serve(store, bus, Arc::new(guard), 64, Duration::from_millis(20)).await
    }

    /// Serves the same log again, as another process does.
    pub(super) async fn again(&self, other: &TestServer) -> TestServer {
        let bus = self.bus.open(&other.guard).await.expect("a bus");
        let (store, guard) = (Arc::clone(&other.store), Arc::clone(&other.guard));
        self.serve(store, bus, guard, 64, Duration::from_millis(20)).await
    }

    /// Another server for the same log, which gets no hints and does not poll.
    pub(super) async fn lagging(&self, other: &TestServer) -> TestServer {
        let bus = self.bus.open(&other.guard).await.expect("a bus");
        let bus: Arc<dyn Bus> = Arc::new(FaultyBus::new(bus, BusFault::LosesAll));
        let store = Arc::new(FaultyStore::new(Arc::clone(&other.store)));
        self.serve(store, bus, Arc::clone(&other.guard), 64, HubOptions::NEVER).await
    }

    /// As [`open`](Self::open), without events and with a ring of this size.
    pub(super) async fn open_with_ring(&self, ring: usize) -> TestServer {
        let (store, guard) = self.store.open().await.expect("a fresh store");
        let bus = self.bus.open(&guard).await.expect("a bus");
        self.serve(store, bus, Arc::new(guard), ring, Duration::from_millis(20)).await
    }

    async fn serve(
        &self,
        store: Arc<dyn EventStore>,
        bus: Arc<dyn Bus>,
        guard: Arc<Guard>,
        ring: usize,
        fallback: Duration,
    ) -> TestServer {
        let hub = Hub::builder(store, bus)
            .with_poll_interval(fallback)
            .with_ring(ring, usize::MAX)
            .with_page(8, 64 << 10)
            .with_checkpoint(5, Duration::from_millis(100));
        let hub = hub.start().await.expect("a hub");
        TestServer::begin(hub, self.transport.transport(), guard).await
    }
}

/// A server of a hub.
pub(super) struct TestServer {
    pub(super) hub: Hub,
    pub(super) store: Arc<dyn EventStore>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<Result<()>>,
    guard: Arc<Guard>,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.cancel();
        self.serving.abort();
    }
}

impl TestServer {
    /// Serves this hub with this transport.
    pub(super) async fn begin(hub: Hub, transport: Arc<dyn Transport>, guard: Arc<Guard>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let serving = {
            let (transport, hub, stop) = (Arc::clone(&transport), hub.clone(), stop.clone());
            tokio::spawn(async move { transport.serve(hub, listener, stop).await })
        };
        let store = Arc::clone(hub.store());
        Self { hub, store, transport, address, stop, serving, guard }
    }

    /// Tells the server to shut down.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until the server has ended.
    pub(super) async fn ended(&mut self) {
        let ended =
            tasks::soon("a server that was told to shut down does not end", &mut self.serving)
                .await;
        let ended = ended.expect("the server panicked");
        assert!(ended.is_ok(), "a server that was told to shut down failed: {ended:?}");
    }

    /// Waits until the number of open subscriptions of the hub is right.
    pub(super) async fn has_open(&self, what: &str, is_right: impl Fn(u64) -> bool) {
        let open = || self.hub.stats().open_subscriptions;
        let reached = async {
            while !is_right(open()) {
                tokio::task::yield_now().await;
            }
        };
        tasks::soon(what, reached).await;
    }

    pub(super) async fn log(&self) -> Vec<Event> {
        sample::log(&*self.store).await
    }

    /// Appends through the hub.
    pub(super) async fn append(&self, append: Append) {
        self.hub.append(append).await.expect("an append through the hub");
    }

    pub(super) async fn delay(&self, events: usize) {
        self.append(sample::append("flight-UA1545", Expected::Any, events)).await;
    }

    /// Opens one connection that resumes after this cursor.
    pub(super) async fn follow(&self, after: Cursor, filter: Filter) -> TestClient {
        let subscribe = Subscribe::new().with_after(after).with_filter(filter);
        let connected = connect(&self.transport, self.address, subscribe).await;
        connected.unwrap_or_else(|error| {
            panic!(
                "a client that resumes at {after}, which is a cursor of this log, was refused: \
                 {error}"
            )
        })
    }
}

/// Opens one connection to the server at this address.
pub(super) async fn connect(
    transport: &Arc<dyn Transport>,
    address: SocketAddr,
    subscribe: Subscribe,
) -> Result<TestClient> {
    let endpoint = Endpoint::new(format!("http://{address}"));
    let connecting = transport.connect(&endpoint, subscribe);
    let frames = tasks::soon("connecting does not return", connecting).await?;
    Ok(TestClient { frames, seen: Vec::new() })
}

/// A client that keeps every frame.
pub(super) struct TestClient {
    frames: BoxStream<'static, Result<Frame>>,
    pub(super) seen: Vec<Frame>,
}

impl TestClient {
    /// The next frame; panics with `what` if none comes.
    pub(super) async fn next(&mut self, what: &str) -> &Frame {
        match tasks::soon(what, self.frames.next()).await {
            Some(Ok(frame)) => self.seen.push(frame),
            Some(Err(error)) => panic!("a connection broke ({error}): {what}"),
            None => panic!("a connection ended by itself: {what}"),
        }
        self.seen.last().expect("a frame")
    }

    /// Takes frames until `live` comes.
    pub(super) async fn until_live(&mut self) {
        while !matches!(self.next("`live` did not come").await, Frame::Live { .. }) {}
    }

    /// Takes frames until this many events came.
    pub(super) async fn until(&mut self, events: usize, what: &str) {
        while self.events().count() < events {
            let had = self.events().count();
            self.next(&format!("{what} ({had} of {events} events came)")).await;
        }
    }

    /// Takes one frame; `false` if the connection ended instead.
    pub(super) async fn take(&mut self) -> bool {
        match self.frames.next().await {
            Some(Ok(frame)) => {
                self.seen.push(frame);
                true
            }
            Some(Err(_)) | None => false,
        }
    }

    /// Polls once, so that the next thing the client does has started.
    pub(super) fn poke(&mut self) {
        if let Some(Some(Ok(frame))) = self.frames.next().now_or_never() {
            self.seen.push(frame);
        }
    }

    /// Takes frames until the connection ends, which has to happen between two
    /// frames.
    pub(super) async fn until_a_good_end(&mut self, what: &str) {
        while let Some(frame) =
            tasks::soon(format!("{what} does not end"), self.frames.next()).await
        {
            match frame {
                Ok(frame) => self.seen.push(frame),
                Err(error) => {
                    panic!("{what} ended inside a frame, or without being terminated: {error}")
                }
            }
        }
    }

    /// Takes frames until this many events came or the connection ends in any
    /// way; panics with `what` if neither happens.
    pub(super) async fn until_the_end_or(&mut self, events: usize, what: &str) {
        while self.events().count() < events && tasks::soon(what, self.take()).await {}
    }

    /// Takes frames until this many came or the connection ends in any way.
    pub(super) async fn until_cut(&mut self, frames: usize) {
        while self.seen.len() < frames
            && tasks::soon("a cut connection does not end for the client", self.take()).await
        {
        }
    }

    /// Takes frames until the connection ends in any way.
    pub(super) async fn until_the_end(&mut self) {
        while tasks::soon("a cut connection does not end for the client", self.take()).await {}
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        events(&self.seen)
    }

    /// The cursor from which the client would resume.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        self.seen.iter().filter_map(Frame::cursor).next_back()
    }
}

pub(super) fn events(frames: &[Frame]) -> impl Iterator<Item = &Event> {
    frames.iter().filter_map(|frame| match frame {
        Frame::Event { event, .. } => Some(event),
        _ => None,
    })
}

/// Compares the delivered events with the log. Only two differences are
/// allowed, because a transport may make them: line breaks between JSON values
/// become spaces, and white space around the JSON is removed.
pub(super) fn expect_same(delivered: &[&Event], stored: &[Event], what: &str) {
    for (place, (delivered, stored)) in delivered.iter().zip(stored).enumerate() {
        assert!(
            delivered.cursor() == stored.cursor(),
            "{what}: event number {place} is {} instead of {}: a gap or a repeat",
            delivered.cursor(),
            stored.cursor()
        );
        assert_eq!(
            (delivered.stream(), delivered.version(), delivered.recorded_at()),
            (stored.stream(), stored.version(), stored.recorded_at()),
            "{what}: an event came with another stream, version or time"
        );
        assert_eq!(
            (delivered.id(), delivered.event_type(), delivered.tags(), delivered.content_type()),
            (stored.id(), stored.event_type(), stored.tags(), stored.content_type()),
            "{what}: an event came with another id, type, tags or content type"
        );
        let as_sent = |event: &Event| {
            let payload = event.payload();
            if event.content_type().is_json() { one_line(payload) } else { payload.clone() }
        };
        assert!(
            as_sent(delivered) == as_sent(stored),
            "{what}: a payload came with other bytes: {:?} was stored and {:?} came",
            String::from_utf8_lossy(stored.payload()),
            String::from_utf8_lossy(delivered.payload())
        );
        assert_eq!(
            one_line(delivered.metadata()),
            one_line(stored.metadata()),
            "{what}: metadata came with other bytes"
        );
    }
    assert!(
        delivered.len() == stored.len(),
        "{what}: {} events came, and the log has {}",
        delivered.len(),
        stored.len()
    );
}

/// JSON as it is written in an envelope.
pub(super) fn one_line(json: &Bytes) -> Bytes {
    json.trim_ascii()
        .iter()
        .map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte })
        .collect()
}
