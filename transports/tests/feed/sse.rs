//! `GET /feed` with `Accept: text/event-stream`.

use std::time::Duration;

use axum::body::Body;
use downlink::{ErrorKind, Expected, FilterItem, Hub, LocalBus, MemoryStore, NewEvent};
use downlink_transports::feed::{Feed, Refusal, Rights};
use http::Method;
use http::request::Parts;
use tokio_util::sync::CancellationToken;

use crate::support::{App, Block, Failing, Frames, empty, hub, put, put_many, request, sse};

#[tokio::test(start_paused = true)]
async fn frames_follow_the_order_of_the_wire_contract() {
    let hub = hub().await;
    let cursors = put_many(&hub, 3).await;
    let app = App::new(&hub);
    let response = app.send(empty(sse("/feed"))).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store, no-transform");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    assert_eq!(response.headers()["vary"], "Accept, Origin, Authorization, Cookie");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert!(!response.headers().contains_key("content-length"));
    let mut frames = Frames::of(response);
    let ready = frames.opened().await;
    assert!((1_000..=4_000).contains(&ready.retry.unwrap()));
    assert_eq!(ready.id.as_deref(), Some("0000000000000000-00000000"));
    assert_eq!(ready.json()["cursor"], "0000000000000000-00000000");
    assert_eq!(ready.json()["head"], cursors[2].to_string());
    assert_eq!(ready.json()["heartbeat_ms"], 15_000);
    for cursor in &cursors {
        let event = frames.expect("event").await;
        assert_eq!(event.id, Some(cursor.to_string()));
        assert_eq!(event.json()["cursor"], cursor.to_string());
        assert_eq!(event.retry, None);
    }
    let live = frames.expect("live").await;
    assert_eq!(live.id, Some(cursors[2].to_string()));
    assert_eq!(live.json()["head"], cursors[2].to_string());
    let next = put(&hub, "flight-9", "FlightLanded").await;
    assert_eq!(frames.expect("event").await.id, Some(next.to_string()));
}

#[tokio::test(start_paused = true)]
async fn live_is_sent_on_an_empty_log_too() {
    let hub = hub().await;
    let mut frames = App::new(&hub).open("/feed").await;
    frames.opened().await;
    assert_eq!(frames.expect("live").await.id.as_deref(), Some("0000000000000000-00000000"));
}

#[tokio::test(start_paused = true)]
async fn the_envelope_is_the_same_bytes_as_on_a_page() {
    let hub = hub().await;
    let event = NewEvent::json("T", "{\"a\":\r\n 1}").unwrap().with_tag("x").unwrap();
    hub.append_to("s", Expected::Any, [event]).await.unwrap();
    let app = App::new(&hub);
    let mut frames = app.open("/feed").await;
    frames.opened().await;
    let data = frames.expect("event").await.data.unwrap();
    assert!(data.contains(r#""data":{"a":   1},"#), "{data}");
    let page = app.get("/feed").await;
    assert!(
        std::str::from_utf8(&page.body).unwrap().starts_with(&format!(r#"{{"events":[{data}],"#))
    );
    let page = app.get("/streams/s").await;
    assert!(std::str::from_utf8(&page.body).unwrap().contains(&format!(r#""events":[{data}],"#)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_resumes_after_every_kind_of_position() {
    let hub = hub().await;
    let cursors = put_many(&hub, 5).await;
    let app = App::new(&hub);
    let third = cursors[2];
    let position = third.position();
    for (uri, header, expected) in [
        ("/feed".to_owned(), None, &cursors[..]),
        ("/feed?after=start".to_owned(), None, &cursors[..]),
        (format!("/feed?after={third}"), None, &cursors[3..]),
        (format!("/feed?after={position}"), None, &cursors[3..]),
        (format!("/feed?after=start&lastEventId={third}"), None, &cursors[3..]),
        ("/feed?after=start".to_owned(), Some(third), &cursors[3..]),
        ("/feed?after=now".to_owned(), None, &cursors[5..]),
        ("/feed?after=last:2".to_owned(), None, &cursors[3..]),
        ("/feed?after=last:9".to_owned(), None, &cursors[..]),
        ("/feed?after=last:1&stream=flight-0".to_owned(), None, &cursors[3..4]),
        (format!("/feed?after={}", cursors[4]), None, &cursors[5..]),
    ] {
        let mut builder = sse(&uri);
        if let Some(id) = header {
            builder = builder.header("last-event-id", id.to_string());
        }
        let mut frames = Frames::of(app.send(empty(builder)).await);
        frames.opened().await;
        for cursor in expected {
            assert_eq!(frames.expect("event").await.id, Some(cursor.to_string()), "{uri}");
        }
        frames.expect("live").await;
    }
}

#[tokio::test(start_paused = true)]
async fn filters_are_applied() {
    let hub = hub().await;
    let cursors = put_many(&hub, 4).await;
    let landed = put(&hub, "gate-1", "FlightLanded").await;
    let app = App::new(&hub);
    for (query, expected) in [
        ("stream=flight-0", vec![cursors[0], cursors[3]]),
        ("stream_prefix=gate-", vec![landed]),
        ("stream=flight-1&stream_prefix=gate", vec![cursors[1], landed]),
        ("type=FlightLanded", vec![landed]),
        ("type_prefix=Flight&not_type=FlightDelayed", vec![landed]),
        ("tag=nobody", vec![]),
    ] {
        let mut frames = app.open(&format!("/feed?{query}")).await;
        frames.opened().await;
        for cursor in expected {
            assert_eq!(frames.expect("event").await.id, Some(cursor.to_string()), "{query}");
        }
        let live = frames.next().await.unwrap();
        assert!(["live", "checkpoint"].contains(&live.name()), "{live:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn refused_resumes_are_error_statuses_for_every_client() {
    let hub = hub().await;
    let cursors = put_many(&hub, 3).await;
    let app = App::new(&hub);
    let other = put_many(&self::hub().await, 3).await[1];
    assert_ne!(other, cursors[1]);
    let ahead = "0000000000000009-00000001";
    let gone = [
        (format!("/feed?after={ahead}"), "cursor-ahead"),
        ("/feed?after=9".to_owned(), "cursor-ahead"),
        ("/feed?after=9223372036854775807".to_owned(), "cursor-ahead"),
        (format!("/feed?after={other}"), "history-changed"),
    ];
    for (uri, code) in &gone {
        app.ask(empty(sse(uri))).await.problem(410, code);
        app.ask(empty(sse(uri).header("feed-client", "t/1"))).await.problem(410, code);
        app.get(uri).await.problem(410, code);
        let head =
            app.ask(empty(request(Method::HEAD, uri).header("accept", "text/event-stream"))).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (410, 0));
    }
    for bad in [
        "after=",
        "after=garbage",
        "after=-1",
        "after=99999999999999999999",
        "after=last:1001",
        "after=8000000000000000-00000000",
        "after=start&after=start",
        "lastEventId=now",
        "after=%ff",
        "lastEventId=x&after=start",
    ] {
        let problem = app.ask(empty(sse(&format!("/feed?{bad}")))).await.problem(400, "bad-cursor");
        assert!(problem["parameter"].is_string());
        app.get(&format!("/feed?{bad}")).await.problem(400, "bad-cursor");
    }
    for header in [&b"garbage"[..], b"\xff", &[b'0'; 65], &vec![b'0'; 1 << 20]] {
        let request = sse("/feed?after=start").header("last-event-id", header);
        app.ask(empty(request)).await.problem(400, "bad-cursor");
    }
}

#[tokio::test(start_paused = true)]
async fn bad_parameters_are_error_statuses() {
    let hub = hub().await;
    let app = App::new(&hub);
    let bad = |query: String| {
        let app = &app;
        async move { app.ask(empty(sse(&format!("/feed?{query}")))).await }
    };
    let problem = bad("strem=x".into()).await.problem(400, "unknown-parameter");
    assert_eq!(problem["parameter"], "strem");
    assert!(problem["detail"].as_str().unwrap().contains("stream_prefix"));
    bad("limit=1".into()).await.problem(400, "unknown-parameter");
    bad("wait=1".into()).await.problem(400, "unknown-parameter");
    bad("heartbeat=comment".into()).await.problem(400, "bad-parameter");
    for filter in ["stream=", "type=a%0Ab", "tag=%00", "stream=..", "stream_prefix="] {
        let problem = bad(filter.into()).await.problem(400, "bad-filter");
        assert_eq!(problem["parameter"], filter.split('=').next().unwrap());
    }
    bad(format!("type={}", "x".repeat(256))).await.problem(400, "bad-filter");
    let problem = bad(vec!["tag=x"; 65].join("&")).await.problem(400, "bad-filter");
    assert_eq!(problem["limit"], 64);
}

#[tokio::test(start_paused = true)]
async fn available_events_are_sent_in_batches() {
    let hub = hub().await;
    put_many(&hub, 200).await;
    let app = App::new(&hub);
    let mut frames = app.open("/feed").await;
    let mut names = Vec::new();
    while names.last().map(String::as_str) != Some("live") {
        names.push(frames.next().await.unwrap().name().to_owned());
    }
    assert_eq!(names.iter().filter(|name| *name == "event").count(), 200);
    assert!(frames.sizes.len() < 10, "{:?}", frames.sizes);
    assert!(
        frames.sizes.iter().all(|(bytes, blocks)| *blocks <= 64 && *bytes < (16 << 10) + 1_024)
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_sends_heartbeats() {
    let hub = hub().await;
    let cursor = put(&hub, "s", "T").await;
    let app = App::of(Feed::new(&hub).with_heartbeat(Duration::from_secs(2)));
    let mut frames = app.open("/feed?after=now").await;
    assert_eq!(frames.opened().await.json()["heartbeat_ms"], 2_000);
    frames.expect("live").await;
    let start = tokio::time::Instant::now();
    let beat = frames.expect(":").await;
    assert_eq!((beat.id, beat.data), (None, None));
    assert_eq!(start.elapsed().as_secs(), 2);
    frames.expect(":").await;
    assert_eq!(start.elapsed().as_secs(), 4);
    let mut frames = app.open("/feed?after=now&heartbeat=event").await;
    frames.opened().await;
    frames.expect("live").await;
    let beat = frames.expect("heartbeat").await;
    assert_eq!(beat.id, None);
    assert_eq!(beat.json(), serde_json::json!({"frame": "heartbeat", "head": cursor.to_string()}));
}

#[tokio::test(start_paused = true)]
async fn an_event_postpones_the_heartbeat() {
    let hub = hub().await;
    let app = App::of(Feed::new(&hub).with_heartbeat(Duration::from_secs(10)));
    let mut frames = app.open("/feed?after=now").await;
    frames.opened().await;
    frames.expect("live").await;
    tokio::time::advance(Duration::from_secs(7)).await;
    put(&hub, "s", "T").await;
    frames.expect("event").await;
    let at = tokio::time::Instant::now();
    frames.expect(":").await;
    assert_eq!(at.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_stream_rotates_after_ten_minutes_more_or_less() {
    let hub = hub().await;
    let mut frames = App::new(&hub).open("/feed").await;
    let start = tokio::time::Instant::now();
    let blocks = frames.rest().await;
    assert!((480..=721).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    let bye = blocks.last().unwrap();
    assert_eq!(bye.name(), "bye");
    assert_eq!(bye.json()["reason"], "rotate");
    assert_eq!(bye.retry, bye.json()["reconnect_after_ms"].as_u64());
    assert!((100..=60_000).contains(&bye.retry.unwrap()));
    assert_eq!(bye.id, None);
}

#[tokio::test(start_paused = true)]
async fn a_busy_stream_rotates_too() {
    let hub = hub().await;
    let app = App::of(Feed::new(&hub).with_rotation(Duration::from_secs(5)));
    let mut frames = app.open("/feed").await;
    let mut names = Vec::new();
    while let Some(block) = frames.next().await {
        names.push(block.name().to_owned());
        tokio::time::advance(Duration::from_millis(500)).await;
        put(&hub, "s", "T").await;
    }
    assert_eq!(names.last().map(String::as_str), Some("bye"));
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_a_stream_with_bye() {
    let hub = hub().await;
    let token = CancellationToken::new();
    let app = App::of(Feed::new(&hub).with_shutdown(token.clone()));
    let mut frames = app.open("/feed").await;
    frames.opened().await;
    frames.expect("live").await;
    token.cancel();
    let bye = frames.expect("bye").await;
    assert_eq!(bye.json()["reason"], "draining");
    assert_eq!(bye.retry, bye.json()["reconnect_after_ms"].as_u64());
    assert_eq!(frames.next().await, None);
    assert_eq!(hub.stats().open_subscriptions, 0);
}

#[tokio::test(start_paused = true)]
async fn a_draining_feed_refuses_requests() {
    let hub = hub().await;
    let token = CancellationToken::new();
    token.cancel();
    let app = App::of(Feed::new(&hub).with_append().with_shutdown(token));
    let answer = app.ask(empty(sse("/feed"))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.header("connection"), "close");
    let text = std::str::from_utf8(&answer.body).unwrap();
    assert!(text.starts_with("retry: ") && text.contains("\nevent: feed.bye\ndata: {"), "{text}");
    for request in [
        sse("/feed").header("feed-client", "test/1"),
        crate::support::get("/feed"),
        crate::support::get("/streams/s"),
        crate::support::post("/streams/s"),
    ] {
        let answer = app.ask(empty(request)).await;
        assert_eq!(answer.problem(503, "draining")["retryable"], true);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
        assert_eq!(answer.header("connection"), "close");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_was_shut_down_ends_its_streams() {
    let hub = hub().await;
    let mut frames = App::new(&hub).open("/feed").await;
    frames.opened().await;
    frames.expect("live").await;
    hub.shutdown().await;
    assert_eq!(frames.expect("bye").await.json()["reason"], "draining");
    assert_eq!(frames.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn another_log_resets_an_open_stream() {
    let store = Failing::default();
    let hub = store.hub().await;
    put_many(&hub, 3).await;
    let mut frames = App::new(&hub).open("/feed").await;
    while frames.next().await.unwrap().name() != "live" {}
    let backup = MemoryStore::new();
    let other = NewEvent::json("Other", "{}").unwrap();
    let head =
        downlink::EventStoreExt::append_to(&backup, "s", Expected::Any, vec![other; 1]).await;
    store.restore(&backup);
    let mut names = Vec::new();
    for block in frames.rest().await {
        if block.name() == "reset" {
            assert!(
                ["cursor-ahead", "history-changed"]
                    .contains(&block.json()["reason"].as_str().unwrap())
            );
            assert_eq!(block.json()["head"], head.as_ref().unwrap().cursor.to_string());
            assert_eq!(block.id, None);
        }
        names.push(block.name().to_owned());
    }
    names.retain(|name| name != ":");
    assert_eq!(names, ["reset"]);
}

#[tokio::test(start_paused = true)]
async fn another_log_resets_a_stream_that_reads_history() {
    let store = Failing::default();
    let builder =
        Hub::builder(store.clone(), LocalBus::new()).with_ring(1, usize::MAX).with_page(1, 1);
    let hub = builder.with_poll_interval(Duration::from_hours(1)).start().await.unwrap();
    put_many(&hub, 9).await;
    let mut frames = App::new(&hub).open("/feed").await;
    frames.opened().await;
    frames.expect("event").await;
    let other = Failing::default();
    let head = put_many(&other.hub().await, 9).await[8];
    store.restore(&other.backup());
    let blocks = frames.rest().await;
    let reset = blocks.last().unwrap();
    assert_eq!(reset.name(), "reset", "{blocks:?}");
    assert_eq!(reset.json()["reason"], "history-changed");
    assert_eq!(reset.json()["head"], head.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_ends_the_stream_with_a_problem() {
    let store = Failing::default();
    let hub = store.hub().await;
    put_many(&hub, 3).await;
    let mut frames = App::new(&hub).open("/feed").await;
    frames.opened().await;
    store.fail_read(ErrorKind::Corrupt);
    let blocks = frames.rest().await;
    let names: Vec<_> = blocks.iter().map(Block::name).collect();
    assert_eq!(names, ["problem", "bye"], "{blocks:?}");
    let problem = &blocks[0].json()["problem"];
    assert_eq!(problem["code"], "corrupt");
    assert!(problem.get("status").is_none());
    assert!(!problem.to_string().contains("SECRET"));
    assert_eq!(blocks[0].id, None);
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_store_is_a_stream_for_browsers_and_a_status_for_others() {
    let store = Failing::default();
    let hub = store.hub().await;
    let app = App::new(&hub);
    store.fail_read(ErrorKind::Unavailable);
    let answer = app.ask(empty(sse("/feed?after=now"))).await;
    assert_eq!(answer.status, 200);
    let text = std::str::from_utf8(&answer.body).unwrap();
    assert!(
        text.contains(r#"{"frame":"bye","reason":"unavailable","reconnect_after_ms":"#),
        "{text}"
    );
    let answer = app.ask(empty(sse("/feed").header("feed-client", "t/1"))).await;
    answer.problem(503, "unavailable");
    assert!(!answer.header("retry-after").is_empty());
    assert!(!String::from_utf8_lossy(&answer.body).contains("SECRET"));
}

async fn by_token(parts: &Parts) -> Result<Rights, Refusal> {
    let flights = FilterItem::new().with_stream_prefix("flight-").unwrap();
    match parts.headers.get("authorization").map(http::HeaderValue::as_bytes) {
        Some(b"Bearer flights") => {
            Ok(Rights::to(flights.into()).with_lifetime(Duration::from_mins(1)))
        }
        Some(b"Bearer busy") => {
            Err(Refusal::limited("too many streams are open", Duration::from_secs(7)))
        }
        Some(_) => Err(Refusal::forbidden("you may read nothing")),
        None => Err(Refusal::unauthenticated("send a bearer token")),
    }
}

#[tokio::test(start_paused = true)]
async fn rights_hide_events_and_expire() {
    let hub = hub().await;
    put(&hub, "secret", "T").await;
    let seen = put(&hub, "flight-1", "T").await;
    let app = App::of(Feed::new(&hub).with_authorizer(by_token));
    let as_flights = |uri: &str| empty(sse(uri).header("authorization", "Bearer flights"));
    let mut frames = Frames::of(app.send(as_flights("/feed?stream=secret&stream_prefix=f")).await);
    frames.opened().await;
    assert_eq!(frames.expect("event").await.id, Some(seen.to_string()));
    frames.expect("live").await;
    let start = tokio::time::Instant::now();
    let bye = frames.rest().await.pop().unwrap();
    assert_eq!((bye.name(), start.elapsed().as_secs()), ("bye", 60));
    assert_eq!(bye.json()["reason"], "expired");

    let answer = app.ask(empty(sse("/feed"))).await;
    answer.problem(401, "unauthenticated");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    let with = |token: &str| sse("/feed").header("authorization", format!("Bearer {token}"));
    app.ask(empty(with("nobody"))).await.problem(403, "forbidden");
    let limited = app.ask(empty(with("busy").header("feed-client", "t/1"))).await;
    limited.problem(429, "limit");
    assert_eq!(limited.header("retry-after"), "7");
    let soft = app.ask(empty(with("busy"))).await;
    assert_eq!(soft.status, 200);
    assert!(String::from_utf8_lossy(&soft.body).contains(r#""reason":"limit""#));
}

#[tokio::test(start_paused = true)]
async fn head_has_the_headers_and_no_subscription() {
    let hub = hub().await;
    let request = request(Method::HEAD, "/feed").header("accept", "text/event-stream");
    let answer = App::new(&hub).ask(empty(request)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.header("cache-control"), "no-store, no-transform");
    assert_eq!((answer.body.len(), answer.header("content-length")), (0, ""));
    assert_eq!(hub.stats().open_subscriptions, 0);
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_ends_the_subscription() {
    let hub = hub().await;
    let mut frames = App::new(&hub).open("/feed").await;
    frames.opened().await;
    frames.expect("live").await;
    assert_eq!(hub.stats().open_subscriptions, 1);
    drop(frames);
    assert_eq!(hub.stats().open_subscriptions, 0);
    let unread: http::Response<Body> = App::new(&hub).send(empty(sse("/feed"))).await;
    drop(unread);
    assert_eq!(hub.stats().open_subscriptions, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_before_any_history_is_read() {
    let store = Failing::default();
    let hub = store.hub().await;
    let cursors = put_many(&hub, 5).await;
    store.hold_reads(true);
    let app = App::of(Feed::new(&hub).with_public_access());
    for uri in ["/feed", "/feed?after=now", &format!("/feed?after={}", cursors[1])] {
        app.open(uri).await.opened().await;
    }
    let mut last = app.open("/feed?after=last:2&heartbeat=event").await;
    last.expect(":").await;
    for _ in 0..2 {
        last.expect("heartbeat").await;
    }
    store.hold_reads(false);
    assert_eq!(last.expect("ready").await.id, Some(cursors[2].to_string()));
    for cursor in &cursors[3..] {
        assert_eq!(last.expect("event").await.id, Some(cursor.to_string()));
    }
    last.expect("live").await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_be_opened_any_more_says_why() {
    let store = Failing::default();
    let hub = store.hub().await;
    put_many(&hub, 5).await;
    let drain = CancellationToken::new();
    let feed = Feed::new(&hub).with_public_access().with_shutdown(drain.clone());
    let app = App::of(feed);
    store.hold_reads(true);
    let (mut failing, mut drained) =
        (app.open("/feed?after=last:2").await, app.open("/feed?after=last:2").await);
    drained.expect(":").await;
    drain.cancel();
    assert_eq!(drained.expect("bye").await.json()["reason"], "draining");
    assert_eq!(drained.next().await, None);
    failing.expect(":").await;
    assert_eq!(failing.expect("bye").await.json()["reason"], "draining");

    let app = App::of(Feed::new(&hub).with_public_access());
    let mut failing = app.open("/feed?after=last:2").await;
    failing.expect(":").await;
    store.fail_read(ErrorKind::Corrupt);
    let problem = failing.expect("problem").await.json();
    assert_eq!(problem["problem"]["code"], "corrupt");
    assert!(!problem.to_string().contains("SECRET"), "{problem}");
    failing.expect("bye").await;
    assert_eq!(failing.next().await, None);
}
