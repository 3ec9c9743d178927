//! Long-poll end to end over real sockets.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use downlink::transport::{Endpoint, Frame};
use downlink::{After, Cursor, Expected, Hub, NewEvent, Subscribe, Transport};
use downlink_transports::LongPoll;
use downlink_transports::client::{Client, TransportKind};
use downlink_transports::feed::Feed;
use downlink_transports::serve::Server;
use futures::{FutureExt, StreamExt};
use support::{Raw, listener, soon};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Served {
    hub: Hub,
    address: SocketAddr,
    stop: CancellationToken,
    ended: JoinHandle<downlink::Result<()>>,
}

async fn serve(hub: &Hub) -> Served {
    let (listener, address) = listener().await;
    let (hub, stop) = (hub.clone(), CancellationToken::new());
    let app = Router::new().nest("/api", Feed::new(&hub).router());
    let server = Server::new(app).with_dead_peer_timeout(Duration::from_secs(1));
    let ended = tokio::spawn(server.serve(listener, stop.clone()));
    Served { hub, address, stop, ended }
}

impl Served {
    /// Waits until this many polls are waiting.
    async fn waiting(&self, polls: u64) {
        let hub = &self.hub;
        soon(&format!("{polls} waiting polls"), async {
            while hub.stats().open_subscriptions != polls {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::new(format!("http://{}/api", self.address))
    }
}

async fn hub() -> Hub {
    downlink::memory::hub().await.unwrap()
}

async fn put(hub: &Hub, count: usize) -> Cursor {
    let events: Vec<_> =
        (0..count).map(|_| NewEvent::json("FlightDelayed", "{}").unwrap()).collect();
    hub.append_to("flight-UA1545", Expected::Any, events).await.unwrap().cursor
}

#[tokio::test]
async fn a_client_that_disconnects_leaves_no_subscription() {
    let hub = hub().await;
    let served = serve(&hub).await;
    for _ in 0..3 {
        let mut polls = Vec::new();
        for _ in 0..10 {
            polls.push(Raw::get(served.address, "/api/feed?wait=55&after=now").await);
        }
        served.waiting(10).await;
        polls.drain(..5);
        served.waiting(5).await;
        drop(polls);
        served.waiting(0).await;
    }
    let client = Client::new(served.endpoint()).with_transport(TransportKind::LongPoll);
    let mut frames = client.connect(Subscribe::new()).await.unwrap();
    while !matches!(soon("live", frames.next()).await, Some(Ok(Frame::Live { .. }))) {}
    assert!(frames.next().now_or_never().is_none());
    served.waiting(1).await;
    drop(frames);
    served.waiting(0).await;
}

#[tokio::test]
async fn a_drain_answers_polls_that_wait_and_closes_their_connections() {
    let hub = hub().await;
    let cursor = put(&hub, 3).await;
    let served = serve(&hub).await;
    let mut poll = Raw::get(served.address, &format!("/api/feed?wait=55&after={cursor}")).await;
    served.waiting(1).await;
    served.stop.cancel();
    let answer = poll.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.to_lowercase().contains("connection: close\r\n"), "{answer}");
    let page = format!(r#"{{"events":[],"cursor":"{cursor}","head":"{cursor}","more":false}}"#);
    assert!(answer.ends_with(&page), "{answer}");
    soon("the end of the server", served.ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn pages_become_the_frames_of_a_stream() {
    let hub = hub().await;
    let head = put(&hub, 5).await;
    let served = serve(&hub).await;
    let client =
        Client::new(served.endpoint()).with_transport(TransportKind::LongPoll).with_page_limit(2);
    let mut frames = client.connect(Subscribe::new()).await.unwrap();
    let mut next = async || soon("a frame", frames.next()).await.unwrap().unwrap();
    let ready = Frame::Ready { cursor: Cursor::START, head, heartbeat: None };
    assert_eq!(next().await, ready);
    for version in 1..=5 {
        let Frame::Event { event, .. } = next().await else { panic!() };
        assert_eq!(event.version().get(), version);
    }
    assert_eq!(next().await, Frame::Live { cursor: head, head });
    let (frame, _) = tokio::join!(next(), put(&hub, 1));
    assert!(matches!(frame, Frame::Event { .. }));
}

#[tokio::test]
async fn polling_starts_where_it_is_told_to() {
    let hub = hub().await;
    let head = put(&hub, 5).await;
    let served = serve(&hub).await;
    let position = downlink::Position::new(3).unwrap();
    let transport = LongPoll::new();
    let far = After::Cursor(head);
    for (after, begins, events) in [
        (After::Start, Cursor::START, 5),
        (After::Now, head, 0),
        (far, head, 0),
        (After::Last(2), Cursor::START, 2),
        (After::Last(0), head, 0),
        (After::Position(position), Cursor::START, 2),
    ] {
        let subscribe = Subscribe::new().with_after(after);
        let frames = transport.connect(&served.endpoint(), subscribe).await.unwrap();
        let frames: Vec<_> = soon("frames", frames.take(events + 2).collect::<Vec<_>>()).await;
        let frames: Vec<_> = frames.into_iter().map(Result::unwrap).collect();
        assert_eq!(frames[0].cursor(), Some(begins), "{after:?}");
        assert_eq!(frames.last(), Some(&Frame::Live { cursor: head, head }), "{after:?}");
    }
}

#[tokio::test]
async fn a_server_may_close_the_connection_after_each_answer() {
    let hub = hub().await;
    put(&hub, 3).await;
    let served = serve(&hub).await;
    let (listener, address) = listener().await;
    let target = served.address;
    // An old proxy: one request per connection.
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut client = Raw(near);
                let head = client.until("\r\n\r\n").await;
                let mut far = Raw::connect(target).await;
                far.send(&head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")).await;
                near = client.0;
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far.0).await;
            });
        }
    });
    let client = Client::new(Endpoint::new(format!("http://{address}/api")))
        .with_transport(TransportKind::LongPoll)
        .with_page_limit(1)
        .with_reconnect_delay(Duration::from_mins(5)..=Duration::from_mins(5));
    let mut follow = client.follow(Subscribe::new()).unwrap();
    for version in 1..=6 {
        loop {
            let frame = soon("an event without a delay", follow.next()).await;
            match frame.unwrap().unwrap() {
                Frame::Event { event, .. } => {
                    assert_eq!(event.version().get(), version);
                    break;
                }
                Frame::Live { .. } => drop(put(&hub, 3).await),
                _ => {}
            }
        }
    }
}
