//! One SQLite file through rusqlite, with the local bus.

#[path = "fixtures/local.rs"]
mod local;
#[path = "fixtures/rusqlite.rs"]
mod rusqlite_fixture;
#[path = "fixtures/rusqlite_rows.rs"]
mod rusqlite_rows;
#[path = "fixtures/sqlite.rs"]
mod sqlite_fixture;
#[path = "fixtures/sqlite_rows.rs"]
mod sqlite_rows;

use local::Local;
use rusqlite_fixture::Rusqlite;

mod store {
    use super::*;
    downlink_conformance_tests::event_store!(Rusqlite);
}

mod durable {
    use super::*;
    downlink_conformance_tests::durable_store!(Rusqlite);
}

mod replaceable {
    use super::*;
    downlink_conformance_tests::replaceable_store!(Rusqlite);
}

mod replaceable_subscription {
    use super::*;
    downlink_conformance_tests::replaceable_subscription!(Rusqlite);
}

mod snapshots {
    use super::*;
    downlink_conformance_tests::snapshot_store!(Rusqlite);
}

mod bounded {
    use super::*;
    downlink_conformance_tests::bounded_store!(Rusqlite);
}

mod grouping {
    use super::*;
    downlink_conformance_tests::group_commit_store!(Rusqlite);
}

mod transacting {
    use super::*;
    downlink_conformance_tests::transactional_store!(Rusqlite);
}

mod telling {
    use super::*;
    downlink_conformance_tests::notifying_store!(Rusqlite);
    downlink_conformance_tests::notifying_group_commit_store!(Rusqlite);
}

mod subscription {
    use super::*;
    downlink_conformance_tests::subscription!(Rusqlite, Local);
}
