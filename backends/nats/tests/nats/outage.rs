//! What happens when the server goes away.

use std::time::Duration;

use downlink::memory::MemoryStore;
use downlink::{Bus, ErrorKind, Expected, Hub, Item, NewEvent, Subscribe};
use downlink_nats::NatsBus;
use futures::StreamExt;
use tokio::time::timeout;

use crate::server::Server;

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
#[ignore = "needs NATS: ./check nats"]
async fn two_buses_on_one_subject_wake_each_other_and_no_others() {
    let url = Server::shared().url();
    let one = NatsBus::connect(&url, "outage.one").await.unwrap();
    let same = NatsBus::connect(&url, "outage.one").await.unwrap();
    let other = NatsBus::connect(&url, "outage.two").await.unwrap();
    let (mut woken, mut asleep) = (same.listen().await.unwrap(), other.listen().await.unwrap());
    let position = downlink::Position::new(7).unwrap();
    one.publish(downlink::bus::Hint::at(position)).await.unwrap();
    let hint = timeout(LONG, woken.next()).await.unwrap().unwrap();
    assert_eq!(hint.claimed_position(), Some(position));
    assert!(timeout(Duration::from_millis(300), asleep.next()).await.is_err());
    one.close().await;
    let closed = one.publish(downlink::bus::Hint::anything()).await.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
#[ignore = "needs NATS: ./check nats"]
async fn a_server_that_is_not_there_is_an_error() {
    let error = NatsBus::connect("nats://127.0.0.1:1", "flights").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let error = NatsBus::connect("nats://127.0.0.1:1", "flights.*").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

/// Two hubs on one log, of which one hears of the other's appends only over NATS.
#[tokio::test]
#[ignore = "needs NATS: ./check nats"]
async fn a_server_that_dies_costs_only_time() {
    let server = Server::start();
    let (port, url) = (server.port(), server.url());
    let store = MemoryStore::new();
    let poll = Duration::from_secs(5);
    let hub = async || {
        let bus = NatsBus::connect(&url, "flights").await.unwrap();
        Hub::builder(store.clone(), bus).with_poll_interval(poll).start().await.unwrap()
    };
    let (writing, following) = (hub().await, hub().await);
    let mut subscription = following.subscribe(Subscribe::new()).await.unwrap();
    let append = async |number: u64| {
        let event = NewEvent::json("FlightDeparted", format!("{{\"number\":{number}}}")).unwrap();
        writing.append_to("flight-UA1545", Expected::Any, [event]).await.unwrap();
    };
    let mut seen = 0;
    let mut catch_up = async |count: u64| {
        while seen < count {
            let item = timeout(LONG, subscription.next()).await.expect("in time").unwrap();
            if let Item::Event(event) = item.unwrap() {
                seen += 1;
                assert_eq!(event.version().get(), seen, "lost or repeated");
            }
        }
    };
    for number in 1..=10 {
        append(number).await;
    }
    catch_up(10).await;
    drop(server);
    for number in 11..=20 {
        append(number).await;
    }
    catch_up(20).await;
    let _server = Server::start_on(port);
    for number in 21..=30 {
        append(number).await;
    }
    catch_up(30).await;
    writing.shutdown().await;
    following.shutdown().await;
}
