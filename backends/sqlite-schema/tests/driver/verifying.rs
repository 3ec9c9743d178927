//! What `verify` finds in a damaged file.

use crate::support::driver::{Problem, verify};
use crate::support::{TempLog, stored};

/// The problems of a log that was changed without the store.
async fn damaged(sql: &str) -> Vec<Problem> {
    let temp = TempLog::new();
    let store = temp.open().await;
    for round in 0..9 {
        stored(&store, "flight-UA1545", 1).await;
        stored(&store, &format!("flight-{round}"), 1).await;
    }
    assert!(store.verify().await.unwrap().is_sound());
    store.close().await;
    temp.sql().execute_batch(sql).unwrap();
    let report = verify(&temp.path).await.unwrap();
    assert!(!report.is_sound(), "{sql}");
    assert!(report.to_string().starts_with("18 events in") || sql.contains("DELETE"), "{report}");
    report.problems
}

#[tokio::test]
async fn a_broken_link_is_found() {
    for column in ["prev", "jump"] {
        let problems =
            damaged(&format!("UPDATE downlink_events SET {column} = 2 WHERE position = 11")).await;
        assert!(matches!(problems[..], [Problem::Link { .. }]), "{problems:?}");
    }
}

#[tokio::test]
async fn a_wrong_version_is_found() {
    let problems = damaged("UPDATE downlink_events SET version = 5 WHERE position = 11").await;
    assert!(matches!(problems[..], [Problem::Version { .. }]), "{problems:?}");
}

#[tokio::test]
async fn an_event_of_another_stream_is_found() {
    let problems = damaged("UPDATE downlink_events SET stream = 1 WHERE position = 4").await;
    assert!(
        problems.iter().any(|problem| matches!(problem, Problem::Version { .. })),
        "{problems:?}"
    );
    let problems = damaged("UPDATE downlink_events SET stream = 999 WHERE position = 4").await;
    assert!(problems.iter().any(|problem| matches!(problem, Problem::Row { .. })), "{problems:?}");
}

#[tokio::test]
async fn a_wrong_head_of_a_stream_is_found() {
    for sql in [
        "UPDATE downlink_stream_heads SET version = 4 WHERE stream = 1",
        "UPDATE downlink_stream_heads SET position = 4 WHERE stream = 1",
        "DELETE FROM downlink_stream_heads WHERE stream = 1",
        "INSERT INTO downlink_stream_heads VALUES (999, 1, 1)",
    ] {
        let problems = damaged(sql).await;
        assert!(matches!(problems[..], [Problem::StreamHead { .. }]), "{problems:?}");
    }
}

#[tokio::test]
async fn a_wrong_head_of_the_log_is_found() {
    for sql in [
        "UPDATE downlink_head SET position = 17",
        "UPDATE downlink_head SET recorded_at = 1",
        "UPDATE downlink_head SET id = (SELECT id FROM downlink_events WHERE position = 3)",
    ] {
        let problems = damaged(sql).await;
        assert!(matches!(problems[..], [Problem::Head { .. }]), "{problems:?}");
    }
}

#[tokio::test]
async fn a_lost_event_is_found() {
    assert!(!damaged("DELETE FROM downlink_events WHERE position = 7").await.is_empty());
    assert!(!damaged("DELETE FROM downlink_events WHERE position = 18").await.is_empty());
}

#[tokio::test]
async fn a_time_that_runs_backwards_is_found() {
    let problems = damaged("UPDATE downlink_events SET recorded_at = 1 WHERE position = 9").await;
    assert!(matches!(problems[..], [Problem::Time { .. }]), "{problems:?}");
}

#[tokio::test]
async fn a_row_that_is_not_a_valid_event_is_found() {
    for sql in [
        "UPDATE downlink_events SET tags = x'05' WHERE position = 9",
        "UPDATE downlink_events SET id = x'00' WHERE position = 9",
        "UPDATE downlink_events SET type = 77 WHERE position = 9",
        "UPDATE downlink_events SET content_type = '' WHERE position = 9",
    ] {
        let problems = damaged(sql).await;
        assert!(matches!(problems[0], Problem::Row { .. }), "{problems:?}");
    }
}

#[tokio::test]
async fn an_index_that_disagrees_is_found() {
    let problems = damaged(
        "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(sql, 'id BLOB NOT NULL UNIQUE', 'id BLOB NOT NULL') WHERE name = 'downlink_events';
         DELETE FROM sqlite_schema WHERE name = 'sqlite_autoindex_downlink_events_1';",
    )
    .await;
    assert!(!problems.is_empty());
}
