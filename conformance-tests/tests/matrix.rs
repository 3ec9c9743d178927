//! Every store with every bus through every carrier.
//!
//! `cargo test rusqlite::local::sse` runs one of them.

#[path = "fixtures/local.rs"]
mod local_fixture;
#[path = "fixtures/memory.rs"]
mod memory_fixture;
#[path = "fixtures/rusqlite.rs"]
mod rusqlite_fixture;
#[path = "fixtures/sse.rs"]
mod sse_fixture;

use local_fixture::Local;
use memory_fixture::Memory;
use rusqlite_fixture::Rusqlite;
use sse_fixture::ServerSentEvents;

downlink_conformance_tests::matrix! {
    stores { memory: Memory, rusqlite: Rusqlite }
    buses { local: Local }
    carriers { sse: ServerSentEvents }
}
