use std::collections::HashSet;

use downlink::{Cursor, Event, Expected};

use super::TransportSetup;
use super::http::{self, Response};
use super::setup::TestServer;
use crate::sample::append;

/// One poll, parsed from its bytes.
#[derive(Debug)]
struct Poll {
    cursors: Vec<Cursor>,
    cursor: Cursor,
    more: bool,
}

/// **Law.** Nothing is lost or repeated between two polls, whatever is appended
/// in between and whatever the limit is. A poll that finds events is answered
/// at once.
pub async fn nothing_is_lost_between_two_polls(setup: &TransportSetup) {
    let served = setup.open(&[append("flight-UA1545", Expected::Any, 5)]).await;
    for limit in [1, 3, 1_000] {
        let (mut cursor, mut polled) = (Cursor::START, Vec::new());
        for appended in [0, 1, 4, 0, 40, 2] {
            if appended > 0 {
                served.delay(appended).await;
            }
            loop {
                let poll = poll(&served, cursor, limit, "1", "").await;
                assert!(
                    poll.cursor >= cursor,
                    "a poll after {cursor} goes back to {}",
                    poll.cursor
                );
                assert!(poll.cursors.len() <= limit, "a poll returned more events than its limit");
                polled.extend(poll.cursors);
                cursor = poll.cursor;
                if !poll.more {
                    break;
                }
            }
        }
        let log: Vec<_> = served.log().await.iter().map(Event::cursor).collect();
        let distinct: HashSet<_> = polled.iter().collect();
        assert!(distinct.len() == polled.len(), "an event came twice, in two polls");
        assert!(
            polled == log,
            "{} of {} events were lost between two polls, or came in another order",
            log.len().abs_diff(polled.len()),
            log.len()
        );
    }
}

/// **Law.** A poll that times out returns a page without events. The page keeps
/// the cursor, or moves it over events that did not match, and never over one
/// that did.
pub async fn an_empty_poll_keeps_or_moves_the_cursor(setup: &TransportSetup) {
    let served = setup.open(&[append("flight-UA1545", Expected::Any, 5)]).await;
    let head = || async { served.store.head().await.expect("a head") };
    let at = head().await;
    let idle = poll(&served, at, 10, "1", "").await;
    assert!(
        idle.cursors.is_empty() && idle.cursor == at && !idle.more,
        "a poll at the head of a log at rest is {idle:?}: it has to be empty and keep its cursor"
    );
    let sparse = "&type=FlightDeparted";
    let (sparse, ()) = tokio::join!(poll(&served, at, 10, "1", sparse), served.delay(3));
    assert!(sparse.cursors.is_empty(), "a poll returned events that do not match");
    assert!(
        (at..=head().await).contains(&sparse.cursor),
        "a poll that found nothing moved its cursor from {at} to {}",
        sparse.cursor
    );
    let all = poll(&served, at, 10, "1", "").await;
    assert_eq!(all.cursors.len(), 3, "events that another filter skipped have to be returned");
    let resumed = poll(&served, sparse.cursor, 10, "0", "&type=FlightDeparted").await;
    assert!(resumed.cursor >= sparse.cursor, "the cursor goes back");
    for wait in ["x", "-1", "", "1&wait=1"] {
        let response = ask(&served, at, 10, wait, "").await;
        assert!(response.status == 400, "wait={wait} was answered with {}", response.status);
    }
}

async fn poll(served: &TestServer, after: Cursor, limit: usize, wait: &str, more: &str) -> Poll {
    let response = ask(served, after, limit, wait, more).await;
    let body = String::from_utf8_lossy(&response.body);
    assert!(
        response.status == 200,
        "a poll after {after} has to be answered with a page, and was answered with {}: {body}",
        response.status
    );
    read(&body)
        .unwrap_or_else(|| panic!("a poll was answered with something that is not a page: {body}"))
}

async fn ask(served: &TestServer, after: Cursor, limit: usize, wait: &str, more: &str) -> Response {
    let target = format!("/feed?after={after}&limit={limit}&wait={wait}{more}");
    http::page(served.address, &target).await
}

/// Reads the members at the end of a page, and the cursors at the beginning of
/// its envelopes, as the wire contract specifies them.
fn read(body: &str) -> Option<Poll> {
    let (events, end) = body.strip_prefix("{\"events\":[")?.rsplit_once("],\"cursor\":\"")?;
    let cursor = end.get(..Cursor::TEXT_LEN)?.parse().ok()?;
    let more = end.contains(",\"more\":true}");
    let cursors = events.split("{\"cursor\":\"").skip(1);
    let cursors = cursors.map(|rest| rest.get(..Cursor::TEXT_LEN)?.parse().ok());
    Some(Poll { cursors: cursors.collect::<Option<_>>()?, cursor, more })
}
