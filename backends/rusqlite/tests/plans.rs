//! The query plans: no statement scans a table that it could search by a key, and none is planned again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use downlink::{EventStore, Filter, FilterItem, Read};
use downlink_rusqlite::Options;
use downlink_sqlite_schema::{Condition, sql};
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use rusqlite::{Connection, StatementStatus};
use support::{TempLog, stored};

/// The steps of the query plan.
fn plan(connection: &Connection, text: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
    let count = statement.parameter_count();
    let parameters = rusqlite::params_from_iter((0..count).map(|_| 1));
    statement.query_map(parameters, |row| row.get("detail")).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn nothing_but_a_page_scans_the_log() {
    let temp = TempLog::new();
    temp.open().await.close().await;
    let connection = temp.sql();
    for text in [
        sql::STREAM_KEY,
        sql::STREAM_NAME,
        sql::TYPE_KEY,
        sql::TYPE_NAME,
        sql::STREAM_HEAD,
        sql::EVENT_BY_ID,
        sql::EVENT_AT,
        sql::ID_AT,
        sql::JUMP_AT,
        sql::EVENTS_AFTER,
        sql::EVENTS_BEFORE,
        sql::NEWEST_UP_TO,
        sql::OLDEST_FROM,
        sql::WALK_BACK,
        sql::SEEK_VERSION,
        sql::SEEK_FIRST_AFTER,
        sql::SNAPSHOT,
    ] {
        let plan = plan(&connection, text);
        let is_scan = |step: &String| {
            step.starts_with("SCAN")
                && !["w", "s", "walk", "seek"].iter().any(|own| *step == format!("SCAN {own}"))
        };
        assert!(!plan.iter().any(is_scan), "{text}\n{plan:#?}");
    }
    // This reads only the last entry of the index, although the plan says SCAN.
    let plan = plan(&connection, sql::MAX_ID);
    assert_eq!(
        plan,
        ["SCAN downlink_events USING COVERING INDEX sqlite_autoindex_downlink_events_1"]
    );
}

#[tokio::test]
async fn a_filter_looks_up_its_names_and_reads_only_the_window() {
    let temp = TempLog::new();
    temp.open().await.close().await;
    let connection = temp.sql();
    let item = FilterItem::new()
        .with_stream("a")
        .and_then(|item| item.with_stream_prefix("flight-"))
        .and_then(|item| item.with_type("Departed"))
        .and_then(|item| item.with_type_prefix("Flight"))
        .and_then(|item| item.without_type("Landed"))
        .and_then(|item| item.with_tag("x"))
        .unwrap();
    let condition = Condition::of(&Filter::from(item)).unwrap();
    for newest_first in [false, true] {
        let plan = plan(&connection, &sql::events_between(&condition.text, newest_first));
        assert!(
            plan[0].contains("SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
            "{plan:#?}"
        );
        assert!(
            !plan.iter().any(|step| step.starts_with("SCAN") || step.contains("TEMP B-TREE")),
            "{plan:#?}"
        );
    }
}

/// How often each statement was planned again.
static PLANNED_AGAIN: Mutex<BTreeMap<String, i32>> = Mutex::new(BTreeMap::new());

fn record(event: TraceEvent<'_>) {
    if let TraceEvent::Profile(statement, _) = event {
        let times = statement.get_status(StatementStatus::RePrepare);
        let mut planned = PLANNED_AGAIN.lock().unwrap();
        let most = planned.entry(statement.sql().into_owned()).or_default();
        *most = times.max(*most);
    }
}

/// SQLite does so for each new value of a parameter that its planner looks at, such as a whole `LIMIT`.
#[tokio::test]
async fn no_statement_is_planned_again_for_other_values() {
    let temp = TempLog::new();
    let trace = |connection: &Connection| {
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(record));
        Ok(())
    };
    let options = Options::new().with_on_connect(Arc::new(trace));
    let store = options.open(&temp.path).await.unwrap();
    let item = FilterItem::new().with_type("FlightDeparted").and_then(|item| item.with_tag("a"));
    let filters = [Filter::everything(), Filter::from(item.unwrap())];
    for round in 1..20 {
        let (after, stream) = (stored(&store, "a", round).await.cursor, format!("b{}", round % 3));
        stored(&store, &stream, 1).await;
        for filter in &filters {
            let log = Read::log().with_limit(round).with_filter(filter.clone());
            store.read_log(log.clone().with_after(after)).await.unwrap();
            store.read_log(log.backward()).await.unwrap();
            let read = Read::stream("a".try_into().unwrap()).with_limit(round);
            store.read_stream(read.clone().with_filter(filter.clone())).await.unwrap();
            store.read_stream(read.backward()).await.unwrap();
        }
    }
    store.close().await;
    let mut planned = PLANNED_AGAIN.lock().unwrap();
    assert!(planned.contains_key(sql::EVENTS_AFTER) && planned.contains_key(sql::EVENTS_BEFORE));
    // Once for a schema that the connection had not read yet.
    planned.retain(|_, times| *times > 1);
    assert_eq!(*planned, BTreeMap::new());
}
