//! Server-sent events, over the reference store and the local bus.

#[path = "fixtures/local.rs"]
mod local;
#[path = "fixtures/memory.rs"]
mod memory;
#[path = "fixtures/sse.rs"]
mod sse_fixture;

use local::Local;
use memory::Memory;
use sse_fixture::ServerSentEvents;

mod transport {
    use super::*;
    downlink_conformance_tests::transport!(Memory, Local, ServerSentEvents);
}

mod bytes {
    use super::*;
    downlink_conformance_tests::event_stream!(Memory, Local, ServerSentEvents);
}

mod replaceable {
    use super::*;
    downlink_conformance_tests::replaceable_line!(Memory, ServerSentEvents);
}
