//! Every store with every bus through every transport.
//!
//! `cargo test rusqlite::local::sse` runs one combination.

#[path = "fixtures/local.rs"]
mod local_fixture;
#[path = "fixtures/long_poll.rs"]
mod long_poll_fixture;
#[path = "fixtures/memory.rs"]
mod memory_fixture;
#[path = "fixtures/rusqlite.rs"]
mod rusqlite_fixture;
#[path = "fixtures/sqlite_bus.rs"]
mod sqlite_bus_fixture;
#[path = "fixtures/sqlite.rs"]
mod sqlite_fixture;
#[path = "fixtures/sqlx.rs"]
mod sqlx_fixture;
#[path = "fixtures/sse.rs"]
mod sse_fixture;
#[path = "fixtures/websocket.rs"]
mod websocket_fixture;

use local_fixture::Local;
use long_poll_fixture::Polls;
use memory_fixture::Memory;
use rusqlite_fixture::Rusqlite;
use sqlite_bus_fixture::{RusqliteBuses, SqlxBuses};
use sqlx_fixture::Sqlx;
use sse_fixture::ServerSentEvents;
use websocket_fixture::WebSocketFixture;

downlink_conformance_tests::matrix! {
    stores { memory: Memory, rusqlite: Rusqlite, sqlx: Sqlx }
    buses { local: Local, rusqlite_bus: RusqliteBuses, sqlx_bus: SqlxBuses }
    transports { sse: ServerSentEvents, websocket: WebSocketFixture, long_poll: Polls }
}
