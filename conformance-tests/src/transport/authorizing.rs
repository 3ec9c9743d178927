use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use downlink::{
    After, Append, Cursor, Event, Expected, Filter, FilterItem, Hub, LocalBus, Subscribe,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::setup::{TestServer, connect, expect_same};
use crate::fixture::{AuthorizingFixture, StoreFixture, Visibility};
use crate::run::LawRun;
use crate::sample::{event, of_type};

/// A store, and a transport that checks what a client may see.
pub struct AuthorizingTransportSetup {
    store: Arc<dyn StoreFixture>,
    transport: Arc<dyn AuthorizingFixture>,
}

impl fmt::Debug for AuthorizingTransportSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorizingTransportSetup")
    }
}

impl AuthorizingTransportSetup {
    /// Tests this transport, over this store.
    #[must_use]
    pub fn new(store: impl StoreFixture, transport: impl AuthorizingFixture) -> Self {
        Self { store: Arc::new(store), transport: Arc::new(transport) }
    }

    async fn open(&self, visibility: &Visibility) -> TestServer {
        let (store, guard) = self.store.open().await.expect("a fresh store");
        let hub = Hub::builder(store, Arc::new(LocalBus::new()));
        // A small ring, so that a replay reads the store.
        let hub =
            hub.with_poll_interval(Duration::from_millis(20)).with_ring(4, usize::MAX).start();
        let hub = hub.await.expect("a hub");
        TestServer::begin(hub, self.transport.transport(visibility.clone()), Arc::new(guard)).await
    }
}

fn flight(number: usize) -> Append {
    let kinds = ["FlightDeparted", "FlightDelayed"];
    let events = [event(kinds[number % 2]), event("FlightDelayed")];
    Append::to(format!("flight-{}", number % 3), Expected::Any, events).expect("a valid name")
}

/// **Law.** What a client may see is decided anew for every connection and
/// combined with its filter by *and*. After its rights shrank, a replay hides
/// what live hides, from every cursor that the client has, without a refusal,
/// and the cursor still advances.
pub async fn a_replay_hides_what_live_hides(setup: &AuthorizingTransportSetup) {
    let visibility = Visibility::new(Filter::everything());
    let served = setup.open(&visibility).await;
    for number in 0..10 {
        served.append(flight(number)).await;
    }
    let mut before = served.follow(Cursor::START, Filter::everything()).await;
    before.until_live().await;
    let delivered: Vec<_> = before.events().collect();
    expect_same(&delivered, &served.log().await, "with rights to everything");
    let afters: Vec<_> = before.events().map(Event::cursor).step_by(3).collect();
    drop(before);

    for rights in [of_type("FlightDeparted"), of_stream("flight-1"), of_type("Never")] {
        visibility.set(rights.clone());
        for filter in [Filter::everything(), of_type("FlightDelayed"), of_stream("flight-2")] {
            for after in [Cursor::START].iter().chain(&afters) {
                shows_only(&served, *after, &filter, &rights).await;
            }
        }
    }
}

fn of_stream(name: &str) -> Filter {
    FilterItem::new().with_stream(name).expect("a valid name").into()
}

/// Checks that replay and live from this cursor have exactly what both filter
/// and rights allow.
async fn shows_only(served: &TestServer, after: Cursor, filter: &Filter, rights: &Filter) {
    let allowed = rights.clone().and(filter).expect("few queries");
    let mut client = served.follow(after, filter.clone()).await;
    client.until_live().await;
    let replayed = client.cursor();
    let head = served.log().await.last().map(Event::cursor);
    assert!(
        replayed == head,
        "a client from which events are hidden is at {replayed:?} when it is live, and the head is \
         {head:?}"
    );
    served.append(flight(0)).await;
    served.append(flight(1)).await;
    served.append(flight(2)).await;
    let log = served.log().await;
    let later = log.iter().filter(|event| event.position() > after.position());
    let wanted: Vec<_> = later.filter(|event| allowed.matches_event(event)).cloned().collect();
    client.until(wanted.len(), "an event that may be seen was not delivered").await;
    // A hidden event would have come before these, which may be seen.
    let mut resumed = served.follow(after, filter.clone()).await;
    resumed.until_live().await;
    for (client, what) in [(&client, "live"), (&resumed, "in a replay")] {
        let hidden = client.events().find(|event| !allowed.matches_event(event));
        assert!(
            hidden.is_none(),
            "an event was delivered {what} that the client may not see: {hidden:?}; combine the \
             rights with the filter by `and`, for every connection"
        );
        let delivered: Vec<_> = client.events().collect();
        expect_same(&delivered, &wanted, "with rights that shrank");
    }
}

/// A part of the events that [`flight`] appends.
fn any_part() -> impl Strategy<Value = Filter> {
    prop_oneof![
        Just(Filter::everything()),
        prop::sample::select(vec!["FlightDeparted", "FlightDelayed", "Never"]).prop_map(of_type),
        prop::sample::select(vec!["flight-0", "flight-1", "flight-2"]).prop_map(of_stream),
    ]
}

/// Where a client begins.
#[derive(Clone, Debug)]
enum Place {
    Start,
    Now,
    Last(usize),
    Position(Index),
    Cursor(Index),
}

fn any_place() -> impl Strategy<Value = Place> {
    prop_oneof![
        Just(Place::Start),
        Just(Place::Now),
        (1..6_usize).prop_map(Place::Last),
        any::<Index>().prop_map(Place::Position),
        any::<Index>().prop_map(Place::Cursor),
    ]
}

/// **Law.** Wherever a client begins, in a replay and live it receives exactly what both
/// its filter and its rights select. `last:n` counts what it may see.
pub fn what_may_not_be_seen_is_not_sent(run: &LawRun, setup: &AuthorizingTransportSetup) {
    let connections = vec((any_part(), any_part(), any_place()), 1..5);
    run.cases(24, connections, async |connections| {
        let visibility = Visibility::new(Filter::everything());
        let served = setup.open(&visibility).await;
        for number in 0..6 {
            served.append(flight(number)).await;
        }
        for (rights, filter, place) in &connections {
            visibility.set(rights.clone());
            let allowed = rights.clone().and(filter).expect("few queries");
            sends_only(&served, place, filter, &allowed).await;
        }
    });
}

/// Checks that a client that begins here receives what is allowed, and nothing else.
async fn sends_only(served: &TestServer, place: &Place, filter: &Filter, allowed: &Filter) {
    let log = served.log().await;
    let (after, from) = begin(place, &log, allowed);
    let subscribe = Subscribe::new().with_after(after).with_filter(filter.clone());
    let client = connect(&served.transport, served.address, subscribe).await;
    let mut client = client.unwrap_or_else(|error| panic!("a client was refused: {error}"));
    client.until_live().await;
    for number in 0..3 {
        served.append(flight(number)).await;
    }
    let log = served.log().await;
    let wanted = log[from..].iter().filter(|event| allowed.matches_event(event));
    let wanted: Vec<_> = wanted.cloned().collect();
    client.until(wanted.len(), "an event that may be seen was not delivered").await;
    let hidden = client.events().find(|event| !allowed.matches_event(event));
    assert!(
        hidden.is_none(),
        "an event was delivered that the client may not see: {hidden:?}; combine the rights with \
         the filter by `and`, wherever the client begins"
    );
    let delivered: Vec<_> = client.events().collect();
    expect_same(&delivered, &wanted, "with rights");
}

/// Where the client begins, and the place in the log of the first event after it.
fn begin(place: &Place, log: &[Event], allowed: &Filter) -> (After, usize) {
    match place {
        Place::Start => (After::Start, 0),
        Place::Now => (After::Now, log.len()),
        Place::Last(count) => {
            let seen = log.iter().enumerate().filter(|(_, event)| allowed.matches_event(event));
            let first = seen.map(|(place, _)| place).rev().take(*count).last();
            (After::Last(*count), first.unwrap_or(log.len()))
        }
        Place::Position(index) => {
            let place = index.index(log.len());
            (After::Position(log[place].position()), place + 1)
        }
        Place::Cursor(index) => {
            let place = index.index(log.len());
            (After::Cursor(log[place].cursor()), place + 1)
        }
    }
}
