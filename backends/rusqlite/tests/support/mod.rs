//! Helpers that the tests share.
#![allow(dead_code, unused_imports, reason = "each test uses a part")]

/// The driver under test.
pub(crate) mod driver {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    pub(crate) use downlink_rusqlite::{
        BusOptions, OnConnect, Options, Problem, RusqliteBus as Bus, RusqliteStore as Store, Tx,
        open, verify,
    };

    /// Of the ways to damage a link, every one is tried.
    pub(crate) const DAMAGES_EACH: usize = 1;

    /// Runs a statement on each new connection, and counts the connections.
    pub(crate) fn on_connect(sql: &'static str, count: Arc<AtomicUsize>) -> OnConnect {
        Arc::new(move |connection| {
            count.fetch_add(1, Ordering::Relaxed);
            connection.execute_batch(sql)
        })
    }
}

#[path = "../../../sqlite-schema/tests/driver/support.rs"]
mod shared;
mod tally;

pub(crate) use shared::*;
pub(crate) use tally::*;
