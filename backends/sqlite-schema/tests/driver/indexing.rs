//! The index of types and tags, which is updated behind the log.

use std::time::Duration;

use downlink::store::{Page, ReadLog};
use downlink::{
    Append, Check, ErrorKind, Event, EventStore, Expected, Filter, FilterItem, NewEvent, Read,
};
use tokio::time::{sleep, timeout};

use crate::support::driver::{Options, Problem, Store};
use crate::support::{TempLog, event, stored};

fn tagged(name: &str, tags: &[String]) -> NewEvent {
    tags.iter().fold(event(name), |event, tag| event.with_tag(tag.as_str()).unwrap())
}

/// Fills a log with 3,000 events: one in a hundred is tagged `rare`, one in seven
/// `often`.
async fn log(store: &Store) {
    for group in 0..30 {
        let events = (0..100).map(|at| {
            let number = group * 100 + at;
            let mut tags = vec![format!("flight:{number}")];
            tags.extend((number % 100 == 42).then(|| "rare".into()));
            tags.extend((number % 7 == 0).then(|| "often".into()));
            tagged(if number % 3 == 0 { "FlightDeparted" } else { "FlightLanded" }, &tags)
        });
        let append = Append::to(format!("day-{group}"), Expected::Any, events.collect::<Vec<_>>());
        store.append(append.unwrap()).await.unwrap();
    }
}

fn tag(name: &str) -> FilterItem {
    FilterItem::new().with_tag(name).unwrap()
}

fn number(temp: &TempLog, sql: &str) -> i64 {
    temp.sql().query_row(sql, (), |row| row.get(0)).unwrap()
}

const INDEXED: &str = "SELECT position FROM downlink_indexed";

/// Waits until the index has reached this position, without any call.
async fn indexed(temp: &TempLog, at_least: i64) {
    let reached = async {
        while number(temp, INDEXED) < at_least {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(30), reached).await.expect("the index is brought up to date");
}

async fn read(store: &Store, read: ReadLog) -> Vec<Event> {
    let mut events = Vec::new();
    let mut read = read;
    loop {
        let Page { events: found, scanned, more, .. } = store.read_log(read.clone()).await.unwrap();
        events.extend(found);
        if !more {
            return events;
        }
        read = read.with_after(scanned);
    }
}

/// Checks that every filter returns the same as without an index, in both
/// directions and in pages of any size.
async fn answers_are_right(store: &Store) {
    let everything = read(store, Read::log().with_limit(10_000)).await;
    let filters = [
        Filter::from(tag("rare")),
        Filter::from(tag("often").with_tag("rare").unwrap()),
        Filter::from(tag("flight:77")),
        Filter::from(tag("unused")),
        Filter::from(tag("rare").with_type("FlightLanded").unwrap()),
        Filter::from(FilterItem::new().with_type("FlightDeparted").unwrap()),
        Filter::from(FilterItem::new().with_type_prefix("FlightL").unwrap()),
        Filter::any_of([tag("rare"), tag("flight:7"), tag("flight:2999")]).unwrap(),
        Filter::any_of([tag("often"), FilterItem::new().with_stream("day-3").unwrap()]).unwrap(),
        Filter::from(tag("often")).and(&Filter::from(tag("rare"))).unwrap(),
        Filter::from(tag("rare").without_type("FlightLanded").unwrap()),
    ];
    for filter in filters {
        let mut expected: Vec<_> =
            everything.iter().filter(|event| filter.matches_event(event)).cloned().collect();
        // Small pages of many events would take too long.
        let limits = if expected.len() < 100 { [1, 7, 10_000] } else { [150, 600, 10_000] };
        for limit in limits {
            let forward = Read::log().with_filter(filter.clone()).with_limit(limit);
            assert_eq!(read(store, forward).await, expected, "{filter:?}, pages of {limit}");
        }
        let from = everything[1_234].cursor();
        let later: Vec<_> =
            expected.iter().filter(|event| event.position() > from.position()).cloned().collect();
        let resumed = Read::log().with_filter(filter.clone()).with_after(from);
        assert_eq!(read(store, resumed).await, later, "{filter:?}");
        expected.reverse();
        for limit in limits {
            let backward = Read::log().with_filter(filter.clone()).backward().with_limit(limit);
            assert_eq!(read(store, backward).await, expected, "{filter:?}, pages of {limit}");
        }
    }
}

#[tokio::test]
async fn what_is_looked_up_is_what_a_scan_finds() {
    let temp = TempLog::new();
    let store = Options::new().with_index_lag(100).open(&temp.path).await.unwrap();
    log(&store).await;
    indexed(&temp, 2_900).await;
    assert!(store.index_lag().await.unwrap() <= 100);
    answers_are_right(&store).await;
    assert!(store.verify().await.unwrap().is_sound());
    // Half of the log has no index, as after a migration.
    let half = "DELETE FROM downlink_postings; UPDATE downlink_indexed SET position = 0";
    store.close().await;
    temp.sql().execute_batch(half).unwrap();
    let store = Options::new().with_index_lag(10_000).open(&temp.path).await.unwrap();
    answers_are_right(&store).await;
    assert_eq!(store.index_lag().await.unwrap(), 3_000);
    store.close().await;
    assert_eq!(number(&temp, INDEXED), 0, "fewer events than the lag are not indexed");
    let store = Options::new().with_index_lag(1).open(&temp.path).await.unwrap();
    indexed(&temp, 3_000).await;
    answers_are_right(&store).await;
    stored(&store, "day-30", 1).await;
    indexed(&temp, 3_001).await;
    assert!(store.verify().await.unwrap().is_sound());
    assert_eq!(number(&temp, "SELECT count(*) FROM downlink_tags WHERE name = 'rare'"), 1);
}

#[tokio::test]
async fn a_boundary_with_a_tag_sees_indexed_and_other_events() {
    let temp = TempLog::new();
    let store = Options::new().with_index_lag(1_000).open(&temp.path).await.unwrap();
    log(&store).await;
    indexed(&temp, 2_000).await;
    let last_rare = read(&store, Read::log().with_filter(tag("rare").into())).await.pop().unwrap();
    let after = |cursor| Check::NothingAfter(tag("rare").into(), cursor);
    let append = |check| {
        let append = Append::to("seats", Expected::Any, [tagged("SeatSold", &["rare".into()])]);
        append.unwrap().with_check(check)
    };
    let before = read(&store, Read::log().with_limit(50)).await[40].cursor();
    let error = store.append(append(after(before))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    store.append(append(after(last_rare.cursor()))).await.unwrap();
    // The event just appended is not indexed yet.
    let error = store.append(append(after(last_rare.cursor()))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn an_index_that_disagrees_with_the_log_is_found() {
    for damage in [
        // The mark moved before the postings were stored.
        "UPDATE downlink_indexed SET position = position + 50",
        "UPDATE downlink_indexed SET position = position - 50",
        "DELETE FROM downlink_postings WHERE kind = 1 AND key = 1",
        "DELETE FROM downlink_tags WHERE name = 'rare'",
        "UPDATE downlink_postings SET positions = x'0001' WHERE kind = 2 AND key = 3",
        "UPDATE downlink_postings SET positions = x'000100' WHERE kind = 2 AND key = 3",
    ] {
        let temp = TempLog::new();
        let store = Options::new().with_index_lag(1_000).open(&temp.path).await.unwrap();
        log(&store).await;
        indexed(&temp, 2_000).await;
        store.close().await;
        temp.sql().execute_batch(damage).unwrap();
        let report = crate::support::driver::verify(&temp.path).await.unwrap();
        assert!(
            matches!(report.problems[..], [Problem::Postings { segment: 0 }, ..]),
            "{damage}: {report}"
        );
    }
}

/// Each of several processes may update the index.
#[tokio::test]
async fn two_stores_index_one_file() {
    let temp = TempLog::new();
    let options = Options::new().with_index_lag(16);
    let one = options.clone().open(&temp.path).await.unwrap();
    let other = options.open(&temp.path).await.unwrap();
    for round in 0..40 {
        let both = [(&one, "one"), (&other, "other")].map(|(store, name)| {
            let events: Vec<_> =
                (0..9).map(|_| tagged("Seen", &[name.into(), format!("round:{round}")])).collect();
            store.append(Append::to(name, Expected::Any, events).unwrap())
        });
        futures::future::try_join_all(both).await.unwrap();
    }
    indexed(&temp, 700).await;
    assert_eq!(read(&one, Read::log().with_filter(tag("other").into())).await.len(), 360);
    assert_eq!(read(&other, Read::log().with_filter(tag("round:7").into())).await.len(), 18);
    assert!(one.verify().await.unwrap().is_sound());
}
