//! Live queries on every store through every transport.
//!
//! `cargo test --test live rusqlite::sse` runs one combination.

#[path = "fixtures/live_feed.rs"]
mod live_feed;
#[path = "fixtures/memory_projections.rs"]
mod memory_fixture;
#[path = "fixtures/rusqlite_projections.rs"]
mod rusqlite_fixture;
#[path = "fixtures/sqlx_projections.rs"]
mod sqlx_fixture;

use downlink_transports::client::TransportKind;
use live_feed::LiveFeed;
use memory_fixture::MemoryModels;
use rusqlite_fixture::RusqliteModels;
use sqlx_fixture::SqlxModels;

downlink_conformance_tests::live_matrix! {
    stores { memory: MemoryModels, rusqlite: RusqliteModels, sqlx: SqlxModels }
    transports {
        sse: LiveFeed(TransportKind::Sse),
        websocket: LiveFeed(TransportKind::WebSocket),
        long_poll: LiveFeed(TransportKind::LongPoll),
    }
}
