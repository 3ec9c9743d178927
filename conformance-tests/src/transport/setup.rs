use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use downlink::{
    Append, Bus, Cursor, Endpoint, Event, EventStore, Expected, Filter, Frame, Hub, Result,
    Subscribe, Transport,
};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::faults::{BusFault, FaultyBus, FaultyStore};
use crate::subscription::HubOptions;
use crate::{BusFixture, Guard, StoreFixture, TransportFixture, sample, tasks};

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
    /// Serves this store and this bus by this transport.
    #[must_use]
    pub fn new(
        store: impl StoreFixture,
        bus: impl BusFixture,
        transport: impl TransportFixture,
    ) -> Self {
        Self { store: Arc::new(store), bus: Arc::new(bus), transport: Arc::new(transport) }
    }

    /// A fresh store with these events, served with a small ring.
    pub(super) async fn open(&self, history: &[Append]) -> TestServer {
        let (store, guard) = self.store.open().await.expect("a fresh store");
        for append in history {
            store.append(append.clone()).await.expect("an append");
        }
        let bus = self.bus.open(&guard).await.expect("a bus");
        self.serve(store, bus, Arc::new(guard), 64, Duration::from_millis(20)).await
    }

    /// The same log, as another process serves it.
    pub(super) async fn again(&self, beside: &TestServer) -> TestServer {
        let bus = self.bus.open(&beside.guard).await.expect("a bus");
        let (store, guard) = (Arc::clone(&beside.store), Arc::clone(&beside.guard));
        self.serve(store, bus, guard, 64, Duration::from_millis(20)).await
    }

    /// Another server for the same log, which is told of nothing and looks at
    /// nothing by itself.
    pub(super) async fn lagging(&self, beside: &TestServer) -> TestServer {
        let bus = self.bus.open(&beside.guard).await.expect("a bus");
        let bus: Arc<dyn Bus> = Arc::new(FaultyBus::new(bus, BusFault::LosesAll));
        let store = Arc::new(FaultyStore::new(Arc::clone(&beside.store)));
        self.serve(store, bus, Arc::clone(&beside.guard), 64, HubOptions::NEVER).await
    }

    /// As [`open`](Self::open), with a ring of so many events.
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
        let hub = Hub::builder_of(store, bus)
            .fallback(fallback)
            .ring(ring, usize::MAX)
            .page(8, 64 << 10)
            .checkpoint(5, HubOptions::NEVER);
        let hub = hub.start().await.expect("a hub");
        TestServer::begin(hub, self.transport.transport(), guard).await
    }
}

/// A hub that is being served.
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
    /// Serves this hub by this transport.
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

    /// Asks the server to end.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until the server has ended.
    pub(super) async fn ended(&mut self) {
        let ended = tasks::soon("a server that was told to end does not", &mut self.serving).await;
        let ended = ended.expect("the server panicked");
        assert!(ended.is_ok(), "a server that was told to end failed: {ended:?}");
    }

    /// Waits until the hub has so many subscriptions.
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
        self.hub.append_all(append).await.expect("an append through the hub");
    }

    pub(super) async fn delay(&self, events: usize) {
        self.append(sample::append("flight-UA1545", Expected::Any, events)).await;
    }

    /// One connection, from after this cursor.
    pub(super) async fn follow(&self, after: Cursor, filter: Filter) -> TestClient {
        let subscribe = Subscribe::new().after(after).filter(filter);
        let connected = connect(&self.transport, self.address, subscribe).await;
        connected.unwrap_or_else(|error| {
            panic!("a client that resumes at {after}, which is of this log, was refused: {error}")
        })
    }
}

/// Opens one connection to whoever serves at this address.
pub(super) async fn connect(
    transport: &Arc<dyn Transport>,
    address: SocketAddr,
    subscribe: Subscribe,
) -> Result<TestClient> {
    let endpoint = Endpoint::new(format!("http://{address}"));
    let connecting = transport.connect(&endpoint, subscribe);
    let frames = tasks::soon("connecting takes for ever", connecting).await?;
    Ok(TestClient { frames, seen: Vec::new() })
}

/// A client who keeps every frame.
pub(super) struct TestClient {
    frames: BoxStream<'static, Result<Frame>>,
    pub(super) seen: Vec<Frame>,
}

impl TestClient {
    /// The next frame, or a panic that says `what` did not come.
    pub(super) async fn next(&mut self, what: &str) -> &Frame {
        match tasks::soon(what, self.frames.next()).await {
            Some(Ok(frame)) => self.seen.push(frame),
            Some(Err(error)) => panic!("a connection broke: {error}; {what}"),
            None => panic!("a connection ended by itself; {what}"),
        }
        self.seen.last().expect("a frame")
    }

    /// Takes frames until the server says that everything was delivered.
    pub(super) async fn until_live(&mut self) {
        while !matches!(self.next("`live` did not come").await, Frame::Live { .. }) {}
    }

    /// Takes frames until there were so many events.
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

    /// Polls once, so that whatever the client does next is under way.
    pub(super) fn poke(&mut self) {
        if let Some(Some(Ok(frame))) = self.frames.next().now_or_never() {
            self.seen.push(frame);
        }
    }

    /// Takes what comes until the connection ends, which it has to do between
    /// two frames.
    pub(super) async fn until_a_good_end(&mut self, what: &str) {
        while let Some(frame) =
            tasks::soon(format!("{what} does not end"), self.frames.next()).await
        {
            match frame {
                Ok(frame) => self.seen.push(frame),
                Err(error) => panic!("{what} ended inside a frame, or without an end: {error}"),
            }
        }
    }

    /// Takes what comes until there were so many events, or the connection ends,
    /// however that is; panics with `what` if neither happens.
    pub(super) async fn until_the_end_or(&mut self, events: usize, what: &str) {
        while self.events().count() < events && tasks::soon(what, self.take()).await {}
    }

    /// Takes what comes until the connection ends, however that is, or there
    /// were so many frames.
    pub(super) async fn until_cut(&mut self, frames: usize) {
        while self.seen.len() < frames && tasks::soon("a cut connection hangs", self.take()).await {
        }
    }

    /// Takes what comes until the connection ends, however that is.
    pub(super) async fn until_the_end(&mut self) {
        while tasks::soon("a cut connection hangs", self.take()).await {}
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        events(&self.seen)
    }

    /// Where the client would resume.
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

/// Compares what was delivered with what the log has, as a wire may change it:
/// line breaks between the values of JSON are spaces there, and white space
/// around the whole of it is nobody's.
pub(super) fn expect_same(delivered: &[&Event], stored: &[Event], what: &str) {
    for (place, (delivered, stored)) in delivered.iter().zip(stored).enumerate() {
        assert!(
            delivered.cursor() == stored.cursor(),
            "{what}: the event {place} is {} and not {}; a gap or a repeat",
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

/// JSON as it stands in an envelope.
pub(super) fn one_line(json: &Bytes) -> Bytes {
    json.trim_ascii()
        .iter()
        .map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte })
        .collect()
}
