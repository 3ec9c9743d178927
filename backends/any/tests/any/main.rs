//! Read models that are written once, over the drivers for files.

#[path = "../../../../conformance-tests/tests/fixtures/live_feed.rs"]
mod live_feed;
mod models;
mod values;

use downlink_transports::client::TransportKind;
use live_feed::LiveFeed;
use models::{ThroughRusqlite, ThroughSqlx};

mod rusqlite {
    use super::*;
    downlink_conformance_tests::projection_store!(ThroughRusqlite);
    downlink_conformance_tests::projection!(ThroughRusqlite);
    downlink_conformance_tests::snapshot_store!(ThroughRusqlite);
}

mod sqlx {
    use super::*;
    downlink_conformance_tests::projection_store!(ThroughSqlx);
    downlink_conformance_tests::projection!(ThroughSqlx);
    downlink_conformance_tests::snapshot_store!(ThroughSqlx);
}

downlink_conformance_tests::live_matrix! {
    stores { live_rusqlite: ThroughRusqlite, live_sqlx: ThroughSqlx }
    transports { sse: LiveFeed(TransportKind::Sse) }
}
