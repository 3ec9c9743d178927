//! Tests the program over real sockets, on a real file.

mod running;

use std::collections::HashMap;
use std::net::SocketAddr;

use downlink::{Cursor, Event, FilterItem, Subscribe};
use flightdeck::replay::Speed;
use running::{Log, ReplayProcess, Running, anywhere, next_event, next_events};

/// Fails if events are missing or repeated.
fn check_order(events: &[Event]) {
    let mut versions: HashMap<_, u64> = HashMap::new();
    for event in events {
        let version = versions.entry(event.stream()).or_default();
        *version += 1;
        assert_eq!(event.version().get(), *version, "{} has a gap", event.stream());
    }
    assert!(events.is_sorted_by(|a, b| a.position() < b.position()), "a cursor did not rise");
}

fn tagged(tag: &str) -> Subscribe {
    Subscribe::new().with_filter(FilterItem::new().with_tag(tag).expect("a tag").into())
}

#[tokio::test]
async fn the_feed_has_the_day_in_order() {
    let log = Log::new();
    let deck = Running::start(&log.options(anywhere())).await.unwrap();
    let events = next_events(&mut deck.follow(Subscribe::new()), 300).await;
    check_order(&events);
    assert_eq!(events[0].event_type().as_str(), "ReplayStarted");
    assert_eq!(events[1].event_type().as_str(), "FlightScheduled");
    deck.end().await;
}

#[tokio::test]
async fn a_page_that_follows_one_airport_receives_the_events_of_the_replay() {
    let log = Log::new();
    let deck = Running::start(&log.options(anywhere())).await.unwrap();
    let events = next_events(&mut deck.follow(tagged("airport:LGA")), 50).await;
    check_order(&events);
    assert_eq!(events[0].stream().as_str(), "replay");
    for event in &events {
        assert!(event.tags().iter().any(|tag| tag.as_str() == "airport:LGA"));
    }
    deck.end().await;
}

#[tokio::test]
async fn a_feed_resumes_after_a_restart_without_gap_or_repeat() {
    let log = Log::new();
    let deck = Running::start(&log.options(anywhere())).await.unwrap();
    let address = deck.address;
    let mut follow = deck.follow(Subscribe::new());
    let mut events = next_events(&mut follow, 150).await;
    deck.end().await;

    let deck = Running::start(&log.options(address)).await.unwrap();
    events.extend(next_events(&mut follow, 250).await);
    check_order(&events);
    let starts = events.iter().filter(|event| event.event_type().as_str() == "ReplayStarted");
    assert_eq!(starts.count(), 2);
    deck.end().await;
}

#[tokio::test]
async fn a_delay_by_a_visitor_is_in_the_feed() {
    let log = Log::new();
    let mut options = log.options(anywhere());
    options.speed = Some(Speed::SLOWEST);
    let deck = Running::start(&options).await.unwrap();
    let scheduled = FilterItem::new().with_type("FlightScheduled").unwrap();
    let mut feed = deck.follow(Subscribe::new().with_filter(scheduled.into()));
    // Four flights are on the board at the start.
    let first = next_events(&mut feed, 4).await;
    assert!(first.iter().any(|event| event.stream().as_str() == "flight-UA1545"));

    let fog = r#"{"minutes":45,"reason":"fog"}"#;
    let answer = deck.post("/api/flights/UA1545/delay", fog).await;
    assert_eq!(answer.status(), 200, "{}", answer.body);
    let delayed = FilterItem::new().with_type("FlightDelayed").unwrap();
    let event = next_event(&mut deck.follow(Subscribe::new().with_filter(delayed.into()))).await;
    assert_eq!(answer.header("feed-cursor"), Some(event.cursor().to_string().as_str()));
    let data: serde_json::Value = serde_json::from_slice(event.payload()).unwrap();
    assert_eq!((&data["by"], &data["reason"]), (&"visitor".into(), &"fog".into()));
    assert_eq!(data["departs"], "2013-01-01T06:00");
    deck.end().await;
}

#[tokio::test]
async fn the_feed_continues_from_the_cursor_of_the_board() {
    for driver in ["rusqlite", "sqlx"] {
        let log = Log::new();
        let mut options = log.options(anywhere());
        options.log.store = driver.into();
        let deck = Running::start(&options).await.unwrap();
        next_events(&mut deck.follow(tagged("airport:JFK")), 60).await;
        let answer = deck.ask_live("board?airport=JFK").await;
        assert_eq!(answer.status(), 200, "{}", answer.body);
        let cursor: Cursor = answer.header("feed-cursor").expect("a cursor").parse().unwrap();
        let rows = answer.json()["rows"].as_array().unwrap().clone();
        let mut versions: HashMap<String, u64> = HashMap::new();
        for row in rows {
            assert_eq!(row["from"], "JFK");
            let flight = format!("flight-{}", row["id"].as_str().unwrap());
            versions.insert(flight, row["version"].as_u64().unwrap());
        }
        assert!(!versions.is_empty());

        let mut feed = deck.follow(tagged("airport:JFK").with_after(cursor));
        for event in next_events(&mut feed, 60).await {
            if event.stream().as_str() == "replay" {
                continue;
            }
            let version = versions.entry(event.stream().to_string()).or_default();
            *version += 1;
            assert_eq!(event.version().get(), *version, "{} has a gap", event.stream());
        }
        deck.end().await;
    }
}

#[tokio::test]
async fn unknown_query_parameters_are_refused() {
    let log = Log::new();
    let deck = Running::start(&log.options(anywhere())).await.unwrap();
    for path in ["board", "punctuality?airline=UA", "routes?airport=EWR"] {
        let answer = deck.ask_live(path).await;
        assert_eq!(answer.status(), 200, "{path}: {}", answer.body);
        assert!(answer.header("feed-cursor").is_some() && answer.json()["rows"].is_array());
    }
    let answer = deck.ask_live("board?gate=C71").await;
    assert_eq!(answer.status(), 400, "{}", answer.body);
    assert!(answer.json()["detail"].as_str().unwrap().contains("gate"), "{}", answer.body);
    deck.end().await;
}

#[tokio::test]
async fn a_repeated_command_has_the_same_response() {
    let log = Log::new();
    let mut options = log.options(anywhere());
    options.speed = Some(Speed::SLOWEST);
    let deck = Running::start(&options).await.unwrap();
    let events = next_events(&mut deck.follow(Subscribe::new()), 5).await;
    let (path, body) = ("/api/flights/UA1545/gate", r#"{"gate":"Q99"}"#);
    let key = [("idempotency-key", "0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11")];
    let first = deck.post_with(&key, path, body).await;
    assert_eq!(first.status(), 200, "{}", first.body);
    // A new command is refused: the flight already has that gate.
    assert_eq!(deck.post(path, body).await.status(), 409);
    let again = deck.post_with(&key, path, body).await;
    assert_eq!((again.status(), &again.body), (200, &first.body));
    assert_eq!(again.header("feed-cursor"), first.header("feed-cursor"));
    // Another command with that key is refused and not executed.
    let mut flights =
        events.iter().filter_map(|event| event.stream().as_str().strip_prefix("flight-"));
    let other_flight = flights.find(|id| *id != "UA1545").unwrap();
    for (path, body) in [
        (path, r#"{"gate":"Q98"}"#),
        ("/api/flights/UA1545/delay", r#"{"minutes":20}"#),
        (&format!("/api/flights/{other_flight}/gate"), body),
    ] {
        let other = deck.post_with(&key, path, body).await;
        assert_eq!(other.status(), 422, "{path} {body}: {}", other.body);
        assert_eq!(other.json()["code"], "id-reused");
    }
    assert_eq!(
        deck.post_with(&key, path, body).await.body,
        first.body,
        "the key must still belong to the first command"
    );
    let bad = deck.post_with(&[("idempotency-key", "again")], path, body).await;
    assert_eq!(bad.status(), 400, "{}", bad.body);
    deck.end().await;
}

#[tokio::test]
async fn foreign_events_do_not_affect_the_replay() {
    for store in ["rusqlite", "sqlx"] {
        let log = Log::new();
        let mut options = log.options(anywhere());
        options.log.store = store.into();
        // In a new log, and in one with a part of the day.
        for _ in 0..2 {
            log.append_foreign_events().await;
            let deck = Running::start(&options).await.unwrap();
            let departed = FilterItem::new().with_type("FlightDeparted").unwrap();
            let from = deck.ask_live("board").await;
            let from: Cursor = from.header("feed-cursor").unwrap().parse().unwrap();
            let subscribe = Subscribe::new().with_after(from).with_filter(departed.into());
            let gone = next_events(&mut deck.follow(subscribe), 3).await;
            let rows = deck.ask_live("punctuality").await.json()["rows"].clone();
            assert!(rows.is_array(), "{rows}");
            for event in &gone {
                assert_ne!(
                    event.stream().as_str(),
                    "flight-UA1714",
                    "a flight with foreign events cannot depart"
                );
            }
            let paused = deck.post("/api/replay", r#"{"paused":true}"#).await;
            assert_eq!(paused.json()["paused"], true, "{}", paused.body);
            let resumed = deck.post("/api/replay", r#"{"paused":false}"#).await;
            assert_eq!(resumed.json()["paused"], false, "{}", resumed.body);
            deck.end().await;
        }
    }
}

#[tokio::test]
async fn one_process_replays_and_another_one_serves() {
    let log = Log::new();
    let mut options = log.options(anywhere());
    options.speed = None;
    options.no_replay = true;
    let deck = Running::start(&options).await.unwrap();
    let mut follow = deck.follow(Subscribe::new());
    let mut replayer = ReplayProcess::start(&log.path());
    let events = next_events(&mut follow, 150).await;
    check_order(&events);
    let status = deck.get("/api/replay").await.json();
    assert_eq!((&status["running"], &status["speed"]), (&true.into(), &3600.0.into()));

    // The request goes to this process, and the replay runs in the other one.
    let paused = deck.post("/api/replay", r#"{"paused":true}"#).await;
    assert_eq!(paused.json()["paused"], true, "{}", paused.body);
    replayer.end().await;
    let stopped = FilterItem::new().with_type("ReplayStopped").unwrap();
    let cursor: Cursor = paused.header("feed-cursor").unwrap().parse().unwrap();
    let stopped = Subscribe::new().with_after(cursor).with_filter(stopped.into());
    next_event(&mut deck.follow(stopped)).await;
    deck.end().await;
}

#[tokio::test]
async fn a_refusal_is_a_problem_document_with_a_detail() {
    let log = Log::new();
    let deck = Running::start(&log.options(anywhere())).await.unwrap();
    let departed = FilterItem::new().with_type("FlightDeparted").unwrap();
    let mut departures = deck.follow(Subscribe::new().with_filter(departed.into()));
    let gone = next_event(&mut departures).await.stream().as_str().replace("flight-", "");

    let expected = [
        (format!("/api/flights/{gone}/cancel"), "{}", 409, "in the air"),
        ("/api/flights/UA9999/cancel".into(), "{}", 409, "not on the board"),
        ("/api/flights/nonsense/cancel".into(), "{}", 404, "UA1545"),
        (format!("/api/flights/{gone}/delay"), "{}", 400, "minutes"),
        (format!("/api/flights/{gone}/delay"), r#"{"minutes":5,"why":""}"#, 400, "why"),
        (format!("/api/flights/{gone}/delay"), r#"[5,"fog"]"#, 400, "an object"),
        (format!("/api/flights/{gone}/gate"), r#"["Q99"]"#, 400, "an object"),
        (format!("/api/flights/{gone}/cancel"), "[]", 400, "an object"),
        ("/api/replay".into(), "[true]", 400, "an object"),
        ("/api/replay".into(), r#"{"speed":0}"#, 400, "3600"),
    ];
    for (path, body, status, word) in expected {
        let answer = deck.post(&path, body).await;
        assert_eq!(answer.status(), status, "{path}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(word), "{path}: {detail}");
    }
    assert_eq!(deck.get(&format!("/api/flights/{gone}/cancel")).await.status(), 405);
    deck.end().await;
}

#[tokio::test]
async fn the_replay_is_controlled_by_its_route() {
    let log = Log::new();
    let deck = Running::start(&log.options(anywhere())).await.unwrap();
    let answer = deck.post("/api/replay", r#"{"paused":true,"speed":10}"#).await;
    assert!(answer.header("feed-cursor").is_some());
    let status = deck.get("/api/replay").await.json();
    assert_eq!(status, answer.json());
    assert_eq!((&status["paused"], &status["speed"]), (&true.into(), &10.0.into()));
    assert_eq!(status["finished"], false);
    assert!(status["clock"].as_str().unwrap().starts_with("2013-01-0"));
    deck.end().await;
}

#[tokio::test]
async fn commands_of_other_sites_are_refused() {
    let log = Log::new();
    let deck = Running::start(&log.options(anywhere())).await.unwrap();
    let own = deck.address.to_string();
    let origin = format!("http://{own}");
    let pause = r#"{"paused":true}"#;
    let by_own_page = deck.post_from(&own, Some(&origin), "/api/replay", pause).await;
    assert_eq!(by_own_page.status(), 200, "{}", by_own_page.body);
    for (host, origin) in [(own.as_str(), "http://evil.test"), ("evil.test", "http://evil.test")] {
        let foreign = deck.post_from(host, Some(origin), "/api/replay", pause).await;
        assert_eq!(foreign.status(), 403, "{}", foreign.body);
    }
    deck.end().await;
}

#[tokio::test]
async fn the_page_is_served() {
    let log = Log::new();
    let deck = Running::start(&log.options(anywhere())).await.unwrap();
    let page = deck.get("/").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.body.contains("page.js"));
    let script = deck.get("/page.js").await;
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    let nothing = deck.get("/nothing").await;
    assert_eq!(nothing.status(), 404);
    assert!(nothing.body.contains("the page is at /"));
    deck.end().await;
}

#[tokio::test]
async fn fresh_creates_another_log() {
    let log = Log::new();
    let deck = Running::start(&log.options(anywhere())).await.unwrap();
    let before = next_events(&mut deck.follow(Subscribe::new()), 60).await;
    deck.end().await;

    let mut options = log.options(anywhere());
    options.fresh = true;
    let deck = Running::start(&options).await.unwrap();
    let after = next_events(&mut deck.follow(Subscribe::new()), 60).await;
    assert!(after.iter().all(|event| before.iter().all(|old| old.id() != event.id())));
    deck.end().await;
}

#[tokio::test]
async fn start_errors_say_what_to_do() {
    let log = Log::new();
    let deck = Running::start(&log.options(anywhere())).await.unwrap();
    let second = Log::new();
    let mut options = second.options(deck.address);
    options.fresh = true;
    let taken = Running::start(&options).await.err().expect("a taken port");
    assert!(taken.to_string().contains("another address"), "{taken}");
    assert!(!second.path().exists(), "a log was created for a program that does not start");
    deck.end().await;

    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let exposed = Running::start(&log.options(everywhere)).await.err().expect("too many readers");
    assert!(exposed.to_string().contains("--listen"), "{exposed}");

    std::fs::write(second.path(), "notes, not a log").unwrap();
    let refused = Running::start(&second.options(anywhere())).await.err().expect("no log");
    assert!(refused.to_string().contains("--db"), "{refused}");
    options.listen = anywhere();
    let kept = Running::start(&options).await.err().expect("no log");
    assert!(kept.to_string().contains("--db"), "{kept}");
    assert!(second.path().exists());
}
