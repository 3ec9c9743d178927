//! Tests of the store with a server of their own, which starts with the first test
//! and ends with the program. All are ignored by default, as they need PostgreSQL.

mod book;
mod commit_cut;
mod fixture;
mod jobs;
mod laws;
#[path = "../../../../conformance-tests/tests/fixtures/live_feed.rs"]
mod live_feed;
mod models;
mod own_transactions;
mod pair;
mod pooler;
mod proxy;
mod queries;
mod replica;
mod restored;
mod server;
mod tls;
