//! `GET /streams/{stream}`.

use downlink::{FilterItem, Hub};
use downlink_transports::feed::{Feed, Refusal, Rights};
use http::request::Parts;
use serde_json::Value;

use crate::support::{App, hub, put};

async fn with_stream(count: usize) -> Hub {
    let hub = hub().await;
    for n in 0..count {
        put(&hub, "flight-1", if n % 2 == 0 { "Even" } else { "Odd" }).await;
    }
    hub
}

fn versions(page: &Value) -> Vec<u64> {
    let events = page["events"].as_array().unwrap();
    events.iter().map(|event| event["version"].as_u64().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_page_of_a_stream_follows_the_wire_contract() {
    let hub = with_stream(3).await;
    let other = put(&hub, "flight-2", "T").await;
    let answer = App::new(&hub).get("/streams/flight-1").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with(br#"{"stream":"flight-1","version":3,"events":[{"cursor":"#));
    let end = format!(r#"],"cursor":"{other}","more":false}}"#);
    assert!(answer.body.ends_with(end.as_bytes()), "{answer:?}");
    assert_eq!(answer.header("feed-cursor"), other.to_string());
}

#[tokio::test(start_paused = true)]
async fn a_page_of_a_stream_begins_at_a_version_in_either_direction() {
    let hub = with_stream(5).await;
    let app = App::new(&hub);
    let max = u64::MAX / 2;
    for (query, expected, more, has_cursor) in [
        (String::new(), vec![1, 2, 3, 4, 5], false, true),
        ("from_version=1".into(), vec![1, 2, 3, 4, 5], false, true),
        ("from_version=4".into(), vec![4, 5], false, true),
        ("limit=2".into(), vec![1, 2], true, false),
        ("limit=2&from_version=4".into(), vec![4, 5], false, true),
        ("limit=5".into(), vec![1, 2, 3, 4, 5], false, true),
        ("from_version=6".into(), vec![], false, true),
        (format!("from_version={max}"), vec![], false, true),
        ("from_version=9223372036854775808".into(), vec![], false, true),
        ("from_version=99999999999999999999".into(), vec![], false, true),
        ("direction=forward&limit=1".into(), vec![1], true, false),
        ("direction=backward".into(), vec![5, 4, 3, 2, 1], false, false),
        ("direction=backward&limit=2".into(), vec![5, 4], true, false),
        ("direction=backward&from_version=2".into(), vec![2, 1], false, false),
        (format!("direction=backward&from_version={max}"), vec![5, 4, 3, 2, 1], false, false),
    ] {
        let answer = app.get(&format!("/streams/flight-1?{query}")).await;
        let page = answer.json();
        assert_eq!(versions(&page), expected, "{query}");
        assert_eq!(page["more"], more, "{query}");
        assert_eq!(page.get("cursor").is_some(), has_cursor, "{query}");
        assert_eq!(answer.headers.contains_key("feed-cursor"), has_cursor, "{query}");
        assert_eq!(page["version"], 5);
    }
}

#[tokio::test(start_paused = true)]
async fn bad_requests_are_problems() {
    let hub = with_stream(1).await;
    let app = App::new(&hub);
    for query in ["from_version=0", "from_version=x", "limit=0", "direction=up", "direction="] {
        let problem =
            app.get(&format!("/streams/flight-1?{query}")).await.problem(400, "bad-parameter");
        assert_eq!(problem["parameter"], query.split('=').next().unwrap());
    }
    app.get("/streams/flight-1?after=start").await.problem(400, "unknown-parameter");
    app.get("/streams/nobody").await.problem(404, "stream-not-found");
    app.get("/streams/nobody?from_version=9").await.problem(404, "stream-not-found");
    for name in ["a%0Ab", "%00", "%ff", "..%20".trim_end_matches("%20"), &"x".repeat(256)] {
        app.get(&format!("/streams/{name}")).await.problem(400, "bad-stream");
    }
    app.get("/streams/").await.problem(404, "not-found");
    app.get("/streams/a/b").await.problem(404, "not-found");
}

#[tokio::test(start_paused = true)]
async fn stream_names_are_percent_decoded() {
    let hub = hub().await;
    for (name, path) in [
        ("flight/UA 1545", "flight%2FUA%201545"),
        ("a+b", "a+b"),
        ("é😀%", "%C3%A9%F0%9F%98%80%25"),
        ("a&b=c?d#e", "a%26b=c%3Fd%23e"),
    ] {
        put(&hub, name, "T").await;
        let nested = App::new(&hub).nested("/api/v1/{tenant}");
        for (app, prefix) in [(App::new(&hub), ""), (nested, "/api/v1/acme")] {
            let page = app.get(&format!("{prefix}/streams/{path}")).await.json();
            assert_eq!(page["stream"], name);
        }
    }
}

async fn one_type(parts: &Parts) -> Result<Rights, Refusal> {
    let wanted = parts.headers["authorization"].to_str().unwrap().to_owned();
    let item = FilterItem::new().with_type(wanted).map_err(|_| Refusal::forbidden("no type"))?;
    Ok(Rights::to(item.into()))
}

#[tokio::test(start_paused = true)]
async fn rights_hide_events_and_whole_streams() {
    let hub = with_stream(6).await;
    let app = App::of(Feed::new(&hub).with_authorizer(one_type));
    let get = |uri: &str, token: &'static str| {
        let request = crate::support::get(uri).header("authorization", token);
        app.ask(crate::support::empty(request))
    };
    let page = get("/streams/flight-1", "Odd").await.json();
    assert_eq!(versions(&page), [2, 4, 6]);
    let page = get("/streams/flight-1?limit=1&from_version=3", "Odd").await.json();
    assert_eq!((versions(&page), &page["more"]), (vec![4], &true.into()));
    let page = get("/streams/flight-1?from_version=6", "Even").await.json();
    assert_eq!((versions(&page), &page["more"]), (vec![], &false.into()));
    get("/streams/flight-1", "Nothing").await.problem(404, "stream-not-found");
    get("/streams/flight-1?from_version=9", "Nothing").await.problem(404, "stream-not-found");
}

#[tokio::test(start_paused = true)]
async fn following_after_a_page_has_no_gap() {
    let hub = with_stream(3).await;
    let app = App::new(&hub);
    let cursor = app.get("/streams/flight-1").await.header("feed-cursor").to_owned();
    let next = put(&hub, "flight-1", "T").await;
    let page = app.get(&format!("/feed?after={cursor}&stream=flight-1")).await;
    assert_eq!(page.cursors(), [next.to_string()]);
}
