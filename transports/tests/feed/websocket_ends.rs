//! `GET /feed/ws`: how and when the server ends a socket.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::{Extension, Router};
use downlink::budget::ByteBudget;
use downlink::{ErrorKind, Hub};
use downlink_transports::Connection;
use downlink_transports::feed::{Feed, Refusal, Rights};
use http::request::Parts;
use serde_json::{Value, json};
use tokio::time::{Instant, advance};
use tokio_util::sync::CancellationToken;

use crate::peer::{CONTINUATION, Peer, Received, TEXT, frame};
use crate::support::{Failing, hub, put, put_many};
use crate::websocket::{Gated, put_large};

const HEARTBEAT: Duration = Duration::from_secs(15);

async fn live(router: &Router) -> Peer {
    let mut peer = Peer::open(router, "/feed/ws?after=now").await;
    peer.expect("ready").await;
    peer.expect("live").await;
    peer
}

async fn all_closed(hub: &Hub) {
    while hub.stats().open_subscriptions > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_socket_sends_heartbeats_and_ends_without_an_answer() {
    let hub = hub().await;
    let cursor = put(&hub, "s", "T").await;
    let mut peer = live(&Feed::new(&hub).router()).await;
    let began = Instant::now();
    // Answered twice: with a pong, and with another message.
    for beat in 1..=2 {
        let heartbeat = peer.text().await;
        assert_eq!(heartbeat, format!(r#"{{"frame":"heartbeat","head":"{cursor}"}}"#));
        assert_eq!(peer.receive().await, Received::Ping);
        assert_eq!(began.elapsed().as_secs(), 15 * beat);
        if beat == 1 {
            peer.pong().await;
        } else {
            peer.send(r#"{"frame":"unsubscribe","sub":"9"}"#).await;
            peer.problem("bad-parameter").await;
        }
    }
    let answered = Instant::now();
    for _ in 0..2 {
        peer.expect("heartbeat").await;
        assert_eq!(peer.receive().await, Received::Ping);
    }
    assert_eq!(peer.receive().await, Received::End);
    assert_eq!(answered.elapsed().as_secs(), 45);
    all_closed(&hub).await;
}

#[tokio::test(start_paused = true)]
async fn events_postpone_the_heartbeat() {
    let hub = hub().await;
    let mut peer = live(&Feed::new(&hub).router()).await;
    for _ in 0..20 {
        advance(HEARTBEAT * 9 / 10).await;
        put(&hub, "s", "T").await;
        peer.expect("events").await;
    }
    peer.expect("heartbeat").await;
}

/// The rate at which a client reads that must be served.
const SLOWEST_READER: usize = 1 << 10;

#[tokio::test(start_paused = true)]
async fn a_ping_waits_for_what_was_sent_before_it() {
    let hub = hub().await;
    put_large(&hub, 60 * SLOWEST_READER).await;
    for reads in [true, false] {
        // All of it is in buffers of the system, and not read.
        let router = Feed::new(&hub).router();
        let mut peer = Peer::open_with(&router, "/feed/ws?after=start", 1 << 20).await;
        peer.expect("ready").await;
        let began = Instant::now();
        if reads {
            tokio::time::sleep(Duration::from_secs(62)).await;
            peer.expect("events").await;
            peer.expect("live").await;
            for _ in 0..4 {
                peer.expect("heartbeat").await;
                assert_eq!(peer.receive().await, Received::Ping);
            }
            peer.pong().await;
            // From now on nothing is unread.
            for _ in 0..2 {
                peer.expect("heartbeat").await;
                assert_eq!(peer.receive().await, Received::Ping);
            }
            assert_eq!(peer.receive().await, Received::End);
            assert_eq!(began.elapsed().as_secs(), 105);
        } else {
            while hub.stats().open_subscriptions > 0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            // The first heartbeat after 15 seconds until the first ping, and 60 to read.
            assert!((75..=91).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_socket_is_written_out_as_fast_as_the_client_reads() {
    let hub = hub().await;
    let size = 100 * SLOWEST_READER;
    put_large(&hub, size).await;
    let feed = Feed::new(&hub).with_rotation(Duration::from_secs(10));
    let mut peer = Peer::open_with(&feed.router(), "/feed/ws?after=start", SLOWEST_READER).await;
    peer.expect("ready").await;
    let began = Instant::now();
    let message = peer.read_slowly(SLOWEST_READER, Duration::from_secs(1)).await;
    assert!(message.len() > size, "{}", message.len());
    assert!(began.elapsed() > Duration::from_mins(1), "{:?}", began.elapsed());
    assert_eq!(peer.expect("bye").await["reason"], "rotate");
    peer.expect_close(4509).await;
}

#[tokio::test(start_paused = true)]
async fn an_old_socket_ends_with_rotate() {
    let hub = hub().await;
    let feed = Feed::new(&hub).with_rotation(Duration::from_secs(10)).with_heartbeat(HEARTBEAT);
    let mut peer = live(&feed.router()).await;
    let began = Instant::now();
    let bye = peer.expect("bye").await;
    assert!((8..=12).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(bye["reason"], "rotate");
    assert!((100..=1_000).contains(&bye["reconnect_after_ms"].as_u64().unwrap()));
    peer.expect_close(4509).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_sockets_with_different_delays() {
    let hub = hub().await;
    let shutdown = CancellationToken::new();
    let router = Feed::new(&hub).with_shutdown(shutdown.clone()).router();
    let mut peers = Vec::new();
    for _ in 0..8 {
        peers.push(live(&router).await);
    }
    peers.push(Peer::open(&router, "/feed/ws").await);
    shutdown.cancel();
    let mut delays = Vec::new();
    for peer in &mut peers {
        let bye = peer.expect("bye").await;
        assert_eq!(bye["reason"], "draining");
        delays.push(bye["reconnect_after_ms"].as_u64().unwrap());
        peer.expect_close(4503).await;
    }
    assert!(delays.iter().all(|delay| (250..=5_000).contains(delay)), "{delays:?}");
    delays.dedup();
    assert!(delays.len() > 1, "all clients reconnect at the same time");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_shut_down_ends_every_socket() {
    let hub = hub().await;
    let router = Feed::new(&hub).router();
    let mut peers = [live(&router).await, Peer::open(&router, "/feed/ws").await];
    hub.shutdown().await;
    for peer in &mut peers {
        assert_eq!(peer.expect("bye").await["reason"], "draining");
        peer.expect_close(4503).await;
    }
}

#[tokio::test(start_paused = true)]
async fn pending_appends_are_answered_before_the_close() {
    let (hub, permits) = Gated::hub().await;
    let shutdown = CancellationToken::new();
    let feed = Feed::new(&hub).with_append().with_shutdown(shutdown.clone());
    let mut peer = live(&feed.router()).await;
    let events = json!([{"type": "T", "data": 1}]);
    for req in ["a1", "a2"] {
        let append = json!({"frame": "append", "req": req, "stream": "s", "events": events});
        peer.send(&append.to_string()).await;
    }
    peer.send(r#"{"frame":"ping","req":"last"}"#).await;
    peer.expect("pong").await;
    shutdown.cancel();
    tokio::task::yield_now().await;
    permits.add_permits(2);
    assert_eq!(peer.expect("appended").await["req"], "a1");
    assert_eq!(peer.expect("appended").await["req"], "a2");
    peer.expect("bye").await;
    peer.expect_close(4503).await;
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_append_does_not_delay_the_close() {
    let (hub, _permits) = Gated::hub().await;
    let shutdown = CancellationToken::new();
    let feed = Feed::new(&hub).with_append().with_shutdown(shutdown.clone());
    let mut peer = live(&feed.router()).await;
    let events = json!([{"type": "T", "data": 1}]);
    let append = json!({"frame": "append", "req": "a1", "stream": "s", "events": events});
    peer.send(&append.to_string()).await;
    peer.send(r#"{"frame":"ping","req":"last"}"#).await;
    peer.expect("pong").await;
    shutdown.cancel();
    let began = Instant::now();
    peer.expect("bye").await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    peer.expect_close(4503).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_close_is_dropped() {
    let hub = hub().await;
    let mut peer = live(&Feed::new(&hub).router()).await;
    hub.shutdown().await;
    peer.expect("bye").await;
    assert_eq!(peer.receive().await, Received::Close(4503));
    let began = Instant::now();
    assert_eq!(peer.receive().await, Received::End);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_dropped_without_a_close_frame() {
    let hub = hub().await;
    put_many(&hub, 2_000).await;
    let router = Feed::new(&hub).with_heartbeat(Duration::from_hours(1)).router();
    let peer = Peer::open_with(&router, "/feed/ws?after=start", 1_024).await;
    let mut other = live(&router).await;
    let began = Instant::now();
    while hub.stats().open_subscriptions > 1 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!((300..=302).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    put(&hub, "s", "T").await;
    while !matches!(other.receive().await, Received::Text(text) if text.contains(r#""stream":"s""#))
    {
    }
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_but_steadily_is_served() {
    let hub = hub().await;
    let cursors = put_many(&hub, 200).await;
    let mut peer =
        Peer::open_with(&Feed::new(&hub).router(), "/feed/ws?after=start", 1 << 10).await;
    peer.expect("ready").await;
    let mut got = 0;
    while got < cursors.len() {
        advance(Duration::from_secs(299)).await;
        got += peer.expect("events").await["events"].as_array().unwrap().len();
    }
}

/// What the application's authorizer currently returns for every request.
type Decision = Arc<Mutex<Result<Rights, Refusal>>>;

fn authorized(hub: &Hub) -> (Router, Decision) {
    let decision: Decision = Arc::new(Mutex::new(Ok(Rights::everything())));
    let current = Arc::clone(&decision);
    let authorizer = move |parts: &Parts| {
        assert_eq!(parts.headers["host"], "localhost");
        let answer = current.lock().unwrap().clone();
        async move { answer }
    };
    (Feed::new(hub).with_append().with_authorizer(authorizer).router(), decision)
}

#[tokio::test(start_paused = true)]
async fn rights_are_evaluated_for_every_command() {
    let hub = hub().await;
    put(&hub, "mine", "T").await;
    put(&hub, "theirs", "T").await;
    let (router, decision) = authorized(&hub);
    let mut peer = Peer::open(&router, "/feed/ws").await;
    peer.subscribe("a", "start", json!({})).await;
    peer.expect("ready").await;
    assert_eq!(peer.expect("events").await["events"].as_array().unwrap().len(), 2);
    peer.expect("live").await;
    let mine = downlink::FilterItem::new().with_stream("mine").unwrap();
    *decision.lock().unwrap() = Ok(Rights::to(mine.into()));
    peer.subscribe("b", "start", json!({})).await;
    peer.expect("ready").await;
    let events = peer.expect("events").await;
    assert_eq!(events["events"].as_array().unwrap().len(), 1);
    assert_eq!(events["events"][0]["stream"], "mine");
    peer.expect("live").await;
    let append = |stream| {
        json!({"frame": "append", "req": "a1", "stream": stream, "events": [{"type": "T", "data": 1}]})
            .to_string()
    };
    peer.send(&append("theirs")).await;
    assert_eq!(peer.problem("forbidden").await["req"], "a1");
    peer.send(&append("mine")).await;
    while peer.text().await.contains(r#""frame":"events""#) {}
}

#[tokio::test(start_paused = true)]
async fn a_client_that_lost_all_rights_is_disconnected() {
    let hub = hub().await;
    let cases = [
        (Refusal::unauthenticated("the session has ended"), "unauthenticated", Some(4401)),
        (Refusal::forbidden("you have been banned"), "forbidden", Some(4403)),
        (Refusal::limited("not so often", HEARTBEAT), "limit", None),
        (Refusal::unavailable("the directory is down"), "unavailable", None),
    ];
    for (refusal, code, close) in cases {
        let (router, decision) = authorized(&hub);
        let mut peer = live(&router).await;
        *decision.lock().unwrap() = Err(refusal);
        peer.subscribe("s1", "now", json!({})).await;
        assert_eq!(peer.problem(code).await["sub"], "s1");
        if let Some(close) = close {
            peer.expect_close(close).await;
        } else {
            peer.send(r#"{"frame":"ping","req":"p1"}"#).await;
            peer.expect("pong").await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_socket_ends_with_its_rights() {
    let hub = hub().await;
    let (router, decision) = authorized(&hub);
    *decision.lock().unwrap() = Ok(Rights::everything().with_lifetime(Duration::from_secs(9)));
    let mut peer = live(&router).await;
    let began = Instant::now();
    // The rights of a later subscription may end earlier.
    *decision.lock().unwrap() = Ok(Rights::everything().with_lifetime(Duration::from_secs(5)));
    peer.subscribe("s1", "now", json!({})).await;
    peer.expect("ready").await;
    peer.expect("live").await;
    assert_eq!(peer.expect("bye").await["reason"], "expired");
    assert_eq!(began.elapsed().as_secs(), 5);
    peer.expect_close(4509).await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_ends_the_socket() {
    let store = Failing::default();
    let hub = Hub::builder(store.clone(), downlink::LocalBus::new());
    let hub = hub.with_ring(4, usize::MAX).with_page(8, 1 << 20).start().await.unwrap();
    put_many(&hub, 2_000).await;
    let mut peer =
        Peer::open_with(&Feed::new(&hub).router(), "/feed/ws?after=start", 1 << 10).await;
    peer.expect("ready").await;
    peer.expect("events").await;
    store.fail_read(ErrorKind::Corrupt);
    let problem = loop {
        let frame: Value = serde_json::from_str(&peer.text().await).unwrap();
        if frame["frame"] != "events" {
            break frame;
        }
    };
    assert_eq!((&problem["frame"], &problem["sub"]), (&json!("problem"), &json!("0")));
    assert_eq!(problem["problem"]["code"], "corrupt");
    assert!(!problem.to_string().contains("SECRET"), "{problem}");
    assert_eq!(peer.expect("bye").await["reason"], "corrupt");
    peer.expect_close(4500).await;
}

/// Receives up to the close frame.
async fn close_code(peer: &mut Peer) -> u16 {
    loop {
        match peer.receive().await {
            Received::Close(code) => return code,
            Received::End => panic!("the end, without a close frame"),
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_message_ends_the_socket() {
    let hub = hub().await;
    let router = Feed::new(&hub).router();
    let whole = frame(0x80 | TEXT, &[b' '; 1_000]);
    for (begin, seconds) in [
        (frame(TEXT, b"{"), 20),
        (whole[..1].to_vec(), 20),
        (whole[..500].to_vec(), 20),
        ([frame(TEXT, b"{"), frame(CONTINUATION, b"")].concat(), 20),
    ] {
        let mut peer = live(&router).await;
        let began = Instant::now();
        peer.raw(&begin).await;
        assert_eq!(close_code(&mut peer).await, 4529);
        assert_eq!(began.elapsed().as_secs(), seconds);
        peer.close(4529).await;
        assert_eq!(peer.receive().await, Received::End);
    }
    all_closed(&hub).await;
}

/// A router for requests of a server with this budget.
fn with_budget(feed: Feed, budget: &ByteBudget) -> Router {
    let connection = Connection::new(([127, 0, 0, 1], 9).into(), CancellationToken::new());
    feed.router().layer(Extension(connection.with_budget(budget.clone())))
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_message_counts_in_the_byte_budget() {
    let hub = hub().await;
    let budget = ByteBudget::new(200 << 10);
    let router = with_budget(Feed::new(&hub), &budget);
    let mut first = live(&router).await;
    let long = frame(TEXT, &vec![b' '; 150 << 10]);
    first.raw(&long).await;
    while budget.used() < 145 << 10 {
        assert_eq!(hub.stats().open_subscriptions, 1);
        tokio::task::yield_now().await;
    }
    let mut second = live(&router).await;
    second.raw(&long).await;
    assert_eq!(close_code(&mut second).await, 4529);
    // Commands need little, and are answered.
    let mut third = live(&router).await;
    third.send(r#"{"frame":"ping","req":"p1"}"#).await;
    third.expect("pong").await;
    first.frame(true, CONTINUATION, br#"{"frame":"ping","req":"p1"}"#).await;
    first.expect("pong").await;
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn appends_that_are_not_answered_count_in_the_byte_budget() {
    let (hub, permits) = Gated::hub().await;
    let budget = ByteBudget::new(1_003_000);
    let mut peer = live(&with_budget(Feed::new(&hub).with_append(), &budget)).await;
    for n in 0..6 {
        let req = format!("a{n}");
        let events = json!([{"type": "T", "data": "x".repeat(if n < 5 { 200_000 } else { 1 })}]);
        let append = json!({"frame": "append", "req": req, "stream": "s", "events": events});
        peer.send(&append.to_string()).await;
    }
    // There is no room for another, however small.
    let problem = peer.problem("overloaded").await;
    assert_eq!((&problem["req"], &problem["problem"]["retryable"]), (&json!("a5"), &json!(true)));
    assert!((1_000_000..=1_003_000).contains(&budget.used()), "{}", budget.used());
    permits.add_permits(5);
    let mut appended = 0;
    while appended < 5 {
        appended += usize::from(peer.text().await.starts_with(r#"{"frame":"appended""#));
    }
    assert_eq!(budget.used(), 0);
}
