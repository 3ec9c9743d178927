//! `POST /streams/{stream}`.

use std::time::Duration;

use axum::body::Body;
use downlink::budget::ByteBudget;
use downlink::{ErrorKind, FilterItem};
use downlink_transports::Connection;
use downlink_transports::feed::{Feed, Refusal, Rights};
use futures::StreamExt;
use http::request::Parts;
use http::{Method, Request};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::{App, Failing, empty, hub, post, request};
use crate::websocket::Gated;

const ID: &str = "0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11";

fn event(id: &str, data: &str) -> String {
    format!(r#"{{"id":"{id}","type":"FlightDelayed","data":{data}}}"#)
}

#[tokio::test(start_paused = true)]
async fn an_append_returns_where_it_was_stored() {
    let hub = hub().await;
    let app = App::new(&hub);
    let answer = app.post("/streams/flight-1?expected=none", event(ID, "1")).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("content-type"), "application/json");
    let cursor = hub.head().await.unwrap();
    assert_eq!(answer.header("feed-cursor"), cursor.to_string());
    assert_eq!(
        answer.body,
        format!(
            r#"{{"stream":"flight-1","first_version":1,"last_version":1,"ids":["{ID}"],"cursor":"{cursor}","duplicate":false}}"#
        )
    );
    let many = app.post("/streams/flight-1?expected=1", r#"[{"type":"A","data":1},{"type":"B","data":null,"metadata":{"who":"me"},"tags":["x"]}]"#).await;
    let json = many.json();
    assert_eq!((&json["first_version"], &json["last_version"]), (&2.into(), &3.into()));
    assert_eq!(json["ids"].as_array().unwrap().len(), 2);
    let page = app.get("/streams/flight-1").await.json();
    assert_eq!(page["events"][2]["data"], serde_json::Value::Null);
    assert_eq!(page["events"][2]["metadata"]["who"], "me");
    assert_eq!(page["events"][2]["tags"][0], "x");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_append_is_a_duplicate_regardless_of_expected() {
    let hub = hub().await;
    let app = App::new(&hub);
    let first = app.post("/streams/s", event(ID, "1")).await.json();
    let again = app.post("/streams/s?expected=none", event(ID, "1")).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.json()["duplicate"], true);
    assert_eq!(again.json()["cursor"], first["cursor"]);
    app.post("/streams/s", event(ID, "2")).await.problem(422, "id-reused");
    app.post("/streams/t", event(ID, "1")).await.problem(422, "id-reused");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_lists_what_failed() {
    let hub = hub().await;
    let app = App::new(&hub);
    let body = || r#"{"type":"T","data":1}"#;
    let problem =
        app.post("/streams/s?expected=exists", body()).await.problem(409, "version-conflict");
    assert_eq!(
        problem["failed"],
        serde_json::json!([{"stream": "s", "expected": "exists", "actual": 0}])
    );
    assert_eq!(problem["retryable"], false);
    app.post("/streams/s?expected=0", body()).await;
    let problem = app.post("/streams/s?expected=7", body()).await.problem(409, "version-conflict");
    assert_eq!(problem["failed"], serde_json::json!([{"stream": "s", "expected": 7, "actual": 1}]));
    let problem =
        app.post("/streams/s?expected=none", body()).await.problem(409, "version-conflict");
    assert_eq!(
        problem["failed"],
        serde_json::json!([{"stream": "s", "expected": "none", "actual": 1}])
    );
    assert_eq!(app.post("/streams/s?expected=1", body()).await.status, 201);
    assert_eq!(app.post("/streams/s?expected=any", body()).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn bad_bodies_are_problems_and_write_nothing() {
    let hub = hub().await;
    let app = App::new(&hub);
    for body in [
        "",
        "[]",
        "{",
        "7",
        r#"{"type":"T"}"#,
        r#"{"type":"T","data":1,"unknown":2}"#,
        r#"{"type":"T","data_base64":"=","content_type":"a/b"}"#,
        r#"{"type":"T","data_base64":"e30="}"#,
    ] {
        app.post("/streams/s", body).await.problem(400, "bad-event");
    }
    for body in [
        r#"{"type":"T","data":"\ud800"}"#,
        r#"{"type":"a\u0000b","data":1}"#,
        r#"{"type":"T","data":1,"tags":["a\nb"]}"#,
        r#"{"type":"T","data":1,"id":"x"}"#,
        r#"{"type":"T","data":1,"metadata":7}"#,
    ] {
        app.post("/streams/s", body).await.problem(400, "invalid");
    }
    app.post("/streams/s", &b"\xff\xfe"[..]).await.problem(400, "bad-event");
    let twice = format!("[{},{}]", event(ID, "1"), event(ID, "1"));
    app.post("/streams/s", twice).await.problem(400, "bad-event");
    app.post("/streams/s?expected=later", event(ID, "1")).await.problem(400, "bad-parameter");
    app.post("/streams/s?expect=1", event(ID, "1")).await.problem(400, "unknown-parameter");
    app.post("/streams/a%0Ab", event(ID, "1")).await.problem(400, "bad-stream");
    app.post(&format!("/streams/{}", "x".repeat(256)), event(ID, "1"))
        .await
        .problem(400, "bad-stream");
    assert_eq!(hub.head().await.unwrap(), downlink::Cursor::START);
}

#[tokio::test(start_paused = true)]
async fn the_limits_of_an_append_hold() {
    let hub = hub().await;
    let app = App::new(&hub);
    let payload = |bytes: usize| format!(r#"{{"type":"T","data":"{}"}}"#, "x".repeat(bytes - 2));
    assert_eq!(app.post("/streams/s", payload(1 << 20)).await.status, 201);
    let problem = app.post("/streams/s", payload((1 << 20) + 1)).await.problem(413, "too-large");
    assert_eq!(problem["limit"], 1 << 20);
    let events = |count: usize| format!("[{}]", vec![r#"{"type":"T","data":1}"#; count].join(","));
    assert_eq!(app.post("/streams/t", events(1_000)).await.status, 201);
    let problem = app.post("/streams/t", events(1_001)).await.problem(413, "too-large");
    assert_eq!(problem["limit"], 1_000);
    let body = |bytes: usize| format!(r#"{{"type":"T","data":1{}}}"#, " ".repeat(bytes - 21));
    assert_eq!(app.post("/streams/u", body(16 << 20)).await.status, 201);
    let problem = app.post("/streams/u", body((16 << 20) + 1)).await.problem(413, "too-large");
    assert_eq!(problem["limit"], 16 << 20);
    // The length is unknown, so the limit is reached while reading.
    let chunks = (0..17).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 20]));
    let endless = Body::from_stream(futures::stream::iter(chunks));
    app.post("/streams/u", endless).await.problem(413, "too-large");
    let broken = vec![Ok(vec![b'{']), Err(std::io::Error::other("gone"))];
    let broken = Body::from_stream(futures::stream::iter(broken));
    app.post("/streams/u", broken).await.problem(400, "invalid");
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_read_and_a_stalled_one_is_refused() {
    let hub = hub().await;
    let app = App::new(&hub);
    let chunks = [r#"{"type":"T","#, r#""data""#, ":1}"];
    let slow = futures::stream::iter(chunks).then(async |chunk| {
        tokio::time::sleep(Duration::from_secs(19)).await;
        Ok::<_, std::io::Error>(chunk)
    });
    assert_eq!(app.post("/streams/s", Body::from_stream(slow)).await.status, 201);
    let begun = futures::stream::iter([Ok::<_, std::io::Error>("{")]);
    let stalled = begun.chain(futures::stream::pending());
    let start = Instant::now();
    let answer = app.post("/streams/s", Body::from_stream(stalled)).await;
    assert_eq!(start.elapsed().as_secs(), 20);
    answer.problem(408, "request-timeout");
    assert_eq!(answer.header("connection"), "close");
}

#[tokio::test(start_paused = true)]
async fn the_content_type_must_be_json() {
    let hub = hub().await;
    let app = App::new(&hub);
    let with = |content_type: Option<&str>| -> Request<Body> {
        let mut builder = request(Method::POST, "/streams/s");
        if let Some(content_type) = content_type {
            builder = builder.header("content-type", content_type);
        }
        builder.body(Body::from(r#"{"type":"T","data":1}"#)).unwrap()
    };
    for bad in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some(""),
        Some("application/jsonx"),
    ] {
        app.ask(with(bad)).await.problem(415, "unsupported-media-type");
    }
    for good in ["application/json", "Application/JSON; charset=utf-8"] {
        assert_eq!(app.ask(with(Some(good))).await.status, 201);
    }
    let two = post("/streams/s").header("content-type", "application/json");
    app.ask(empty(two)).await.problem(415, "unsupported-media-type");
    let gzip = post("/streams/s").header("content-encoding", "gzip");
    app.ask(empty(gzip)).await.problem(415, "unsupported-media-type");
    for name in ["if-match", "if-none-match"] {
        let conditional = post("/streams/s").header(name, "*");
        app.ask(empty(conditional)).await.problem(400, "unsupported-precondition");
    }
}

#[tokio::test(start_paused = true)]
async fn every_failure_of_a_store_has_its_status() {
    let store = Failing::default();
    let hub = store.hub().await;
    let app = App::new(&hub);
    for (kind, status, code) in [
        (ErrorKind::Overloaded, 503, "overloaded"),
        (ErrorKind::Busy, 503, "busy"),
        (ErrorKind::Unavailable, 503, "unavailable"),
        (ErrorKind::OutcomeUnknown, 504, "outcome-unknown"),
        (ErrorKind::StorageFull, 507, "storage-full"),
        (ErrorKind::Corrupt, 500, "corrupt"),
        (ErrorKind::Backend, 500, "internal"),
    ] {
        store.fail_append(kind);
        let answer = app.post("/streams/s", event(ID, "1")).await;
        let problem = answer.problem(status, code);
        assert!(!problem.to_string().contains("SECRET"));
        assert_eq!(problem["retryable"], status != 500);
        assert_eq!(answer.headers.contains_key("retry-after"), status != 500);
    }
    hub.shutdown().await;
    app.post("/streams/s", event(ID, "1")).await.problem(503, "unavailable");
}

#[tokio::test(start_paused = true)]
async fn appends_are_disabled_by_default() {
    let hub = hub().await;
    let app = App::of(Feed::new(&hub));
    let answer = app.post("/streams/s", event(ID, "1")).await;
    let problem = answer.problem(405, "append-disabled");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("Feed::with_append") && detail.contains("--allow-append"), "{detail}");
    assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
}

async fn own_only(parts: &Parts) -> Result<Rights, Refusal> {
    let own = FilterItem::new().with_stream("own").unwrap();
    let rights = Rights::to(own.into());
    let reader = parts.headers.contains_key("x-reader");
    Ok(if reader { rights.read_only() } else { rights })
}

#[tokio::test(start_paused = true)]
async fn rights_restrict_appends() {
    let hub = hub().await;
    let app = App::of(Feed::new(&hub).with_authorizer(own_only).with_append());
    assert_eq!(app.post("/streams/own", event(ID, "1")).await.status, 201);
    app.post("/streams/other", event(ID, "1")).await.problem(403, "forbidden");
    let reader = post("/streams/own").header("x-reader", "1").body(Body::from(event(ID, "1")));
    app.ask(reader.unwrap()).await.problem(403, "forbidden");
}

/// A body that panics if it is read.
fn untouched() -> Body {
    Body::from_stream(futures::stream::poll_fn(
        |_| -> std::task::Poll<Option<Result<&str, std::io::Error>>> {
            panic!("the body was read")
        },
    ))
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_is_answered_before_its_body_is_read() {
    let hub = hub().await;
    let app = App::of(Feed::new(&hub).with_authorizer(own_only).with_append());
    let reader = post("/streams/own").header("x-reader", "1");
    app.ask(reader.body(untouched()).unwrap()).await.problem(403, "forbidden");
    app.post("/streams/other", untouched()).await.problem(403, "forbidden");
    app.post("/streams/own?expected=later", untouched()).await.problem(400, "bad-parameter");
    let text = request(Method::POST, "/streams/own").header("content-type", "text/plain");
    app.ask(text.body(untouched()).unwrap()).await.problem(415, "unsupported-media-type");
    let app = App::of(Feed::new(&hub));
    app.post("/streams/own", untouched()).await.problem(405, "append-disabled");
}

/// This body, and then nothing more for ever.
fn unfinished(begin: String) -> Body {
    let begin = begin.into_bytes();
    let begin =
        futures::stream::iter(begin.chunks(1 << 14).map(<[u8]>::to_vec).collect::<Vec<_>>());
    Body::from_stream(begin.map(Ok::<_, std::io::Error>).chain(futures::stream::pending()))
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_a_limit_is_refused_before_its_end() {
    let hub = hub().await;
    let app = App::new(&hub);
    let began = Instant::now();
    let events = vec![r#"{"type":"T","data":1}"#; 1_001].join(",");
    let problem = app.post("/streams/s", unfinished(format!("[{events}"))).await;
    assert_eq!(problem.problem(413, "too-large")["limit"], 1_000);
    let tags = format!(r#"{{"type":"T","tags":["x"{}"#, ",\"x\"".repeat(64));
    let problem = app.post("/streams/s", unfinished(tags)).await;
    assert_eq!(problem.problem(413, "too-large")["limit"], 64);
    let payload = format!(r#"{{"data":"{}"#, "x".repeat(1 << 20));
    let problem = app.post("/streams/s", unfinished(payload)).await;
    assert_eq!(problem.problem(413, "too-large")["limit"], 1 << 20);
    let not_json = app.post("/streams/s", unfinished("[1".into())).await;
    not_json.problem(400, "bad-event");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_append_counts_in_the_byte_budget_until_it_is_answered() {
    let (hub, permits) = Gated::hub().await;
    let app = App::new(&hub);
    // Room for one body and its events.
    let budget = ByteBudget::new(800_000);
    let large = |bytes: usize| {
        let connection = Connection::new(([127, 0, 0, 1], 9).into(), CancellationToken::new());
        let body = format!(r#"{{"type":"T","data":"{}"}}"#, "x".repeat(bytes));
        let request = post("/streams/s").extension(connection.with_budget(budget.clone()));
        request.body(Body::from(body)).unwrap()
    };
    app.ask(large(500_000)).await.problem(503, "overloaded");
    assert_eq!(budget.used(), 0);
    let until_stored = async {
        while budget.used() < 500 {
            tokio::task::yield_now().await;
        }
        let refused = app.ask(large(399_000)).await;
        refused.problem(503, "overloaded");
        assert_eq!(refused.header("retry-after"), "1");
        permits.add_permits(2);
    };
    let (answer, ()) = tokio::join!(app.ask(large(300_000)), until_stored);
    assert_eq!((answer.status.as_u16(), budget.used()), (201, 0));
    assert_eq!(app.ask(large(390_000)).await.status, 201);
}
