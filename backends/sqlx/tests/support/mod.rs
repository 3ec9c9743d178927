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
