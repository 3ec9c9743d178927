//! What the tests share.
#![allow(dead_code, unused_imports, reason = "each test uses its part")]

/// Whose store is tested.
pub(crate) mod driver {
    pub(crate) use downlink_sqlx::{
        BusOptions, Options, Problem, SqlxBus as Bus, SqlxStore as Store, Tx, open, verify,
    };
}

#[path = "../../../sqlite-schema/tests/driver/support.rs"]
mod shared;

pub(crate) use shared::*;
