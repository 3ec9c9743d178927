//! WebSocket end to end: the feed on the server, and the client.
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use downlink::error::FailedCheck;
use downlink::transport::{Endpoint, Frame};
use downlink::{
    After, Cursor, Error, ErrorKind, Expected, Filter, FilterItem, Hub, NewEvent, Subscribe,
    Transport, Version,
};
use downlink_transports::WebSocket;
use downlink_transports::client::{Client, Socket, SocketSubscription, TransportKind};
use downlink_transports::feed::Feed;
use downlink_transports::serve::Server;
use futures::StreamExt;
use support::{listener, soon};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Running {
    hub: Hub,
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(feed: impl FnOnce(&Hub) -> Feed) -> Self {
        let hub = downlink::memory::hub().await.unwrap();
        let (listener, address) = listener().await;
        let shutdown = CancellationToken::new();
        let serving = Server::new(feed(&hub).router()).serve(listener, shutdown.clone());
        let task = tokio::spawn(async { serving.await.unwrap() });
        Self { hub, address, shutdown, task }
    }

    fn client(&self) -> Client {
        let endpoint = Endpoint::new(format!("http://{}", self.address));
        Client::new(endpoint).with_transport(TransportKind::WebSocket)
    }

    async fn socket(&self) -> Socket {
        soon("a socket", self.client().socket()).await.unwrap()
    }

    async fn put(&self, stream: &str, count: usize) -> Cursor {
        let event = |_| NewEvent::json("FlightDelayed", r#"{"minutes":20}"#).unwrap();
        let events: Vec<_> = (0..count).map(event).collect();
        self.hub.append_to(stream, Expected::Any, events).await.unwrap().cursor
    }
}

async fn appending() -> Running {
    Running::start(|hub| Feed::new(hub).with_append()).await
}

async fn next(subscription: &mut SocketSubscription) -> Frame {
    soon("a frame", subscription.next()).await.expect("a frame").expect("no error")
}

async fn last_error(subscription: &mut SocketSubscription) -> Error {
    let error = soon("an error", subscription.next()).await.unwrap().unwrap_err();
    assert!(soon("the end", subscription.next()).await.is_none(), "nothing follows an error");
    error
}

async fn until_live(subscription: &mut SocketSubscription) -> usize {
    let mut events = 0;
    loop {
        match next(subscription).await {
            Frame::Live { .. } => return events,
            Frame::Event { .. } => events += 1,
            Frame::Ready { .. } | Frame::Checkpoint { .. } | Frame::Behind { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_transport_serves_and_connects() {
    let hub = downlink::memory::hub().await.unwrap();
    let event = || NewEvent::json("FlightDeparted", "{}").unwrap();
    hub.append_to("flight-UA1545", Expected::Any, [event(), event()]).await.unwrap();
    let (listener, address) = listener().await;
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(WebSocket.serve(hub.clone(), listener, shutdown.clone()));
    let endpoint = Endpoint::new(format!("http://{address}"));
    assert_eq!(WebSocket.name(), "websocket");

    let frames = soon("frames", WebSocket.connect(&endpoint, Subscribe::new())).await.unwrap();
    let mut frames = frames.map(Result::unwrap);
    let mut next = async || soon("a frame", frames.next()).await;
    assert!(matches!(next().await, Some(Frame::Ready { heartbeat: Some(_), .. })));
    assert!(matches!(next().await, Some(Frame::Event { .. })));
    assert!(matches!(next().await, Some(Frame::Event { .. })));
    assert!(matches!(next().await, Some(Frame::Live { .. })));
    hub.append_to("flight-UA1545", Expected::Any, [event()]).await.unwrap();
    assert!(matches!(next().await, Some(Frame::Event { .. })));
    shutdown.cancel();
    assert!(matches!(next().await, Some(Frame::Bye { .. })));
    assert!(next().await.is_none(), "the stream ends without an error");
    soon("the end of the server", server).await.unwrap().unwrap();
}

#[tokio::test]
async fn refusals_have_the_kind_of_their_code() {
    let running = appending().await;
    running.put("s", 3).await;
    let other = "0000000000000003-00000001".parse::<Cursor>().unwrap();
    let ahead = "0000000000000009-00000001".parse::<Cursor>().unwrap();
    // By URL, and by a frame for a filter that a URL cannot express.
    let items = ["a", "b"].map(|tag| FilterItem::new().with_tag(tag).unwrap());
    for filter in [Filter::everything(), Filter::any_of(items).unwrap()] {
        for (cursor, kind) in [(other, ErrorKind::HistoryChanged), (ahead, ErrorKind::CursorAhead)]
        {
            let subscribe = Subscribe::new().with_after(cursor).with_filter(filter.clone());
            let refused = running.client().connect(subscribe.clone()).await.map(drop);
            assert_eq!(refused.unwrap_err().kind(), kind);
            let refused = running.socket().await.subscribe(subscribe).await.map(drop);
            assert_eq!(refused.unwrap_err().kind(), kind);
        }
    }
    let unreachable = Client::new(Endpoint::new("http://127.0.0.1:1"));
    let refused = unreachable.socket().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn filters_with_alternatives_work() {
    let running = appending().await;
    for stream in ["a", "b", "c"] {
        running.put(stream, 1).await;
    }
    let items = ["a", "c"].map(|stream| FilterItem::new().with_stream(stream).unwrap());
    let subscribe = Subscribe::new().with_filter(Filter::any_of(items).unwrap());
    let mut frames = running.client().connect(subscribe.clone()).await.unwrap();
    let mut streams = Vec::new();
    while let Some(Ok(frame)) = soon("a frame", frames.next()).await {
        match frame {
            Frame::Event { event, .. } => streams.push(event.stream().to_string()),
            Frame::Live { .. } => break,
            _ => {}
        }
    }
    assert_eq!(streams, ["a", "c"]);
    let mut follow = running.client().follow(subscribe).unwrap();
    assert!(matches!(
        soon("a frame", follow.next()).await,
        Some(Ok(Frame::Event { event, .. })) if event.stream().as_str() == "a"
    ));
}

#[tokio::test]
async fn one_socket_has_many_subscriptions() {
    let running = appending().await;
    let cursor = running.put("flight-1", 3).await;
    let socket = running.socket().await;
    let mut all = socket.subscribe(Subscribe::new()).await.unwrap();
    let mut last = socket.subscribe(Subscribe::new().with_after(After::Last(1))).await.unwrap();
    let gates = FilterItem::new().with_stream_prefix("gate-").unwrap();
    let mut gates = socket.subscribe(Subscribe::new().with_filter(gates.into())).await.unwrap();
    assert!(matches!(next(&mut all).await, Frame::Ready { .. }));
    assert_eq!(until_live(&mut all).await, 3);
    assert_eq!(all.cursor(), Some(cursor));
    assert_eq!(until_live(&mut last).await, 1);
    assert_eq!(until_live(&mut gates).await, 0);
    running.put("gate-C71", 1).await;
    for subscription in [&mut all, &mut last, &mut gates] {
        let Frame::Event { event, .. } = next(subscription).await else { panic!("no event") };
        assert_eq!(event.stream().as_str(), "gate-C71");
    }
    // A dropped subscription is closed, and no longer counts at the server.
    drop(all);
    soon("fewer subscriptions", async {
        while running.hub.stats().open_subscriptions > 2 {
            socket.ping().await.unwrap();
        }
    })
    .await;
    for _ in 0..30 {
        std::mem::forget(socket.subscribe(Subscribe::new().with_after(After::Now)).await.unwrap());
    }
    let refused = socket.subscribe(Subscribe::new()).await.map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
}

#[tokio::test]
async fn appends_have_receipts_or_typed_errors() {
    let running = appending().await;
    let socket = running.socket().await;
    let event = || NewEvent::json("FlightDelayed", "{\"minutes\":\n20}").unwrap();
    let first = event();
    let receipt =
        socket.append_to("s", Expected::NoStream, [first.clone(), event()]).await.unwrap();
    assert_eq!((receipt.stream.as_str(), receipt.first.get(), receipt.last.get()), ("s", 1, 2));
    assert_eq!((receipt.ids[0], receipt.duplicate), (first.id(), false));
    assert_eq!(receipt.cursor, running.hub.head().await.unwrap());
    let once_more = socket.append_to("t", Expected::Any, [event()]).await.unwrap();
    assert_eq!(once_more.first, Version::FIRST);
    let stored = running.hub.log_events(downlink::Read::log()).next().await.unwrap().unwrap();
    assert_eq!(stored.payload(), "{\"minutes\":\n20}", "the stored bytes differ from those sent");

    let conflict = socket.append_to("s", Expected::NoStream, [event()]).await.unwrap_err();
    let (expected, actual) = (Expected::NoStream, Version::new(2));
    let failed = FailedCheck::Stream { stream: "s".try_into().unwrap(), expected, actual };
    assert_eq!((conflict.kind(), conflict.failed_checks()), (ErrorKind::Conflict, &[failed][..]));
    let known = socket.append_to("u", Expected::Any, [first]).await.unwrap_err();
    assert_eq!(known.kind(), ErrorKind::IdReused);
    let long = NewEvent::json("T", format!("\"{}\"", "x".repeat(300_000))).unwrap();
    let long = socket.append_to("s", Expected::Any, [long]).await.unwrap_err();
    assert_eq!((long.kind(), long.limit()), (ErrorKind::TooLarge, Some(256 << 10)));

    let read_only = Running::start(Feed::new).await;
    let refused = read_only.socket().await.append_to("s", Expected::Any, [event()]).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn appends_beyond_the_limit_of_the_server_wait() {
    let running = appending().await;
    let socket = running.socket().await;
    let appends = (0..100).map(|n| {
        let event = NewEvent::json("T", n.to_string()).unwrap();
        socket.append_to("s", Expected::Any, [event])
    });
    let receipts = soon("the receipts", futures::future::join_all(appends)).await;
    let versions: Vec<_> =
        receipts.into_iter().map(|receipt| receipt.unwrap().first.get()).collect();
    assert_eq!(versions, (1..=100).collect::<Vec<_>>(), "the appends were not stored in order");
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_delays_no_other_and_loses_nothing() {
    let running = appending().await;
    let socket = running.socket().await;
    let mut slow = socket.subscribe(Subscribe::new()).await.unwrap();
    assert_eq!(until_live(&mut slow).await, 0);
    let mut quick = socket.subscribe(Subscribe::new()).await.unwrap();
    for _ in 0..10 {
        running.put("s", 500).await;
    }
    // Another subscription, appends and pings work while one subscriber reads nothing.
    let mut seen = 0;
    while seen < 5_000 {
        seen += usize::from(matches!(next(&mut quick).await, Frame::Event { .. }));
    }
    socket.ping().await.unwrap();
    let event = NewEvent::json("Last", "{}").unwrap();
    let receipt = soon("an append", socket.append_to("s", Expected::Any, [event])).await.unwrap();
    // The slow subscription was closed in the meantime.
    soon("fewer subscriptions", async {
        while running.hub.stats().open_subscriptions > 1 {
            socket.ping().await.unwrap();
        }
    })
    .await;
    let (mut versions, mut was_behind, mut cursor) = (Vec::new(), false, Cursor::START);
    while cursor < receipt.cursor {
        let frame = next(&mut slow).await;
        cursor = frame.cursor().unwrap();
        match frame {
            Frame::Event { event, .. } => versions.push(event.version().get()),
            Frame::Behind { .. } => was_behind = true,
            Frame::Live { .. } | Frame::Checkpoint { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(versions, (1..=5_001).collect::<Vec<_>>());
    assert!(was_behind, "it did not receive `Behind`");
    assert_eq!(slow.cursor(), Some(receipt.cursor));
    let next_one = running.put("s", 1).await;
    let mut frame = next(&mut slow).await;
    while !matches!(frame, Frame::Event { .. }) {
        assert!(matches!(frame, Frame::Live { .. } | Frame::Checkpoint { .. }), "{frame:?}");
        frame = next(&mut slow).await;
    }
    assert_eq!(frame.cursor(), Some(next_one));
}

#[tokio::test]
async fn a_drain_ends_every_subscription_with_bye() {
    let running = appending().await;
    let socket = running.socket().await;
    let mut subscriptions = [
        socket.subscribe(Subscribe::new()).await.unwrap(),
        socket.subscribe(Subscribe::new()).await.unwrap(),
    ];
    for subscription in &mut subscriptions {
        until_live(subscription).await;
    }
    running.shutdown.cancel();
    for subscription in &mut subscriptions {
        assert!(matches!(next(subscription).await, Frame::Bye { .. }));
        assert!(soon("the end", subscription.next()).await.is_none());
    }
    soon("the end of the server", running.task).await.unwrap();
    assert_eq!(socket.ping().await.unwrap_err().kind(), ErrorKind::Unavailable);
    let event = NewEvent::json("T", "1").unwrap();
    let error = socket.append_to("s", Expected::Any, [event]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = socket.subscribe(Subscribe::new()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // A socket that has ended can be closed.
    soon("nothing", socket.close()).await;
}

#[tokio::test]
async fn a_socket_is_closed_by_its_owner() {
    let running = appending().await;
    let socket = running.socket().await;
    let mut subscription = socket.subscribe(Subscribe::new()).await.unwrap();
    until_live(&mut subscription).await;
    soon("the close", socket.close()).await;
    assert!(soon("the end", subscription.next()).await.is_none());
    // It is closed, too, when it and its subscriptions are dropped.
    let socket = running.socket().await;
    let subscription = socket.subscribe(Subscribe::new()).await.unwrap();
    drop(socket);
    running.put("s", 1).await;
    drop(subscription);
    soon("the end of the socket", async {
        while running.hub.stats().open_subscriptions > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    running.shutdown.cancel();
    soon("the end of the server", running.task).await.unwrap();
}

#[tokio::test]
async fn a_reset_ends_only_its_subscription() {
    let store = downlink::MemoryStore::new();
    let hub = Hub::builder(store.clone(), downlink::LocalBus::new()).start().await.unwrap();
    let (listener, address) = listener().await;
    let serving = Server::new(Feed::new(&hub).router()).serve(listener, CancellationToken::new());
    let _server = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(serving));
    let event = |n: u8| NewEvent::json("T", n.to_string()).unwrap();
    hub.append_to("s", Expected::Any, [event(1)]).await.unwrap();
    let backup = store.snapshot();
    hub.append_to("s", Expected::Any, [event(2)]).await.unwrap();
    let socket = Client::new(Endpoint::new(format!("http://{address}"))).socket().await.unwrap();
    let mut subscription = socket.subscribe(Subscribe::new()).await.unwrap();
    assert_eq!(until_live(&mut subscription).await, 2);
    store.restore(&backup);
    hub.append_to("s", Expected::Any, [event(3)]).await.unwrap();
    assert!(matches!(next(&mut subscription).await, Frame::Reset { .. }));
    assert!(soon("the end", subscription.next()).await.is_none());
    let mut subscription = socket.subscribe(Subscribe::new()).await.unwrap();
    assert_eq!(until_live(&mut subscription).await, 2);
}

#[tokio::test]
async fn a_broken_connection_is_an_error_of_every_subscription() {
    let (listener, address) = listener().await;
    let running = appending().await;
    let upstream = running.address;
    let cut = CancellationToken::new();
    let cut_now = cut.clone();
    tokio::spawn(async move {
        let (mut ours, _) = listener.accept().await.unwrap();
        let mut theirs = tokio::net::TcpStream::connect(upstream).await.unwrap();
        let both = tokio::io::copy_bidirectional(&mut ours, &mut theirs);
        cut_now.run_until_cancelled(both).await;
    });
    let socket = Client::new(Endpoint::new(format!("http://{address}"))).socket().await.unwrap();
    let mut subscription = socket.subscribe(Subscribe::new()).await.unwrap();
    until_live(&mut subscription).await;
    cut.cancel();
    assert_eq!(last_error(&mut subscription).await.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_silent_server_is_disconnected_after_two_heartbeats() {
    let (listener, address) = listener().await;
    let running =
        Running::start(|hub| Feed::new(hub).with_heartbeat(Duration::from_millis(50))).await;
    let upstream = running.address;
    tokio::spawn(async move {
        let (mut ours, _) = listener.accept().await.unwrap();
        let mut theirs = tokio::net::TcpStream::connect(upstream).await.unwrap();
        // Forwards the handshake and the first frames, and then nothing more.
        let (mut from_client, mut to_client) = ours.split();
        let (mut from_server, mut to_server) = theirs.split();
        let forth = tokio::io::copy(&mut from_client, &mut to_server);
        let back = async {
            let mut passed = Vec::new();
            while !passed.ends_with(b"}") || !passed.windows(6).any(|part| part == b"\"live\"") {
                let mut byte = [0];
                tokio::io::AsyncReadExt::read_exact(&mut from_server, &mut byte).await.unwrap();
                tokio::io::AsyncWriteExt::write_all(&mut to_client, &byte).await.unwrap();
                passed.push(byte[0]);
            }
            std::future::pending::<()>().await;
        };
        let _ = tokio::join!(forth, back);
    });
    let client = Client::new(Endpoint::new(format!("http://{address}")));
    let client = client.with_transport(TransportKind::WebSocket);
    let mut frames = client.connect(Subscribe::new()).await.unwrap();
    let error = loop {
        match soon("an error", frames.next()).await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("was silent"), "{error}");
    assert!(frames.next().await.is_none());
}
