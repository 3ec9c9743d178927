//! One SQLite file through sqlx, with the local bus.

#[path = "fixtures/local.rs"]
mod local;
#[path = "fixtures/sqlite.rs"]
mod sqlite_fixture;
#[path = "fixtures/sqlite_rows.rs"]
mod sqlite_rows;
#[path = "fixtures/sqlx.rs"]
mod sqlx_fixture;
#[path = "fixtures/sqlx_rows.rs"]
mod sqlx_rows;

use local::Local;
use sqlx_fixture::Sqlx;

mod store {
    use super::*;
    downlink_conformance_tests::event_store!(Sqlx);
}

mod durable {
    use super::*;
    downlink_conformance_tests::durable_store!(Sqlx);
}

mod replaceable {
    use super::*;
    downlink_conformance_tests::replaceable_store!(Sqlx);
}

mod replaceable_subscription {
    use super::*;
    downlink_conformance_tests::replaceable_subscription!(Sqlx);
}

mod snapshots {
    use super::*;
    downlink_conformance_tests::snapshot_store!(Sqlx);
}

mod bounded {
    use super::*;
    downlink_conformance_tests::bounded_store!(Sqlx);
}

mod grouping {
    use super::*;
    downlink_conformance_tests::group_commit_store!(Sqlx);
}

mod transacting {
    use super::*;
    downlink_conformance_tests::transactional_store!(Sqlx);
}

mod telling {
    use super::*;
    downlink_conformance_tests::notifying_store!(Sqlx);
    downlink_conformance_tests::notifying_group_commit_store!(Sqlx);
}

mod subscription {
    use super::*;
    downlink_conformance_tests::subscription!(Sqlx, Local);
}
