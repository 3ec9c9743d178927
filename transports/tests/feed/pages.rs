//! `GET /feed` without a stream: pages and long-polls.

use std::time::Duration;

use downlink::{ErrorKind, Expected, FilterItem, Hub, LocalBus, MemoryStore, NewEvent};
use downlink_transports::Connection;
use downlink_transports::feed::{Feed, Refusal, Rights};
use http::Method;
use http::request::Parts;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::{App, Failing, empty, get, hub, put, put_many, request};

fn texts(cursors: &[downlink::Cursor]) -> Vec<String> {
    cursors.iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn a_page_follows_the_wire_contract() {
    let hub = hub().await;
    let cursors = put_many(&hub, 5).await;
    let app = App::new(&hub);
    let answer = app.get("/feed?limit=2").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("vary"), "Accept, Origin, Authorization, Cookie");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
    assert_eq!(answer.header("feed-cursor"), cursors[1].to_string());
    assert_eq!(answer.cursors(), texts(&cursors[..2]));
    let (cursor, head) = (cursors[1], cursors[4]);
    let end = format!(r#"],"cursor":"{cursor}","head":"{head}","more":true}}"#);
    assert!(answer.body.ends_with(end.as_bytes()), "{answer:?}");
    let rest = app.get(&format!("/feed?after={cursor}")).await;
    assert_eq!(rest.cursors(), texts(&cursors[2..]));
    assert_eq!(rest.json()["more"], false);
    let none = app.get(&format!("/feed?after={head}")).await;
    let expected = format!(r#"{{"events":[],"cursor":"{head}","head":"{head}","more":false}}"#);
    assert_eq!(none.body, expected);
}

#[tokio::test(start_paused = true)]
async fn the_cursor_moves_when_nothing_matches() {
    let hub = hub().await;
    let cursors = put_many(&hub, 5).await;
    let page = App::new(&hub).get("/feed?type=Nothing").await;
    assert_eq!(page.header("feed-cursor"), cursors[4].to_string());
    assert_eq!(page.cursors(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_page_begins_after_the_requested_place() {
    let hub = hub().await;
    let cursors = put_many(&hub, 5).await;
    let app = App::new(&hub);
    for (query, expected) in [
        ("after=start", &cursors[..]),
        ("after=now", &cursors[5..]),
        ("after=last:2", &cursors[3..]),
        ("after=last:2&limit=1", &cursors[3..4]),
        ("after=0", &cursors[..]),
        ("after=1", &cursors[1..]),
        ("limit=1000", &cursors[..]),
        ("limit=99999999", &cursors[..]),
        ("limit=99999999999999999999", &cursors[..]),
    ] {
        assert_eq!(app.get(&format!("/feed?{query}")).await.cursors(), texts(expected), "{query}");
    }
    let header = empty(get("/feed?after=start").header("last-event-id", cursors[3].to_string()));
    assert_eq!(app.ask(header).await.cursors(), texts(&cursors[4..]));
    // The header takes precedence, and the URL's parameter is not even parsed.
    for ignored in ["after=%ff", "after=garbage", "lastEventId=%ff"] {
        let header =
            get(&format!("/feed?{ignored}")).header("last-event-id", cursors[3].to_string());
        assert_eq!(app.ask(empty(header)).await.cursors(), texts(&cursors[4..]), "{ignored}");
    }
    app.get("/feed?after=%ff").await.problem(400, "bad-cursor");
    let wildcard = empty(get("/feed").header("accept", "*/*"));
    assert_eq!(app.ask(wildcard).await.header("content-type"), "application/json");
}

#[tokio::test(start_paused = true)]
async fn bad_parameters_are_problems() {
    let hub = hub().await;
    let app = App::new(&hub);
    for query in
        ["limit=0", "limit=x", "limit=", "limit=-1", "wait=x", "wait=-1", "limit=1&limit=2"]
    {
        let problem = app.get(&format!("/feed?{query}")).await.problem(400, "bad-parameter");
        assert_eq!(problem["parameter"], query.split('=').next().unwrap());
    }
    for query in ["heartbeat=event", "tenant=1", "from_version=1"] {
        let problem = app.get(&format!("/feed?{query}")).await.problem(400, "unknown-parameter");
        let (detail, name) = (&problem["detail"], query.split('=').next().unwrap());
        let names = [&format!("'{name}'"), "after, lastEventId", "limit"];
        assert!(names.iter().all(|name| detail.as_str().unwrap().contains(*name)), "{detail}");
    }
    let own = App::of(Feed::new(&hub).with_parameter("tenant"));
    assert_eq!(own.get("/feed?tenant=1&tenant=2").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_page_has_at_most_a_mebibyte_or_one_larger_event() {
    let hub = hub().await;
    let large =
        |bytes: usize| NewEvent::json("T", format!("\"{}\"", "x".repeat(bytes - 2))).unwrap();
    for bytes in [500 << 10, 500 << 10, 500 << 10, 1 << 20] {
        hub.append_to("s", Expected::Any, [large(bytes)]).await.unwrap();
    }
    let app = App::new(&hub);
    let (mut after, mut sizes) = ("start".to_owned(), Vec::new());
    loop {
        let page = app.get(&format!("/feed?after={after}")).await;
        after = page.header("feed-cursor").to_owned();
        sizes.push(page.cursors().len());
        assert!(page.body.len() <= (1 << 20) + 256 || page.cursors().len() == 1);
        if page.json()["more"] == false {
            break;
        }
    }
    assert_eq!(sizes, [2, 1, 1]);
    let first = app.get("/streams/s").await.json();
    assert_eq!((first["events"].as_array().unwrap().len(), &first["more"]), (2, &true.into()));
    assert!(first.get("cursor").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_poll_waits_for_the_first_event() {
    let hub = hub().await;
    let first = put(&hub, "s", "T").await;
    let app = App::new(&hub);
    let now = app.get("/feed?wait=30").await;
    assert_eq!(now.cursors(), texts(&[first]));
    let start = Instant::now();
    let uri = format!("/feed?wait=30&after={first}");
    let (answer, cursor) = tokio::join!(app.get(&uri), async {
        tokio::time::advance(Duration::from_secs(3)).await;
        put(&hub, "s", "T").await
    });
    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!(answer.cursors(), texts(&[cursor]));
    assert_eq!(answer.header("feed-cursor"), cursor.to_string());
    assert_eq!(hub.stats().open_subscriptions, 0);
}

#[tokio::test(start_paused = true)]
async fn a_poll_ends_without_events_after_its_time() {
    let hub = hub().await;
    let app = App::new(&hub);
    let endless = "99999999999999999999";
    for (wait, seconds) in [("5", 5), ("55", 55), ("56", 55), (endless, 55), ("0", 0)] {
        let start = Instant::now();
        let answer = app.get(&format!("/feed?wait={wait}&type=None")).await;
        assert_eq!((answer.status.as_u16(), answer.cursors().len()), (200, 0));
        assert_eq!(start.elapsed().as_secs(), seconds, "{wait}");
    }
    let start = Instant::now();
    let (answer, hidden) =
        tokio::join!(app.get("/feed?wait=20&type=None&after=now"), put(&hub, "s", "T"));
    assert_eq!((start.elapsed().as_secs(), answer.cursors().len()), (20, 0));
    // Nothing matched, but the next poll does not have to read it again.
    assert_eq!(answer.header("feed-cursor"), hidden.to_string());
    assert_eq!(answer.json()["more"], false);
    let start = Instant::now();
    let head = app.ask(empty(request(Method::HEAD, "/feed?wait=20"))).await;
    assert_eq!((head.status.as_u16(), start.elapsed().as_secs()), (200, 0));
}

#[tokio::test(start_paused = true)]
async fn a_poll_answers_when_the_server_drains() {
    let hub = hub().await;
    let first = put(&hub, "s", "T").await;
    let app = App::new(&hub);
    let drain = CancellationToken::new();
    let peer = "127.0.0.1:4000".parse().unwrap();
    let request = get("/feed?wait=50&after=now").extension(Connection::new(peer, drain.clone()));
    let (answer, ()) = tokio::join!(app.ask(empty(request)), async {
        tokio::time::advance(Duration::from_secs(1)).await;
        drain.cancel();
    });
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), "close");
    assert_eq!(answer.json()["cursor"], first.to_string());
    assert_eq!(answer.cursors(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_poll_returns_available_events_up_to_its_limit() {
    let hub = hub().await;
    let app = App::new(&hub);
    let events: Vec<_> = (0..5).map(|_| NewEvent::json("T", "{}").unwrap()).collect();
    let (answer, _) =
        tokio::join!(app.get("/feed?wait=30&limit=3"), hub.append_to("s", Expected::Any, events));
    assert_eq!(answer.cursors().len(), 3);
    assert_eq!(answer.json()["more"], true);
    let rest = app.get(&format!("/feed?after={}", answer.header("feed-cursor"))).await;
    assert_eq!(rest.cursors().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_reaches_its_limit_at_the_head_has_no_more() {
    let hub = hub().await;
    let app = App::new(&hub);
    let events: Vec<_> = (0..3).map(|_| NewEvent::json("T", "{}").unwrap()).collect();
    let (answer, appended) =
        tokio::join!(app.get("/feed?wait=30&limit=3"), hub.append_to("s", Expected::Any, events));
    assert_eq!(answer.cursors().len(), 3);
    let page = answer.json();
    let head = appended.unwrap().cursor.to_string();
    assert_eq!((&page["more"], &page["head"]), (&false.into(), &head.as_str().into()));
    assert_eq!(page["cursor"], head);
}

#[tokio::test(start_paused = true)]
async fn polls_that_wait_at_the_end_of_the_log_do_not_read_the_store() {
    const POLLS: usize = 200;
    let store = Failing::default();
    let hub = Hub::builder(store.clone(), LocalBus::new());
    let hub = hub.with_poll_interval(Duration::from_hours(1)).start().await.unwrap();
    let (first, app) = (put(&hub, "s", "T").await, App::new(&hub));
    while hub.cached_head() != first {
        tokio::task::yield_now().await;
    }
    let before = store.calls();
    let uri = format!("/feed?wait=50&after={first}");
    let polls = futures::future::join_all((0..POLLS).map(|_| app.get(&uri)));
    let appended = async {
        // Each poll future has been polled at least once by now.
        while hub.stats().open_subscriptions < u64::try_from(POLLS).unwrap() {
            tokio::task::yield_now().await;
        }
        let waiting = store.calls() - before;
        (waiting, put(&hub, "s", "T").await)
    };
    let (answers, (waiting, second)) = tokio::join!(polls, appended);
    assert_eq!(waiting, 0, "{POLLS} waiting polls called the store");
    assert!(answers.iter().all(|answer| answer.cursors() == texts(&[second])));
    // The append, and the hub's reads, which the append and the bus may both wake.
    let all = store.calls() - before;
    assert!(all <= 6, "{all} calls of the store for {POLLS} polls and an append");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_poll_returns_history_changed() {
    let store = Failing::default();
    let hub = store.hub().await;
    let backup = store.backup();
    let cursor = put(&hub, "s", "T").await;
    let app = App::new(&hub);
    let uri = format!("/feed?wait=50&after={cursor}");
    let (answer, ()) = tokio::join!(app.get(&uri), async {
        while hub.stats().open_subscriptions == 0 {
            tokio::task::yield_now().await;
        }
        store.restore(&backup);
    });
    answer.problem(410, "history-changed");
    app.get(&uri).await.problem(410, "cursor-ahead");
}

async fn flights_for_nine_seconds(_: &Parts) -> Result<Rights, Refusal> {
    let flights = FilterItem::new().with_stream_prefix("flight-").unwrap();
    Ok(Rights::to(flights.into()).with_lifetime(Duration::from_secs(9)))
}

#[tokio::test(start_paused = true)]
async fn rights_restrict_pages_and_waits() {
    let hub = hub().await;
    put(&hub, "secret", "T").await;
    let app = App::of(Feed::new(&hub).with_authorizer(flights_for_nine_seconds));
    let start = Instant::now();
    let page = app.get("/feed?wait=30&stream=secret").await;
    assert_eq!((page.cursors().len(), start.elapsed().as_secs()), (0, 9));
    app.get("/streams/secret").await.problem(404, "stream-not-found");
}

#[tokio::test(start_paused = true)]
async fn every_failure_of_a_store_has_its_status() {
    let store = Failing::default();
    let hub = store.hub().await;
    let app = App::new(&hub);
    for (kind, status, code) in [
        (ErrorKind::Unavailable, 503, "unavailable"),
        (ErrorKind::Busy, 503, "busy"),
        (ErrorKind::Corrupt, 500, "corrupt"),
        (ErrorKind::Backend, 500, "internal"),
    ] {
        store.fail_read(kind);
        for uri in ["/feed", "/feed?after=now", "/streams/s"] {
            let answer = app.get(uri).await;
            answer.problem(status, code);
            assert!(!String::from_utf8_lossy(&answer.body).contains("SECRET"));
            assert_eq!(answer.headers.contains_key("retry-after"), status == 503);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn cursor_ahead_is_decided_by_the_store_not_by_the_cache() {
    let store = MemoryStore::new();
    let fallback = Duration::from_hours(1);
    let late = Hub::builder(store.clone(), LocalBus::new())
        .with_poll_interval(fallback)
        .start()
        .await
        .unwrap();
    let other = Hub::builder(store, LocalBus::new()).start().await.unwrap();
    let cursor = put(&other, "s", "T").await;
    let answer = App::new(&late).get(&format!("/feed?after={cursor}")).await;
    assert_eq!(answer.status, 200);
    let mut frames = App::new(&late).open(&format!("/feed?after={cursor}")).await;
    assert_eq!(frames.opened().await.json()["cursor"], cursor.to_string());
}

#[tokio::test(start_paused = true)]
async fn head_has_the_headers_of_a_page_and_no_body() {
    let hub = hub().await;
    put_many(&hub, 3).await;
    let app = App::new(&hub);
    let page = app.get("/feed").await;
    let head = app.ask(empty(request(Method::HEAD, "/feed"))).await;
    assert_eq!(head.body.len(), 0);
    assert_eq!(head.header("content-length"), page.body.len().to_string());
    for name in ["content-type", "cache-control", "vary", "feed-cursor"] {
        assert_eq!(head.header(name), page.header(name), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_searches_ends_at_a_drain() {
    let store = Failing::default();
    let hub = store.hub().await;
    put_many(&hub, 5).await;
    let app = App::of(Feed::new(&hub).with_public_access());
    for (after, held) in [("start", true), ("last:3", true)] {
        store.hold_reads(held);
        let drain = CancellationToken::new();
        let peer = "127.0.0.1:4000".parse().unwrap();
        let uri = format!("/feed?wait=50&type=None&after={after}");
        let request = get(&uri).extension(Connection::new(peer, drain.clone()));
        let (answer, ()) = tokio::join!(app.ask(empty(request)), async {
            tokio::time::advance(Duration::from_secs(1)).await;
            drain.cancel();
        });
        answer.problem(503, "draining");
        assert_eq!(answer.header("connection"), "close", "{after}");
    }
}
