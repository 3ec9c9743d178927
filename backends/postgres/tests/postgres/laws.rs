use downlink_conformance_tests::cross_process::Respawn;
use downlink_conformance_tests::projection::DurableProjectionSetup;
use downlink_transports::client::TransportKind;

use crate::fixture::{Local, Notify, Postgres};
use crate::live_feed::LiveFeed;
use crate::models::Models;
use crate::pair::Pair;
use crate::restored::Restorable;

mod store {
    use super::*;
    downlink_conformance_tests::event_store!(
        Postgres,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod pair {
    use super::*;
    downlink_conformance_tests::event_store!(Pair, ignore = "needs PostgreSQL: ./check postgres");
}

mod durable {
    use super::*;
    downlink_conformance_tests::durable_store!(
        Postgres,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod replaceable {
    use super::*;
    downlink_conformance_tests::replaceable_store!(
        Restorable,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod importing {
    use super::*;
    downlink_conformance_tests::importing_store!(
        Postgres,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod bounded {
    use super::*;
    downlink_conformance_tests::bounded_store!(
        Postgres,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod grouping {
    use super::*;
    downlink_conformance_tests::group_commit_store!(
        Postgres,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod transactional {
    use super::*;
    downlink_conformance_tests::transactional_store!(
        Models,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod notifying {
    use super::*;
    downlink_conformance_tests::notifying_store!(
        Postgres,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod projection_store {
    use super::*;
    downlink_conformance_tests::projection_store!(
        Models,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod durable_projection {
    use super::*;
    downlink_conformance_tests::durable_projection!(
        Models,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

#[test]
#[ignore = "needs PostgreSQL: ./check postgres"]
fn takeovers_are_measured() {
    let path = concat!(module_path!(), "::takeovers_are_measured");
    let setup = DurableProjectionSetup::new(Models, Respawn::of_test(path));
    if !setup.runs_as_child() {
        setup.measure_takeovers();
    }
}

mod projection {
    use super::*;
    downlink_conformance_tests::projection!(Models, ignore = "needs PostgreSQL: ./check postgres");
}

mod subscription {
    use super::*;
    downlink_conformance_tests::subscription!(
        Postgres,
        Local,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod replaceable_subscription {
    use super::*;
    downlink_conformance_tests::replaceable_subscription!(
        Restorable,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod notify_bus {
    use super::*;
    downlink_conformance_tests::bus!(
        Postgres,
        Notify,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod notify_subscription {
    use super::*;
    downlink_conformance_tests::subscription!(
        Postgres,
        Notify,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod snapshots {
    use super::*;
    downlink_conformance_tests::snapshot_store!(
        Postgres,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

mod cross_process {
    use super::*;
    downlink_conformance_tests::cross_process!(
        Postgres,
        ignore = "needs PostgreSQL: ./check postgres"
    );
}

downlink_conformance_tests::live_matrix! {
    stores { live: Models }
    transports {
        sse: LiveFeed(TransportKind::Sse),
        websocket: LiveFeed(TransportKind::WebSocket),
        long_poll: LiveFeed(TransportKind::LongPoll),
    }
    ignore = "needs PostgreSQL: ./check postgres"
}
