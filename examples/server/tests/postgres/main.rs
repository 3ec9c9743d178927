//! Several servers of one log in PostgreSQL, tested from outside. All tests are ignored by default,
//! as they need PostgreSQL and NATS.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "panics are failures")]

mod appender;
mod cluster;
mod follower;
mod kills;
#[path = "../../../../backends/nats/tests/nats/server.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod nats_server;
#[path = "../process/mod.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod process;
#[path = "../../../../backends/postgres/tests/postgres/server.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod server;
#[path = "../../benches/support/mod.rs"]
mod support;
