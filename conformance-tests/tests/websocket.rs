//! WebSocket, over the reference store and the local bus.

#[path = "fixtures/configured.rs"]
mod configured;
#[path = "fixtures/local.rs"]
mod local;
#[path = "fixtures/memory.rs"]
mod memory;
#[path = "fixtures/websocket.rs"]
mod websocket_fixture;

use configured::Configured;
use downlink_transports::WebSocket;
use local::Local;
use memory::Memory;
use websocket_fixture::WebSocketFixture;

mod transport {
    use super::*;
    downlink_conformance_tests::transport!(Memory, Local, WebSocketFixture);
}

mod impatient {
    use super::*;
    downlink_conformance_tests::short_timeout_transport!(Memory, Configured(WebSocket));
}

mod guarded {
    use super::*;
    downlink_conformance_tests::authorizing_transport!(Memory, Configured(WebSocket));
}

mod reauthorized {
    use super::*;
    downlink_conformance_tests::reauthorizing_transport!(Memory, Configured(WebSocket));
}

mod bytes {
    use super::*;
    downlink_conformance_tests::websocket_wire!(Memory, Local, WebSocketFixture);
}

mod replaceable {
    use super::*;
    downlink_conformance_tests::replaceable_transport!(Memory, WebSocketFixture);
}
