use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use downlink::transport::Frame;
use downlink::{Append, Cursor, Event, Expected, Filter, Hub, LocalBus};

use super::setup::{TestClient, TestServer};
use crate::fixture::{ReauthorizingFixture, StoreFixture, Visibility};
use crate::sample::{event, of_type};
use crate::tasks;

/// A store, and a transport that follows changes of what a client may see.
pub struct ReauthorizingTransportSetup {
    store: Arc<dyn StoreFixture>,
    transport: Arc<dyn ReauthorizingFixture>,
}

impl fmt::Debug for ReauthorizingTransportSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReauthorizingTransportSetup")
    }
}

/// The type of the events that change what a client may see.
const CHANGED: &str = "RightsChanged";

/// What every client may see, and what only some may.
const OPEN: &str = "FlightDeparted";
const SECRET: &str = "FlightDelayed";

/// How long a right may last that was taken away: a second is promised, and the rest is
/// for a busy machine.
const DEADLINE: Duration = Duration::from_secs(3);

impl ReauthorizingTransportSetup {
    /// Tests this transport, over this store.
    #[must_use]
    pub fn new(store: impl StoreFixture, transport: impl ReauthorizingFixture) -> Self {
        Self { store: Arc::new(store), transport: Arc::new(transport) }
    }

    async fn open(&self, visibility: &Visibility) -> TestServer {
        let (store, guard) = self.store.open().await.expect("a fresh store");
        let hub = Hub::builder(store, Arc::new(LocalBus::new()));
        let hub = hub.with_poll_interval(Duration::from_millis(20)).start().await.expect("a hub");
        let transport = self.transport.transport(visibility.clone(), of_type(CHANGED));
        TestServer::begin(hub, transport, Arc::new(guard)).await
    }
}

async fn append(served: &TestServer, kind: &str) {
    let append = Append::to("flight-UA1545", Expected::Any, [event(kind)]);
    served.append(append.expect("a valid name")).await;
}

/// A client that has received an event of either type that it may see.
async fn live_client(served: &TestServer, events: usize) -> TestClient {
    append(served, SECRET).await;
    append(served, OPEN).await;
    let mut client = served.follow(Cursor::START, Filter::everything()).await;
    client.until(events, "an event that may be seen was not delivered").await;
    client.until_live().await;
    client
}

/// **Law.** A right that is taken away ends while a stream is open: within a second
/// nothing is sent any more that the client may not see, and the client can return from
/// its cursor, without what it may no longer see.
pub async fn a_revoked_right_ends_while_a_stream_is_open(setup: &ReauthorizingTransportSetup) {
    let visibility = Visibility::new(Filter::everything());
    let served = setup.open(&visibility).await;
    let mut client = live_client(&served, 2).await;
    visibility.set(of_type(OPEN));
    append(&served, CHANGED).await;
    let begun = Instant::now();
    loop {
        let before = client.seen.len();
        append(&served, SECRET).await;
        append(&served, OPEN).await;
        let is_open = until_open_event(&mut client, before).await;
        let hidden = client.seen[before..].iter().any(|frame| is_of(frame, SECRET));
        if !is_open || !hidden {
            break;
        }
        assert!(
            begun.elapsed() < DEADLINE,
            "a client still receives what it may no longer see, {DEADLINE:?} after the event that \
             changed its rights: end its streams when that event is read"
        );
    }
    let reset = client.seen.iter().find(|frame| matches!(frame, Frame::Reset { .. }));
    assert!(reset.is_none(), "a client whose rights only shrank was told to load again: {reset:?}");
    let cursor = client.cursor().expect("a cursor");
    let seen = served.follow(cursor, Filter::everything()).await.until_all_seen(&served).await;
    let hidden = seen.iter().find(|event| event.event_type().as_str() == SECRET);
    assert!(hidden.is_none(), "a client that returned received what it may not see: {hidden:?}");
}

/// **Law.** A client whose rights became wider is told to load again, because its cursor
/// has passed what was hidden; from the beginning it receives everything.
pub async fn wider_rights_are_loaded_again(setup: &ReauthorizingTransportSetup) {
    let visibility = Visibility::new(of_type(OPEN));
    let served = setup.open(&visibility).await;
    let mut client = live_client(&served, 1).await;
    visibility.set(Filter::everything());
    append(&served, CHANGED).await;
    let what = "a client whose rights became wider goes on from its cursor";
    while tasks::soon(what, client.take()).await {
        let goes_on = client.seen.last().is_some_and(|frame| is_of(frame, CHANGED));
        assert!(!goes_on, "{what}, which has passed what was hidden: send `reset`");
    }
    let reset = client.seen.iter().any(|frame| matches!(frame, Frame::Reset { .. }));
    assert!(reset, "{what}, which has passed what was hidden: send `reset` before the end");
    let all = served.follow(Cursor::START, Filter::everything()).await;
    let seen = all.until_all_seen(&served).await;
    assert_eq!(seen.len(), served.log().await.len(), "a client that loaded again misses events");
}

fn is_of(frame: &Frame, kind: &str) -> bool {
    matches!(frame, Frame::Event { event, .. } if event.event_type().as_str() == kind)
}

/// Takes frames until an event that everyone may see; `false` if the stream ended before.
async fn until_open_event(client: &mut TestClient, from: usize) -> bool {
    while !client.seen[from..].iter().any(|frame| is_of(frame, OPEN)) {
        if !tasks::soon("an event that may be seen was not delivered", client.take()).await {
            return false;
        }
    }
    true
}

impl TestClient {
    /// All events up to the present end of the log.
    async fn until_all_seen(mut self, served: &TestServer) -> Vec<Event> {
        let head = served.log().await.last().map(Event::cursor);
        while self.cursor() < head {
            self.next("a client did not reach the end of the log").await;
        }
        self.events().cloned().collect()
    }
}
