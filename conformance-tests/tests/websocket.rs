//! WebSocket, over the reference store and the local bus.

#[path = "fixtures/local.rs"]
mod local;
#[path = "fixtures/memory.rs"]
mod memory;
#[path = "fixtures/tuned.rs"]
mod tuned;
#[path = "fixtures/websocket.rs"]
mod websocket_fixture;

use downlink_transports::WebSocket;
use local::Local;
use memory::Memory;
use tuned::Tuned;
use websocket_fixture::WebSocketFixture;

mod transport {
    use super::*;
    downlink_conformance_tests::transport!(Memory, Local, WebSocketFixture);
}

mod impatient {
    use super::*;
    downlink_conformance_tests::impatient_transport!(Memory, Tuned(WebSocket));
}

mod guarded {
    use super::*;
    downlink_conformance_tests::guarded_transport!(Memory, Tuned(WebSocket));
}

mod bytes {
    use super::*;
    downlink_conformance_tests::socket!(Memory, Local, WebSocketFixture);
}

mod replaceable {
    use super::*;
    downlink_conformance_tests::replaceable_line!(Memory, WebSocketFixture);
}
