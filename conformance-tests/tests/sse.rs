//! Server-sent events, over the reference store and the local bus.

#[path = "fixtures/local.rs"]
mod local;
#[path = "fixtures/memory.rs"]
mod memory;
#[path = "fixtures/sse.rs"]
mod sse_fixture;
#[path = "fixtures/tuned.rs"]
mod tuned;

use downlink_transports::Sse;
use local::Local;
use memory::Memory;
use sse_fixture::ServerSentEvents;
use tuned::Tuned;

mod transport {
    use super::*;
    downlink_conformance_tests::transport!(Memory, Local, ServerSentEvents);
}

mod impatient {
    use super::*;
    downlink_conformance_tests::impatient_transport!(Memory, Tuned(Sse));
}

mod guarded {
    use super::*;
    downlink_conformance_tests::guarded_transport!(Memory, Tuned(Sse));
}

mod bytes {
    use super::*;
    downlink_conformance_tests::event_stream!(Memory, Local, ServerSentEvents);
}

mod replaceable {
    use super::*;
    downlink_conformance_tests::replaceable_line!(Memory, ServerSentEvents);
}
