//! PostgreSQL with every bus through every transport, and the laws of a log over NATS.

use crate::fixture::{Local, Notify, Postgres};
use crate::long_poll_fixture::Polls;
use crate::nats::{Nats, PostgresOverNats};
use crate::sse_fixture::ServerSentEvents;
use crate::websocket_fixture::WebSocketFixture;

downlink_conformance_tests::matrix! {
    stores { postgres: Postgres }
    buses { local: Local, notify: Notify, nats: Nats }
    transports { sse: ServerSentEvents, websocket: WebSocketFixture, long_poll: Polls }
    ignore = "needs PostgreSQL and NATS: ./check postgres"
}

downlink_conformance_tests::transports!(
    Postgres,
    [ServerSentEvents, WebSocketFixture, Polls],
    ignore = "needs PostgreSQL: ./check postgres"
);

mod nats_bus {
    use super::*;
    downlink_conformance_tests::bus!(
        Postgres,
        Nats,
        ignore = "needs PostgreSQL and NATS: ./check postgres"
    );
}

mod nats_subscription {
    use super::*;
    downlink_conformance_tests::subscription!(
        Postgres,
        Nats,
        ignore = "needs PostgreSQL and NATS: ./check postgres"
    );
}

mod cross_process {
    use super::*;
    downlink_conformance_tests::cross_process!(
        PostgresOverNats,
        ignore = "needs PostgreSQL and NATS: ./check postgres"
    );
}
