//! A feed with a schema sends the newest forms, on every transport and however far back.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use downlink::transport::{Endpoint, Frame};
use downlink::{After, Event, Expected, Filter, Hub, NewEvent, Schema, Subscribe};
use downlink_transports::client::{Client, Follow, TransportKind};
use downlink_transports::feed::Feed;
use downlink_transports::serve::Server;
use futures::StreamExt;
use serde_json::{Value, json};
use support::{Raw, listener, soon};
use tokio_util::sync::CancellationToken;

const TRANSPORTS: [TransportKind; 3] =
    [TransportKind::Sse, TransportKind::LongPoll, TransportKind::WebSocket];

/// Version 1 of `FlightDelayed` had hours. Counts its upcasts.
fn schema(upcasts: &Arc<AtomicUsize>) -> Schema {
    let upcasts = Arc::clone(upcasts);
    Schema::new().with_upcast("FlightDelayed", move |old| {
        upcasts.fetch_add(1, Ordering::SeqCst);
        let hours = old["hours"].as_u64().ok_or("a delay without hours")?;
        Ok(json!({ "minutes": hours * 60 }))
    })
}

struct Served {
    hub: Hub,
    address: SocketAddr,
    upcasts: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Served {
    async fn start() -> Self {
        let (hub, upcasts) = (downlink::memory::hub().await.unwrap(), Arc::default());
        let (listener, address) = listener().await;
        let feed = Feed::new(&hub).with_schema(&schema(&upcasts)).router();
        let stop = CancellationToken::new();
        tokio::spawn(Server::new(feed).serve(listener, stop.clone()));
        Self { hub, address, upcasts, stop }
    }

    async fn append(&self, event_type: &str, payload: &Value) {
        let event = NewEvent::json(event_type, payload.to_string()).unwrap();
        let event = event.with_tag("airport:EWR").unwrap();
        self.hub.append_to("flight-UA1545", Expected::Any, [event]).await.unwrap();
    }

    fn follow(&self, transport: TransportKind, subscribe: Subscribe) -> Follow {
        let endpoint = Endpoint::new(format!("http://{}", self.address));
        Client::new(endpoint).with_transport(transport).follow(subscribe).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn next_event(follow: &mut Follow) -> Event {
    loop {
        if let Frame::Event { event, .. } = soon("an event", follow.next()).await.unwrap().unwrap()
        {
            return event;
        }
    }
}

fn text(event: &Event) -> (&str, String, String) {
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (event.event_type().as_str(), utf8(event.payload()), utf8(event.metadata()))
}

fn newest(minutes: u64) -> (&'static str, String, String) {
    let payload = json!({ "minutes": minutes }).to_string();
    ("FlightDelayed", payload, r#"{"schema_version":2}"#.to_owned())
}

#[tokio::test]
async fn followers_receive_the_newest_form_and_an_event_is_upcast_once_for_all() {
    let served = Served::start().await;
    served.append("FlightDelayed", &json!({ "hours": 1 })).await;
    served.append("FlightDelayed", &json!({ "hours": 2 })).await;
    let tagged = || Filter::types(["FlightDelayed"]);
    let mut follows = Vec::new();
    for transport in TRANSPORTS {
        let all = Subscribe::new().with_filter(tagged());
        let last = Subscribe::new().with_after(After::Last(1));
        let mut replay = served.follow(transport, all);
        let mut tail = served.follow(transport, last);
        assert_eq!(text(&next_event(&mut replay).await), newest(60), "{transport:?}");
        assert_eq!(text(&next_event(&mut replay).await), newest(120), "{transport:?}");
        assert_eq!(text(&next_event(&mut tail).await), newest(120), "{transport:?}");
        follows.extend([replay, tail]);
    }
    served.append("FlightDelayed", &json!({ "hours": 3 })).await;
    for follow in &mut follows {
        let event = next_event(follow).await;
        assert_eq!(text(&event), newest(180));
        // A follower with the same schema reads it as what it is.
        let other = Arc::default();
        assert!(schema(&other).upcast(&event).unwrap().payload() == event.payload());
        assert_eq!(other.load(Ordering::SeqCst), 0);
    }
    let mut page = Raw::get(served.address, "/streams/flight-UA1545?direction=backward").await;
    let page = page.answer().await;
    let positions = [180, 120, 60].map(|minutes| page.find(&format!("\"minutes\":{minutes}}}")));
    assert!(positions.iter().all(Option::is_some) && positions.is_sorted(), "{page}");
    assert_eq!(served.upcasts.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_cannot_be_upcast_is_sent_as_stored_and_ends_no_stream() {
    let served = Served::start().await;
    served.append("FlightDelayed", &json!({ "days": 1 })).await;
    let newer = NewEvent::json("FlightDelayed", r#"{"seconds":7}"#).unwrap();
    let newer = newer.with_metadata(&json!({ "schema_version": 3 })).unwrap();
    served.hub.append_to("flight-UA1545", Expected::Any, [newer]).await.unwrap();
    served.append("FlightLanded", &json!({ "gate": "C71" })).await;
    let stored = |event_type, payload: &str, metadata: &str| {
        (event_type, payload.to_owned(), metadata.to_owned())
    };
    for transport in TRANSPORTS {
        let mut follow = served.follow(transport, Subscribe::new());
        for expected in [
            stored("FlightDelayed", r#"{"days":1}"#, "{}"),
            stored("FlightDelayed", r#"{"seconds":7}"#, r#"{"schema_version":3}"#),
            stored("FlightLanded", r#"{"gate":"C71"}"#, "{}"),
        ] {
            assert_eq!(text(&next_event(&mut follow).await), expected, "{transport:?}");
        }
    }
}

#[tokio::test]
async fn without_a_schema_followers_receive_what_is_stored() {
    let served = Served::start().await;
    let (listener, address) = listener().await;
    let raw = Server::new(Feed::new(&served.hub).router());
    tokio::spawn(raw.serve(listener, served.stop.clone()));
    served.append("FlightDelayed", &json!({ "hours": 1 })).await;
    for transport in TRANSPORTS {
        // Both feeds have the same event, which keeps the bytes of only one of them.
        let mut upcast = served.follow(transport, Subscribe::new());
        assert_eq!(text(&next_event(&mut upcast).await), newest(60), "{transport:?}");
        let endpoint = Endpoint::new(format!("http://{address}"));
        let client = Client::new(endpoint).with_transport(transport);
        let mut stored = client.follow(Subscribe::new()).unwrap();
        let expected = ("FlightDelayed", r#"{"hours":1}"#.to_owned(), "{}".to_owned());
        assert_eq!(text(&next_event(&mut stored).await), expected, "{transport:?}");
    }
}
