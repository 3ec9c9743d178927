use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use downlink::{Cursor, Event, Filter, Frame, Hub, HubBuilder, LocalBus, Subscribe};

use super::proxies::flood;
use super::setup::{TestClient, TestServer, connect, expect_same};
use crate::faults::{BusFault, FaultyBus, FaultyStore, HoldingProxy};
use crate::subscription::HubOptions;
use crate::{Guard, ShortTimeoutFixture, StoreFixture, sample, tasks};

/// How often the transport says that it lives, where that is looked at. Not less,
/// so that nobody is taken for silent who only waits for a processor.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How often elsewhere.
const SELDOM: Duration = Duration::from_secs(20);

/// How long a client may read nothing.
const STALL: Duration = Duration::from_secs(2);

/// The events that a hub keeps in memory here.
const RING: usize = 8;

/// A store, and a transport that soon gives up on who is silent.
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
    /// Serves this store by this transport.
    #[must_use]
    pub fn new(store: impl StoreFixture, transport: impl ShortTimeoutFixture) -> Self {
        Self { store: Arc::new(store), transport: Arc::new(transport) }
    }

    async fn open(&self, heartbeat: Duration) -> (FaultyStore, TestServer) {
        let (store, guard) = self.store.open().await.expect("a fresh store");
        let store = FaultyStore::counting(store);
        let hub = Hub::builder(store.clone(), LocalBus::new()).fallback(Duration::from_millis(20));
        let hub = hub.ring(RING, usize::MAX);
        let served = self.serve(hub, heartbeat, Arc::new(guard)).await;
        (store, served)
    }

    /// A server for this store that is told of nothing and looks at nothing by
    /// itself.
    async fn lagging(&self, store: &FaultyStore) -> TestServer {
        let bus = FaultyBus::new(Arc::new(LocalBus::new()), BusFault::LosesAll);
        let hub = Hub::builder(store.clone(), bus).fallback(HubOptions::NEVER);
        self.serve(hub, HEARTBEAT, Arc::new(Guard::none())).await
    }

    async fn serve(&self, hub: HubBuilder, heartbeat: Duration, guard: Arc<Guard>) -> TestServer {
        // Nothing is kept for others, so that what is held is held for somebody.
        let hub = hub.page(RING, usize::MAX).kept_pages(0).start().await.expect("a hub");
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
        let sign = client.while_waiting(proxy.passes_beyond(passed));
        tasks::soon("a server that has nothing to say gives no sign of life", sign).await;
    }
    let delivered = client.events().last().map(Event::cursor);
    let cursor = client.cursor().expect("a cursor");
    assert!(
        Some(cursor) == delivered,
        "a client was delivered everything up to {delivered:?}, and the signs of life moved its \
         cursor to {cursor}: it would miss what lies between"
    );
    let mut resumed = served.follow(cursor, Filter::everything()).await;
    resumed.until_live().await;
    let all: Vec<_> = client.events().chain(resumed.events()).collect();
    expect_same(&all, &served.log().await, "resumed after signs of life");
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
    let what = "a client stays with a server that is silent: end the connection after two \
                heartbeats that did not come";
    tasks::soon(what, client.leaves()).await;
}

/// **Law.** A client that never reads costs bounded memory, does not slow
/// others, and is disconnected. What it has received by then is whole, and it
/// resumes exactly.
pub async fn a_client_that_never_reads_is_disconnected(setup: &ShortTimeoutTransportSetup) {
    let (store, served) = setup.open(SELDOM).await;
    served.delay(3).await;
    let mut stalled = served.follow(Cursor::START, Filter::everything()).await;
    stalled.until_live().await;
    stalled.poke();
    flood(&served).await;
    // Past the store that counts, which would count these as held.
    let log = sample::log(&**store.inner()).await;
    let mut other = served.follow(Cursor::START, Filter::everything()).await;
    other.until(log.len(), "an event was not delivered beside a client that never reads").await;
    drop(other);
    held(&store).await;
    let what = "a client that never reads is never let go: end a connection whose writes make no \
                progress";
    served.has_open(what, |open| open == 0).await;

    let what = "the connection of a client that never read does not end for it";
    stalled.until_the_end_or(log.len(), what).await;
    let cursor = stalled.cursor().expect("a cursor");
    let mut resumed = served.follow(cursor, Filter::everything()).await;
    resumed.until_live().await;
    let all: Vec<_> = stalled.events().chain(resumed.events()).collect();
    expect_same(&all, &log, "resumed after a stall");
}

/// Waits until no more events are held than the ring has and a page or two.
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
    /// Takes what comes, which may only be signs of life, until this is done.
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

    /// Takes what comes until the connection ends.
    async fn leaves(&mut self) {
        while self.take().await {
            let last = self.seen.last();
            let is_of_use = matches!(last, Some(Frame::Event { .. }));
            assert!(!is_of_use, "an event came although nothing happened");
        }
    }
}
