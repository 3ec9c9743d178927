//! The read models over PostgreSQL, compared with those in a file.

#[path = "../../../backends/postgres/tests/postgres/server.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod server;

#[expect(dead_code, reason = "shared with tests that need more of it")]
mod running;

use downlink::{Append, Event, EventStore, Expected, Subscribe};
use running::{Answer, Log, Running, anywhere, next_event, next_events};
use server::Server;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn rows_are_those_of_a_file_with_the_same_events() {
    let (in_server, in_file) = (Log::new(), Log::new());
    let mut options = in_server.options(anywhere());
    options.log.store = Server::get().url();
    let deck = Running::start(&options).await.unwrap();

    // Flights have departed and landed by then.
    next_events(&mut deck.follow(Subscribe::new()), 800).await;
    deck.end().await;

    (options.no_replay, options.speed) = (true, None);
    let deck = Running::start(&options).await.unwrap();
    let head = deck.ask_live("board").await.json()["head"].as_str().unwrap().to_owned();
    let mut feed = deck.follow(Subscribe::new());
    let mut events = Vec::new();
    while events.last().is_none_or(|event: &Event| event.cursor().to_string() != head) {
        events.push(next_event(&mut feed).await);
    }

    let store = downlink_rusqlite::open(in_file.path()).await.unwrap();
    for event in &events {
        let append = Append::to(event.stream().clone(), Expected::Any, [event.content().clone()]);
        store.append(append.unwrap()).await.unwrap();
    }
    store.close().await;
    let mut options = in_file.options(anywhere());
    (options.no_replay, options.speed) = (true, None);
    let copy = Running::start(&options).await.unwrap();

    for query in ["board", "punctuality", "routes", "board?airport=JFK", "routes?airline=UA"] {
        let sign = if query.contains('?') { '&' } else { '?' };
        let ours = deck.ask_live(&format!("{query}{sign}at_least={head}&wait=20")).await;
        let theirs = copy.ask_live(query).await;
        assert_eq!((ours.status(), theirs.status()), (200, 200), "{} {}", ours.body, theirs.body);
        let rows = |answer: &Answer| answer.json()["rows"].as_array().unwrap().clone();
        let (ours, theirs) = (rows(&ours), rows(&theirs));
        assert!(!ours.is_empty(), "{query} has no rows");
        assert_eq!(ours.len(), theirs.len(), "{query}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{query}");
        }
    }
    copy.end().await;
    deck.end().await;
}
