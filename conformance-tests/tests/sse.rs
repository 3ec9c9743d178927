//! Server-sent events, over the reference store and the local bus.

#[path = "fixtures/configured.rs"]
mod configured;
#[path = "fixtures/local.rs"]
mod local;
#[path = "fixtures/memory.rs"]
mod memory;
#[path = "fixtures/sse.rs"]
mod sse_fixture;
#[path = "fixtures/under_axum.rs"]
mod under_axum_fixture;

use configured::Configured;
use downlink_transports::Sse;
use local::Local;
use memory::Memory;
use sse_fixture::ServerSentEvents;
use under_axum_fixture::UnderAxum;

mod transport {
    use super::*;
    downlink_conformance_tests::transport!(Memory, Local, ServerSentEvents);
}

mod impatient {
    use super::*;
    downlink_conformance_tests::short_timeout_transport!(Memory, Configured(Sse));
}

mod guarded {
    use super::*;
    downlink_conformance_tests::authorizing_transport!(Memory, Configured(Sse));
}

mod reauthorized {
    use super::*;
    downlink_conformance_tests::reauthorizing_transport!(Memory, Configured(Sse));
}

mod bytes {
    use super::*;
    downlink_conformance_tests::sse_wire!(Memory, Local, ServerSentEvents);
}

mod replaceable {
    use super::*;
    downlink_conformance_tests::replaceable_transport!(Memory, ServerSentEvents);
}

mod under_axum {
    use super::*;
    downlink_conformance_tests::transport!(Memory, Local, UnderAxum);
    downlink_conformance_tests::sse_wire!(Memory, Local, UnderAxum);
}
