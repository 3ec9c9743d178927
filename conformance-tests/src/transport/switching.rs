use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use downlink::transport::Frame;
use downlink::{
    Append, Cursor, Event, EventId, Expected, Filter, FilterItem, Hub, LocalBus, Subscribe,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::framing::forgeries;
use super::setup::{TestServer, connect, expect_same};
use crate::fixture::{Guard, StoreFixture, TransportFixture};
use crate::run::LawRun;
use crate::sample::{any_appends, any_item, of_type};

/// A store, and several transports that serve it.
pub struct TransportsSetup {
    store: Arc<dyn StoreFixture>,
    transports: Vec<Arc<dyn TransportFixture>>,
}

impl fmt::Debug for TransportsSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportsSetup")
            .field("transports", &self.transports.len())
            .finish_non_exhaustive()
    }
}

impl TransportsSetup {
    /// Tests these transports, at least two, over this store.
    #[must_use]
    pub fn new(
        store: impl StoreFixture,
        transports: impl IntoIterator<Item = Arc<dyn TransportFixture>>,
    ) -> Self {
        Self { store: Arc::new(store), transports: transports.into_iter().collect() }
    }

    /// Opens one hub, and serves it with each transport.
    async fn open(&self, history: &[Append]) -> Vec<TestServer> {
        assert!(self.transports.len() > 1, "give two transports or more");
        let (store, guard) = self.store.open().await.expect("a fresh store");
        let guard: Arc<Guard> = Arc::new(guard);
        let hub = Hub::builder(store, Arc::new(LocalBus::new()))
            .with_poll_interval(Duration::from_millis(20))
            .with_ring(16, usize::MAX)
            .with_page(8, 64 << 10)
            .start();
        let hub = hub.await.expect("a hub");
        for append in history {
            hub.append(append.clone()).await.expect("an append");
        }
        let mut served = Vec::new();
        for transport in &self.transports {
            let transport = transport.transport();
            served.push(TestServer::begin(hub.clone(), transport, Arc::clone(&guard)).await);
        }
        served
    }
}

/// **Law.** For the same log, cursor and filter all transports deliver the same
/// events with the same cursors and the same bytes, in a replay and live.
pub async fn all_transports_deliver_the_same(setup: &TransportsSetup) {
    let served = setup.open(&forgeries()).await;
    let log = served[0].log().await;
    for filter in [Filter::everything(), of_type("error"), of_type("Never")] {
        for place in [Cursor::START, log[log.len() / 2].cursor(), log[log.len() - 1].cursor()] {
            let mut clients = Vec::new();
            for served in &served {
                let mut client = served.follow(place, filter.clone()).await;
                client.until_live().await;
                clients.push((served.transport.name(), client));
            }
            for append in forgeries().into_iter().step_by(5) {
                served[0].append(append).await;
            }
            let log = served[0].log().await;
            let later = log.iter().filter(|event| event.position() > place.position());
            let wanted = later.filter(|event| filter.matches_event(event)).count();
            for (_, client) in &mut clients {
                client.until(wanted, "an event was not delivered").await;
            }
            let sequences: Vec<_> =
                clients.iter().map(|(name, client)| (*name, envelopes(&client.seen))).collect();
            same(&sequences);
        }
    }
}

type Sequence = Vec<(Cursor, Bytes)>;

fn envelopes(frames: &[Frame]) -> Sequence {
    let event = |frame: &Frame| match frame {
        Frame::Event { event, envelope } => Some((event.cursor(), envelope.clone())),
        _ => None,
    };
    frames.iter().filter_map(event).collect()
}

fn same(sequences: &[(&str, Sequence)]) {
    let Some(((first, one), others)) = sequences.split_first() else { return };
    for (name, other) in others {
        let cursors = |sequence: &Sequence| -> Vec<_> {
            sequence.iter().map(|(cursor, _)| *cursor).collect()
        };
        assert_eq!(cursors(one), cursors(other), "{first} and {name} deliver different events");
        let differs = one.iter().zip(other).find(|(one, other)| one.1 != other.1);
        assert!(
            differs.is_none(),
            "{first} and {name} deliver different bytes for the same event: {differs:?}"
        );
    }
}

#[derive(Clone, Debug)]
struct Scenario {
    history: Vec<Append>,
    filter: FilterItem,
    connections: Vec<Connection>,
}

/// One connection: its transport, how many frames the client takes, and how
/// much is appended before the next connection.
#[derive(Clone, Debug)]
struct Connection {
    transport: prop::sample::Index,
    frames: usize,
    appends: usize,
}

fn any_scenario() -> impl Strategy<Value = Scenario> {
    let connection = (any::<prop::sample::Index>(), 1..12_usize, 0..4_usize)
        .prop_map(|(transport, frames, appends)| Connection { transport, frames, appends });
    let filter = prop_oneof![Just(FilterItem::new()), any_item()];
    (any_appends(1..8), filter, vec(connection, 2..8))
        .prop_map(|(history, filter, connections)| Scenario { history, filter, connections })
}

/// **Law.** A client may switch from any transport to any other after any
/// frame, with the cursor that it has: it gets every event once, in order.
pub fn a_client_may_switch_transports(run: &LawRun, setup: &TransportsSetup) {
    run.cases(24, any_scenario(), async |Scenario { history, filter, connections }| {
        let served = setup.open(&history).await;
        let filter = Filter::from(filter);
        let (mut cursor, mut delivered) = (Cursor::START, Vec::<Event>::new());
        let mut taken = Vec::new();
        let last =
            Connection { transport: connections[0].transport, frames: usize::MAX, appends: 0 };
        for connection in connections.iter().chain([&last]) {
            let served = connection.transport.get(&served);
            taken.push(format!("{} for {} frames", served.transport.name(), connection.frames));
            let subscribe = Subscribe::new().with_after(cursor).with_filter(filter.clone());
            let client = connect(&served.transport, served.address, subscribe).await;
            let mut client = client.unwrap_or_else(|error| {
                panic!(
                    "{} refused a cursor of another transport: {error}; {taken:?}",
                    served.transport.name()
                )
            });
            while client.seen.len() < connection.frames
                && !matches!(client.seen.last(), Some(Frame::Live { .. }))
            {
                client.next("`live` did not come").await;
            }
            cursor = client.cursor().expect("`ready` has a cursor");
            delivered.extend(client.events().cloned());
            for append in history.iter().cycle().take(connection.appends) {
                served.append(with_new_ids(append)).await;
            }
        }
        let log = served[0].log().await;
        let wanted: Vec<_> = log.into_iter().filter(|event| filter.matches_event(event)).collect();
        let delivered: Vec<_> = delivered.iter().collect();
        expect_same(&delivered, &wanted, &format!("switching: {}", taken.join(", ")));
    });
}

/// The same events with new ids.
fn with_new_ids(append: &Append) -> Append {
    let fresh = append.events().map(|event| event.clone().with_id(EventId::now()));
    let stream = &append.writes[0].stream;
    Append::to(stream, Expected::Any, fresh.collect::<Vec<_>>()).expect("a valid name")
}
