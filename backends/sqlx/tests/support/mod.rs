//! Helpers that the tests share.
#![allow(dead_code, unused_imports, reason = "each test uses a part")]

/// The driver under test.
pub(crate) mod driver {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt;

    pub(crate) use downlink_sqlx::{
        BusOptions, OnConnect, Options, Problem, SqlxBus as Bus, SqlxStore as Store, Tx, open,
        verify,
    };

    /// Of the ways to damage a link, every fourth is tried: the statements that follow links are
    /// those of the other driver, where all are tried in less time.
    pub(crate) const DAMAGES_EACH: usize = 4;

    /// Runs a statement on each new connection, and counts the connections.
    pub(crate) fn on_connect(sql: &'static str, count: Arc<AtomicUsize>) -> OnConnect {
        Arc::new(move |connection| {
            count.fetch_add(1, Ordering::Relaxed);
            async move { sqlx::raw_sql(sql).execute(connection).await.map(drop) }.boxed()
        })
    }
}

#[path = "../../../sqlite-schema/tests/driver/support.rs"]
mod shared;
mod tally;

pub(crate) use shared::*;
pub(crate) use tally::*;
