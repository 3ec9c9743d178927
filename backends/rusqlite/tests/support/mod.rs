//! What the tests share.
#![allow(dead_code, unused_imports, reason = "each test uses its part")]

/// Whose store is tested.
pub(crate) mod driver {
    pub(crate) use downlink_rusqlite::{
        BusOptions, Options, Problem, RusqliteBus as Bus, RusqliteStore as Store, open, verify,
    };
}

#[path = "../../../sqlite-schema/tests/driver/support.rs"]
mod shared;
mod tally;

pub(crate) use shared::*;
pub(crate) use tally::*;
