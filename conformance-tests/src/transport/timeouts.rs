use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use downlink::hub::HubBuilder;
use downlink::transport::Frame;
use downlink::{Cursor, Event, Filter, Hub, LocalBus, Subscribe};

use super::proxies::flood;
use super::setup::{TestClient, TestServer, connect, expect_same};
use crate::faults::{BusFault, FaultyBus, FaultyStore, HoldingProxy};
use crate::fixture::{Guard, ShortTimeoutFixture, StoreFixture};
use crate::subscription::HubOptions;
use crate::{sample, tasks};

/// The heartbeat of laws that test heartbeats. Not shorter, so that a server
/// that only waits for a processor is not taken for silent.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The heartbeat of other laws.
const LONG_HEARTBEAT: Duration = Duration::from_secs(20);

/// How long a client may read nothing.
const STALL: Duration = Duration::from_secs(2);

/// The events that a hub keeps in memory here.
const RING: usize = 8;

/// A store, and a transport with short timeouts.
pub struct ShortTimeoutTransportSetup {
    store: Arc<dyn StoreFixture>,
    transport: Arc<dyn ShortTimeoutFixture>,
}

impl fmt::Debug for ShortTimeoutTransportSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShortTimeoutTransportSetup")
    }
}

impl ShortTimeoutTransportSetup {
    /// Tests this transport, over this store.
    #[must_use]
    pub fn new(store: impl StoreFixture, transport: impl ShortTimeoutFixture) -> Self {
        Self { store: Arc::new(store), transport: Arc::new(transport) }
    }

    async fn open(&self, heartbeat: Duration) -> (FaultyStore, TestServer) {
        let (store, guard) = self.store.open().await.expect("a fresh store");
        let store = FaultyStore::counting(store);
        let hub = Hub::builder(store.clone(), LocalBus::new())
            .with_poll_interval(Duration::from_millis(20));
        let hub = hub.with_ring(RING, usize::MAX);
        let served = self.serve(hub, heartbeat, Arc::new(guard)).await;
        (store, served)
    }

    /// A server for this store that gets no hints and does not poll.
    async fn lagging(&self, store: &FaultyStore) -> TestServer {
        let bus = FaultyBus::new(Arc::new(LocalBus::new()), BusFault::LosesAll);
        let hub = Hub::builder(store.clone(), bus).with_poll_interval(HubOptions::NEVER);
        self.serve(hub, HEARTBEAT, Arc::new(Guard::none())).await
    }

    async fn serve(&self, hub: HubBuilder, heartbeat: Duration, guard: Arc<Guard>) -> TestServer {
        // No kept pages: whatever is held in memory is held for a client.
        let hub = hub.with_page(RING, usize::MAX).with_page_cache(0).start().await.expect("a hub");
        TestServer::begin(hub, self.transport.transport(heartbeat, STALL), guard).await
    }
}

/// **Law.** A server that has nothing to send sends heartbeats, and they move
/// no cursor: not past what was delivered, whatever head they report.
pub async fn heartbeats_move_nothing(setup: &ShortTimeoutTransportSetup) {
    let (store, served) = setup.open(HEARTBEAT).await;
    served.delay(3).await;
    let lagging = setup.lagging(&store).await;
    let proxy = HoldingProxy::start(lagging.address).await.expect("a proxy");
    let client = connect(&lagging.transport, proxy.address(), Subscribe::new()).await;
    let mut client = client.expect("a connection");
    client.until_live().await;
    served.delay(5).await;
    for _ in 0..3 {
        let passed = proxy.passed();
        let heartbeat = client.while_waiting(proxy.passes_beyond(passed));
        tasks::soon("a server that has nothing to send sends no heartbeats", heartbeat).await;
    }
    let delivered = client.events().last().map(Event::cursor);
    let cursor = client.cursor().expect("a cursor");
    assert!(
        Some(cursor) == delivered,
        "a client received everything up to {delivered:?}, and heartbeats moved its cursor to \
         {cursor}: it would miss what is in between"
    );
    let mut resumed = served.follow(cursor, Filter::everything()).await;
    resumed.until_live().await;
    let all: Vec<_> = client.events().chain(resumed.events()).collect();
    expect_same(&all, &served.log().await, "resumed after heartbeats");
}

/// **Law.** A client disconnects from a server that has been silent for longer
/// than two heartbeats, even if the connection is still open.
pub async fn a_client_leaves_a_silent_server(setup: &ShortTimeoutTransportSetup) {
    let (_, served) = setup.open(HEARTBEAT).await;
    served.delay(3).await;
    let proxy = HoldingProxy::start(served.address).await.expect("a proxy");
    let client = connect(&served.transport, proxy.address(), Subscribe::new()).await;
    let mut client = client.expect("a connection");
    client.until_live().await;
    proxy.hold();
    let what = "a client stays with a server that is silent: end the connection after two missed \
                heartbeats";
    tasks::soon(what, client.leaves()).await;
}

/// **Law.** A client that never reads costs bounded memory, does not slow
/// others, and is disconnected. What it has received by then is whole, and it
/// resumes exactly.
pub async fn a_client_that_never_reads_is_disconnected(setup: &ShortTimeoutTransportSetup) {
    let (store, served) = setup.open(LONG_HEARTBEAT).await;
    served.delay(3).await;
    let mut stalled = served.follow(Cursor::START, Filter::everything()).await;
    stalled.until_live().await;
    stalled.poke();
    flood(&served).await;
    // Read from the wrapped store, so that these events are not counted as held.
    let log = sample::log(&**store.inner()).await;
    let mut other = served.follow(Cursor::START, Filter::everything()).await;
    other.until(log.len(), "an event was not delivered while another client never reads").await;
    drop(other);
    held(&store).await;
    let what = "a client that never reads is never disconnected: end a connection whose writes \
                make no progress";
    served.has_open(what, |open| open == 0).await;

    let what = "the connection of a client that never read does not end for the client";
    stalled.until_the_end_or(log.len(), what).await;
    let cursor = stalled.cursor().expect("a cursor");
    let mut resumed = served.follow(cursor, Filter::everything()).await;
    resumed.until_live().await;
    let all: Vec<_> = stalled.events().chain(resumed.events()).collect();
    expect_same(&all, &log, "resumed after a stall");
}

/// Waits until no more events are held than the ring and a few pages have.
async fn held(store: &FaultyStore) {
    let most = 8 * RING;
    let settled = async {
        while store.held() > most {
            tokio::task::yield_now().await;
        }
    };
    let what = format!(
        "{} events are held in memory for a client that reads nothing: give it no queue of its own",
        store.held()
    );
    tasks::soon(what, settled).await;
}

impl TestClient {
    /// Takes frames, which may only be heartbeats, until this future is done.
    async fn while_waiting(&mut self, done: impl Future<Output = ()>) {
        let mut done = std::pin::pin!(done);
        loop {
            let came = tokio::select! {
                biased;
                () = &mut done => return,
                came = self.take() => came,
            };
            assert!(came, "a connection ended while nothing happened");
        }
    }

    /// Takes frames until the connection ends.
    async fn leaves(&mut self) {
        while self.take().await {
            let last = self.seen.last();
            let is_event = matches!(last, Some(Frame::Event { .. }));
            assert!(!is_event, "an event came although nothing happened");
        }
    }
}
