//! `GET /feed/ws`: commands and frames on an open socket.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use downlink::store::{Appended, Page, ReadLog, ReadStream};
use downlink::{
    Append, Cursor, ErrorKind, EventStore, Expected, Hub, LocalBus, MemoryStore, NewEvent, Result,
};
use downlink_transports::feed::Feed;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::peer::{BINARY, CONTINUATION, Peer, Received, TEXT, cursor, frame};
use crate::support::{App, Failing, hub, put, put_many};

const START: &str = "0000000000000000-00000000";

async fn open(hub: &Hub, uri: &str) -> Peer {
    Peer::open(&router(hub), uri).await
}

fn router(hub: &Hub) -> Router {
    Feed::new(hub).with_append().router()
}

fn append(req: &str, stream: &str, expected: &Value, data: &Value) -> String {
    let events = json!([{"type": "T", "data": data}]);
    json!({"frame": "append", "req": req, "stream": stream, "expected": expected, "events": events})
        .to_string()
}

pub(crate) async fn put_large(hub: &Hub, bytes: usize) -> Cursor {
    let payload = format!("\"{}\"", "x".repeat(bytes - 2));
    let event = NewEvent::json("T", payload).unwrap();
    hub.append_to("large", Expected::Any, [event]).await.unwrap().cursor
}

fn texts(cursors: &[Cursor]) -> Vec<String> {
    cursors.iter().map(Cursor::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn the_url_opens_the_first_subscription() {
    let hub = hub().await;
    let cursors = put_many(&hub, 3).await;
    let mut peer = open(&hub, "/feed/ws?after=start").await;
    let ready = peer.text().await;
    let head = cursors[2];
    assert_eq!(
        ready,
        format!(
            r#"{{"frame":"ready","sub":"0","cursor":"{START}","head":"{head}","heartbeat_ms":15000}}"#
        )
    );
    assert_eq!(peer.cursors("0", 3).await, texts(&cursors));
    let live = peer.text().await;
    assert_eq!(live, format!(r#"{{"frame":"live","sub":"0","cursor":"{head}","head":"{head}"}}"#));
    let next = put(&hub, "flight-9", "FlightLanded").await;
    assert_eq!(peer.cursors("0", 1).await, [next.to_string()]);
}

#[tokio::test(start_paused = true)]
async fn a_url_without_parameters_opens_no_subscription() {
    let hub = hub().await;
    put(&hub, "s", "T").await;
    let mut peer = open(&hub, "/feed/ws").await;
    peer.send(r#"{"frame":"ping","req":"p1"}"#).await;
    assert_eq!(peer.text().await, r#"{"frame":"pong","req":"p1"}"#);
    peer.subscribe("0", "start", json!({})).await;
    assert_eq!(peer.expect("ready").await["sub"], "0");
}

#[tokio::test(start_paused = true)]
async fn the_envelope_is_the_same_bytes_as_on_a_page() {
    let hub = hub().await;
    for n in 0..2 {
        let event = NewEvent::json("T", format!("{{\"a\":\r\n {n}}}")).unwrap();
        hub.append_to("s", Expected::Any, [event.with_tag("x").unwrap()]).await.unwrap();
    }
    let mut peer = open(&hub, "/feed/ws?stream=s").await;
    peer.expect("ready").await;
    let message = peer.text().await;
    let elements = message.strip_prefix(r#"{"frame":"events","sub":"0","events":["#).unwrap();
    let elements = elements.strip_suffix("]}").unwrap();
    let page = App::new(&hub).get("/feed").await;
    let page = std::str::from_utf8(&page.body).unwrap();
    assert!(page.starts_with(&format!(r#"{{"events":[{elements}],"#)), "{message}\n{page}");
}

#[tokio::test(start_paused = true)]
async fn subscriptions_have_their_own_cursors_and_filters() {
    let hub = hub().await;
    let cursors = put_many(&hub, 6).await;
    let mut peer = open(&hub, "/feed/ws").await;
    for (sub, after, filter, expected) in [
        ("a", "start", json!({"stream": ["flight-0"]}), vec![0, 3]),
        ("b", "last:2", json!({}), vec![4, 5]),
        ("c", "4", json!({"any": [{"stream": ["flight-1"]}, {"tag": ["x"]}]}), vec![4]),
        ("d", "now", json!({}), vec![]),
    ] {
        peer.subscribe(sub, after, filter).await;
        assert_eq!(peer.expect("ready").await["sub"], sub);
        if !expected.is_empty() {
            let expected: Vec<_> = expected.into_iter().map(|n: usize| cursors[n]).collect();
            assert_eq!(peer.cursors(sub, expected.len()).await, texts(&expected));
        }
        let live = peer.expect("live").await;
        assert_eq!(live["sub"], sub);
    }
    let next = put(&hub, "flight-0", "FlightLanded").await.to_string();
    let mut got = Vec::new();
    for _ in 0..3 {
        let events = peer.expect("events").await;
        assert_eq!(cursor(&events["events"][0]), next);
        got.push(events["sub"].as_str().unwrap().to_owned());
    }
    got.sort();
    assert_eq!(got, ["a", "b", "d"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_follows_an_unsubscribe() {
    let hub = hub().await;
    let mut peer = open(&hub, "/feed/ws?after=now").await;
    peer.expect("ready").await;
    peer.expect("live").await;
    peer.send(r#"{"frame":"unsubscribe","sub":"0"}"#).await;
    assert_eq!(peer.text().await, r#"{"frame":"unsubscribed","sub":"0"}"#);
    put(&hub, "s", "T").await;
    peer.send(r#"{"frame":"unsubscribe","sub":"0"}"#).await;
    let problem = peer.problem("bad-parameter").await;
    assert_eq!((&problem["sub"], &problem["problem"]["parameter"]), (&json!("0"), &json!("sub")));
    // The label is free again, also after unsubscribing while it was being opened.
    peer.subscribe("0", "now", json!({})).await;
    peer.expect("ready").await;
    peer.expect("live").await;
    peer.subscribe("1", "start", json!({})).await;
    peer.send(r#"{"frame":"unsubscribe","sub":"1"}"#).await;
    let mut frames = vec![peer.expect("ready").await];
    while frames.last().unwrap()["frame"] != "unsubscribed" {
        frames.push(serde_json::from_str(&peer.text().await).unwrap());
    }
    put(&hub, "s", "T").await;
    assert_eq!(peer.expect("events").await["sub"], "0");
}

#[tokio::test(start_paused = true)]
async fn duplicate_labels_and_a_33rd_subscription_are_problems() {
    let hub = hub().await;
    let mut peer = open(&hub, "/feed/ws?after=now").await;
    peer.expect("ready").await;
    peer.expect("live").await;
    peer.subscribe("0", "now", json!({})).await;
    assert_eq!(peer.problem("bad-parameter").await["sub"], "0");
    for n in 1..32 {
        peer.subscribe(&format!("s{n}"), "now", json!({})).await;
        peer.expect("ready").await;
        peer.expect("live").await;
    }
    peer.subscribe("s32", "now", json!({})).await;
    let problem = peer.problem("limit").await;
    assert_eq!((&problem["sub"], &problem["problem"]["limit"]), (&json!("s32"), &json!(32)));
    peer.send(r#"{"frame":"unsubscribe","sub":"s7"}"#).await;
    peer.expect("unsubscribed").await;
    peer.subscribe("s32", "now", json!({})).await;
    peer.expect("ready").await;
}

#[tokio::test(start_paused = true)]
async fn refused_resumes_are_problems_of_their_subscription() {
    let hub = hub().await;
    let cursors = put_many(&hub, 3).await;
    let other = put_many(&self::hub().await, 3).await[1];
    let mut peer = open(&hub, "/feed/ws").await;
    let other = other.to_string();
    for (after, code) in [
        ("9", "cursor-ahead"),
        ("0000000000000009-00000001", "cursor-ahead"),
        (&*other, "history-changed"),
        ("garbage", "bad-cursor"),
        ("", "bad-cursor"),
    ] {
        peer.subscribe("s1", after, json!({})).await;
        assert_eq!(peer.problem(code).await["sub"], "s1");
    }
    peer.subscribe("s1", &cursors[1].to_string(), json!({})).await;
    peer.expect("ready").await;
    assert_eq!(peer.cursors("s1", 1).await, texts(&cursors[2..]));
}

#[tokio::test(start_paused = true)]
async fn available_events_are_batched_into_messages() {
    let hub = hub().await;
    let small = put_many(&hub, 100).await;
    for bytes in [10_000, 10_000, 40_000, 1_000] {
        put_large(&hub, bytes).await;
    }
    let mut peer = open(&hub, "/feed/ws?after=start").await;
    peer.expect("ready").await;
    let (mut counts, mut cursors) = (Vec::new(), Vec::new());
    loop {
        let text = peer.text().await;
        let frame: Value = serde_json::from_str(&text).unwrap();
        let Some(events) = frame["events"].as_array() else { break };
        assert!(events.len() <= 64, "{}", events.len());
        assert!(text.len() <= (16 << 10) + 64 || events.len() == 1, "{}", text.len());
        counts.push(events.len());
        cursors.extend(events.iter().map(cursor));
    }
    assert_eq!(cursors.len(), 104);
    assert_eq!(cursors[..100], texts(&small));
    assert!(counts.len() < 20, "hardly more than one event per message: {counts:?}");
}

#[tokio::test(start_paused = true)]
async fn an_append_is_answered_like_a_post() {
    let hub = hub().await;
    let mut peer = open(&hub, "/feed/ws").await;
    let id = "0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11";
    let event = json!([{"id": id, "type": "T", "data": {"a": 1}}]);
    let frame =
        json!({"frame": "append", "req": "a1", "stream": "s", "expected": "none", "events": event});
    peer.send(&frame.to_string()).await;
    let cursor = {
        let text = peer.text().await;
        let appended: Value = serde_json::from_str(&text).unwrap();
        let cursor = self::cursor(&appended);
        assert_eq!(
            text,
            format!(
                r#"{{"frame":"appended","req":"a1","stream":"s","first_version":1,"last_version":1,"ids":["{id}"],"cursor":"{cursor}","duplicate":false}}"#
            )
        );
        cursor
    };
    peer.send(&frame.to_string()).await;
    let again = peer.expect("appended").await;
    assert_eq!((&again["duplicate"], &again["cursor"]), (&json!(true), &json!(cursor)));
    peer.send(&append("a2", "s", &json!(7), &json!(1))).await;
    let conflict = peer.problem("version-conflict").await;
    assert_eq!(conflict["req"], "a2");
    let failed = json!([{"stream": "s", "expected": 7, "actual": 1}]);
    assert_eq!(conflict["problem"]["failed"], failed);
    let post = App::new(&hub).post("/streams/s?expected=7", r#"{"type":"T","data":1}"#).await;
    let mut problem = post.problem(409, "version-conflict");
    problem.as_object_mut().unwrap().remove("status");
    assert_eq!(conflict["problem"], problem);
    peer.send(r#"{"frame":"append","req":"a3","stream":"s","events":[]}"#).await;
    assert_eq!(peer.problem("bad-event").await["req"], "a3");
}

#[tokio::test(start_paused = true)]
async fn appends_are_disabled_by_default() {
    let hub = hub().await;
    let mut peer = Peer::open(&Feed::new(&hub).router(), "/feed/ws").await;
    peer.send(&append("a1", "s", &json!("any"), &json!(1))).await;
    assert_eq!(peer.problem("append-disabled").await["req"], "a1");
}

/// A store whose appends wait for permits.
#[derive(Clone, Debug)]
pub(crate) struct Gated {
    inner: MemoryStore,
    permits: Arc<Semaphore>,
}

impl Gated {
    pub(crate) async fn hub() -> (Hub, Arc<Semaphore>) {
        let permits = Arc::new(Semaphore::new(0));
        let store = Self { inner: MemoryStore::new(), permits: Arc::clone(&permits) };
        (Hub::builder(store, LocalBus::new()).start().await.unwrap(), permits)
    }
}

#[async_trait]
impl EventStore for Gated {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.permits.acquire().await.unwrap().forget();
        self.inner.append(append).await
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        self.inner.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.inner.read_stream(read).await
    }

    async fn head(&self) -> Result<Cursor> {
        self.inner.head().await
    }

    fn commits(&self) -> Option<downlink::commit::Commits> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn a_pending_append_blocks_neither_events_nor_pings() {
    let (hub, permits) = Gated::hub().await;
    let mut peer = open(&hub, "/feed/ws?after=now").await;
    peer.expect("ready").await;
    peer.expect("live").await;
    peer.send(&append("slow", "s", &json!("any"), &json!(1))).await;
    peer.send(r#"{"frame":"ping","req":"p1"}"#).await;
    assert_eq!(peer.text().await, r#"{"frame":"pong","req":"p1"}"#);
    peer.ping(b"hello").await;
    assert_eq!(peer.receive().await, Received::Pong(b"hello".to_vec()));
    peer.subscribe("s1", "now", json!({})).await;
    peer.expect("ready").await;
    peer.expect("live").await;
    permits.add_permits(1);
    let mut frames = Vec::new();
    for _ in 0..3 {
        frames.push(serde_json::from_str::<Value>(&peer.text().await).unwrap());
    }
    let names: Vec<_> = frames.iter().map(|frame| frame["frame"].as_str().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| **name == "events").count(), 2, "{names:?}");
    assert!(names.contains(&"appended"), "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn appends_are_stored_in_the_order_in_which_they_were_sent() {
    let (hub, permits) = Gated::hub().await;
    let mut peer = open(&hub, "/feed/ws").await;
    for n in 0..16 {
        peer.send(&append(&format!("a{n}"), "s", &json!(n), &json!(n))).await;
    }
    peer.send(&append("a16", "s", &json!("any"), &json!(16))).await;
    let refused = peer.problem("limit").await;
    assert_eq!((&refused["req"], &refused["problem"]["limit"]), (&json!("a16"), &json!(16)));
    permits.add_permits(100);
    for n in 0..16 {
        let appended = peer.expect("appended").await;
        assert_eq!(appended["req"], format!("a{n}"));
        assert_eq!(appended["first_version"], n + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn sixteen_bad_messages_in_a_row_close_the_socket() {
    let hub = hub().await;
    let mut peer = open(&hub, "/feed/ws").await;
    let bad = [
        ("{", "invalid"),
        (r#"{"frame":"fireworks"}"#, "invalid"),
        (r#"{"frame":"ping","req":"p1","more":1}"#, "invalid"),
        (r#"{"frame":"ping","req":"p 1"}"#, "bad-parameter"),
        (r#"{"frame":"subscribe","sub":"s","filter":{"strem":["a"]}}"#, "bad-filter"),
        (r#"{"frame":"subscribe","sub":"s","filter":{"stream":[]}}"#, "bad-filter"),
        (r#"{"frame":"subscribe","sub":"s","filter":{"any":[]}}"#, "bad-filter"),
    ];
    for (message, code) in bad.iter().cycle().take(15) {
        peer.send(message).await;
        peer.problem(code).await;
    }
    peer.send(r#"{"frame":"ping","req":"p1"}"#).await;
    peer.expect("pong").await;
    for (message, code) in bad.iter().cycle().take(16) {
        peer.send(message).await;
        peer.problem(code).await;
    }
    peer.expect_close(4400).await;
}

#[tokio::test(start_paused = true)]
async fn messages_may_be_fragmented() {
    let hub = hub().await;
    let mut peer = open(&hub, "/feed/ws").await;
    let text = r#"{"frame":"ping","req":"p1"}"#.as_bytes();
    peer.frame(false, TEXT, &text[..5]).await;
    peer.ping(b"between").await;
    assert_eq!(peer.receive().await, Received::Pong(b"between".to_vec()));
    peer.frame(false, CONTINUATION, &text[5..9]).await;
    peer.frame(true, CONTINUATION, &text[9..]).await;
    peer.expect("pong").await;
    // And in single bytes.
    for byte in frame(0x80 | TEXT, text) {
        peer.raw(&[byte]).await;
        tokio::task::yield_now().await;
    }
    peer.expect("pong").await;
}

#[tokio::test(start_paused = true)]
async fn commands_are_answered_in_their_order_whatever_their_size() {
    let hub = hub().await;
    let mut peer = open(&hub, "/feed/ws").await;
    // Parsed outside of the runtime's workers.
    let large = format!(r#"{{"frame":"ping","req":"p 1"{}}}"#, " ".repeat(200 << 10));
    for n in 0..3 {
        peer.send(&large).await;
        peer.send(&format!(r#"{{"frame":"ping","req":"p{n}"}}"#)).await;
    }
    for n in 0..3 {
        peer.problem("bad-parameter").await;
        assert_eq!(peer.expect("pong").await["req"], format!("p{n}"));
    }
    peer.send(&append("a1", "s", &json!(0), &json!("x".repeat(200 << 10)))).await;
    peer.send(&append("a2", "s", &json!(1), &json!(1))).await;
    for req in ["a1", "a2"] {
        assert_eq!(peer.expect("appended").await["req"], req);
    }
}

#[tokio::test(start_paused = true)]
async fn invalid_messages_close_the_socket_with_their_code() {
    let hub = hub().await;
    let long = vec![b'x'; (256 << 10) + 1];
    let half = vec![b'x'; 200 << 10];
    let fin = 0x80;
    for (name, bytes, code) in [
        ("binary", frame(fin | BINARY, b"x"), 1003),
        ("not UTF-8", frame(fin | TEXT, b"\xff"), 1007),
        ("too long", frame(fin | TEXT, &long), 1009),
        ("too long in two", [frame(TEXT, &half), frame(fin, &half)].concat(), 1009),
        ("unmasked", vec![fin | TEXT, 1, b'x'], 1002),
        ("reserved bits", frame(fin | 0x40 | TEXT, b"x"), 1002),
        ("reserved opcode", frame(fin | 3, b"x"), 1002),
        ("a continuation of nothing", frame(fin, b"x"), 1002),
        ("a fragmented ping", frame(9, b"x"), 1002),
        ("a long ping", frame(fin | 9, &[0; 126]), 1002),
        ("two beginnings", [frame(TEXT, b"x"), frame(TEXT, b"x")].concat(), 1002),
    ] {
        let mut peer = open(&hub, "/feed/ws").await;
        peer.raw(&bytes).await;
        assert_eq!(peer.receive().await, Received::Close(code), "{name}");
        assert_eq!(peer.receive().await, Received::End, "{name}");
    }
    // The longest message that is accepted.
    let mut peer = open(&hub, "/feed/ws").await;
    let ping = r#"{"frame":"ping","req":"p1"}"#;
    peer.send(&format!("{ping}{}", " ".repeat((256 << 10) - ping.len()))).await;
    peer.expect("pong").await;
}

#[tokio::test(start_paused = true)]
async fn a_close_frame_is_answered_with_its_code() {
    let hub = hub().await;
    for code in [1000, 1001, 4000] {
        let mut peer = open(&hub, "/feed/ws?after=now").await;
        peer.expect("ready").await;
        peer.expect("live").await;
        peer.close(code).await;
        assert_eq!(peer.receive().await, Received::Close(code));
        assert_eq!(peer.receive().await, Received::End);
    }
    let mut peer = open(&hub, "/feed/ws").await;
    peer.close(1005).await;
    assert_eq!(peer.receive().await, Received::Close(1002));
}

#[tokio::test(start_paused = true)]
async fn a_busy_subscription_does_not_starve_others() {
    let hub = hub().await;
    put_many(&hub, 5_000).await;
    let mut peer = Peer::open_with(&router(&hub), "/feed/ws?after=start", 1 << 14).await;
    peer.expect("ready").await;
    peer.subscribe("b", "now", json!({})).await;
    let mut caught_up = 0;
    // The second subscription is live long before the first has caught up.
    loop {
        let frame: Value = serde_json::from_str(&peer.text().await).unwrap();
        match (frame["frame"].as_str().unwrap(), frame["sub"].as_str().unwrap()) {
            ("events", "0") => caught_up += frame["events"].as_array().unwrap().len(),
            ("ready", "b") => {}
            ("live", "b") => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(caught_up < 1_000, "the second had to wait for {caught_up} events of the first");
    let next = put(&hub, "s", "T").await.to_string();
    let mut before = 0;
    loop {
        let frame = peer.expect("events").await;
        if frame["sub"] == "b" {
            assert_eq!(cursor(&frame["events"][0]), next);
            break;
        }
        before += frame["events"].as_array().unwrap().len();
    }
    assert!(before < 1_000, "an event had to wait for {before} of another subscription");
}

#[tokio::test(start_paused = true)]
async fn another_history_resets_the_subscription() {
    let store = Failing::default();
    let hub = store.hub().await;
    put_many(&hub, 2).await;
    let backup = store.backup();
    put_many(&hub, 2).await;
    let mut peer = open(&hub, "/feed/ws?after=start").await;
    peer.expect("ready").await;
    peer.cursors("0", 4).await;
    peer.expect("live").await;
    store.restore(&backup);
    put_many(&hub, 2).await;
    let reset = peer.expect("reset").await;
    assert_eq!((&reset["sub"], &reset["reason"]), (&json!("0"), &json!("history-changed")));
    peer.subscribe("0", "start", json!({})).await;
    peer.expect("ready").await;
    peer.cursors("0", 4).await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_ends_the_socket() {
    let store = Failing::default();
    let hub = store.hub().await;
    put_many(&hub, 3).await;
    let mut peer = open(&hub, "/feed/ws?after=now").await;
    peer.expect("ready").await;
    peer.expect("live").await;
    store.fail_read(ErrorKind::Corrupt);
    peer.subscribe("s1", "start", json!({})).await;
    assert_eq!(peer.problem("corrupt").await["sub"], "s1");
    peer.send(r#"{"frame":"ping","req":"p1"}"#).await;
    peer.expect("pong").await;
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_ends_all_subscriptions() {
    let hub = hub().await;
    let mut peer = open(&hub, "/feed/ws?after=now").await;
    peer.expect("ready").await;
    peer.expect("live").await;
    assert_eq!(hub.stats().open_subscriptions, 1);
    drop(peer);
    let freed = async {
        while hub.stats().open_subscriptions > 0 {
            tokio::task::yield_now().await;
        }
    };
    // This does not wait for a timer.
    let began = Instant::now();
    timeout(Duration::from_hours(1), freed).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1));
}
