//! Tests of the store with a server of their own, which starts with the first test
//! and ends with the program. All are ignored by default, as they need PostgreSQL,
//! and some of them NATS.

mod added_tables;
mod book;
mod commit_cut;
mod filtered_pages;
mod fixture;
mod jobs;
mod laws;
mod leases;
#[path = "../../../../conformance-tests/tests/fixtures/live_feed.rs"]
mod live_feed;
#[path = "../../../../conformance-tests/tests/fixtures/long_poll.rs"]
mod long_poll_fixture;
mod matrix;
mod models;
mod nats;
#[path = "../../../nats/tests/nats/server.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod nats_server;
mod own_transactions;
mod pair;
mod pooler;
mod proxy;
mod queries;
mod races;
mod racing_store;
mod replica;
mod restored;
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod server;
mod snapshots;
#[path = "../../../../conformance-tests/tests/fixtures/sse.rs"]
mod sse_fixture;
mod stopped;
mod tls;
#[path = "../../../../conformance-tests/tests/fixtures/websocket.rs"]
mod websocket_fixture;
