//! The query plans of statements on many rows: none scans a table that it could
//! search by a key.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use downlink::{Filter, FilterItem};
use downlink_sqlite_schema::{Condition, batch_sql};
use rusqlite::Connection;
use support::TempLog;

/// The steps of the query plan.
fn plan(connection: &Connection, text: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
    let count = statement.parameter_count();
    let parameters = rusqlite::params_from_iter((0..count).map(|_| 1));
    statement.query_map(parameters, |row| row.get("detail")).unwrap().map(Result::unwrap).collect()
}

/// The steps that scan a whole table of the log.
fn scans(plan: &[String]) -> Vec<&String> {
    let tables = [
        "e",
        "downlink_events",
        "h",
        "downlink_stream_heads",
        "s",
        "downlink_streams",
        "t",
        "downlink_types",
    ];
    let is_scan = |step: &&String| {
        let table = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
        table.is_some_and(|table| tables.contains(&table))
    };
    plan.iter().filter(is_scan).collect()
}

#[tokio::test]
async fn nothing_but_a_page_scans_the_log() {
    let temp = TempLog::new();
    temp.open().await.close().await;
    let connection = temp.sql();
    for text in [
        batch_sql::STATE,
        batch_sql::STREAM_TAILS,
        batch_sql::STREAM_NAMES,
        batch_sql::TYPE_NAMES,
        batch_sql::TYPE_KEYS,
        batch_sql::ADD_STREAMS,
        batch_sql::EVENTS_WITH_IDS,
        batch_sql::EVENTS_AT,
        batch_sql::WALK_FROM,
    ] {
        let plan = plan(&connection, text);
        assert!(scans(&plan).is_empty(), "{text}\n{plan:#?}");
    }
    assert!(!scans(&plan(&connection, batch_sql::ALL_EVENTS)).is_empty());
}

#[tokio::test]
async fn blocks_are_found_by_position_and_returned_in_order() {
    let temp = TempLog::new();
    temp.open().await.close().await;
    let connection = temp.sql();
    let item = FilterItem::new()
        .with_stream("a")
        .and_then(|item| item.with_stream_prefix("flight-"))
        .and_then(|item| item.with_type("Departed"))
        .and_then(|item| item.with_tag("x"))
        .unwrap();
    let condition = Condition::of(&Filter::from(item)).unwrap();
    for condition in ["1", &condition.text] {
        for newest_first in [false, true] {
            let plan = plan(&connection, &batch_sql::event_blocks(condition, newest_first));
            let search = "SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)";
            assert!(plan.iter().any(|step| step == search), "{plan:#?}");
            assert!(scans(&plan).is_empty(), "{plan:#?}");
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:#?}");
        }
    }
}

/// The shape is read twice in each step of a projection.
#[tokio::test]
async fn reading_the_shape_takes_as_long_for_a_large_log_as_for_a_small_one() {
    let temp = TempLog::new();
    let store = temp.open().await;
    support::stored(&store, "flight-UA1545", 10).await;
    let connection = temp.sql();
    let steps = || {
        let mut shape = connection.prepare(batch_sql::LOG_SHAPE).unwrap();
        let _: String = shape.query_row((), |row| row.get(0)).unwrap();
        shape.get_status(rusqlite::StatementStatus::VmStep)
    };
    let letters = |from: u32, to: u32| {
        let add = "WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2) \
                   INSERT INTO downlink_dead_letters SELECT i % 3, i, x'', 'no', 0 FROM n";
        connection.execute(add, [from, to]).unwrap();
    };
    // Counting a whole table is one step, which reads all of its pages.
    let mut opcodes = connection.prepare(&format!("EXPLAIN {}", batch_sql::LOG_SHAPE)).unwrap();
    let opcodes = opcodes.query_map((), |row| row.get::<_, String>("opcode")).unwrap();
    assert!(opcodes.into_iter().all(|opcode| opcode.unwrap() != "Count"));
    letters(1, 10);
    let few = steps();
    letters(11, 5_000);
    support::stored(&store, "flight-UA1545", 990).await;
    assert_eq!(steps(), few);
}
