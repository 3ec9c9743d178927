//! The buses over a SQLite file.

#[path = "fixtures/memory.rs"]
mod memory;
#[path = "fixtures/rusqlite.rs"]
#[allow(dead_code, reason = "the stores have their own tests")]
mod rusqlite_fixture;
#[path = "fixtures/sqlite_bus.rs"]
mod sqlite_bus;
#[path = "fixtures/sqlite.rs"]
#[allow(dead_code, reason = "the stores have their own tests")]
mod sqlite_fixture;
#[path = "fixtures/sqlx.rs"]
#[allow(dead_code, reason = "the stores have their own tests")]
mod sqlx_fixture;

use memory::Memory;
use rusqlite_fixture::Rusqlite;
use sqlite_bus::{RusqliteBuses, SqlxBuses};
use sqlx_fixture::Sqlx;

mod rusqlite_bus {
    use super::*;
    downlink_conformance_tests::bus!(Rusqlite, RusqliteBuses);
}

mod rusqlite_subscription {
    use super::*;
    downlink_conformance_tests::subscription!(Rusqlite, RusqliteBuses);
}

mod sqlx_bus {
    use super::*;
    downlink_conformance_tests::bus!(Sqlx, SqlxBuses);
}

mod sqlx_subscription {
    use super::*;
    downlink_conformance_tests::subscription!(Sqlx, SqlxBuses);
}

/// Each bus polls a file that the other driver's store writes.
mod rusqlite_bus_over_sqlx {
    use super::*;
    downlink_conformance_tests::bus!(Sqlx, RusqliteBuses);
}

mod sqlx_bus_over_rusqlite {
    use super::*;
    downlink_conformance_tests::bus!(Rusqlite, SqlxBuses);
}

/// Without a file it is a bus within one process.
mod rusqlite_bus_without_file {
    use super::*;
    downlink_conformance_tests::bus!(Memory, RusqliteBuses);
}

mod sqlx_bus_without_file {
    use super::*;
    downlink_conformance_tests::bus!(Memory, SqlxBuses);
}
