//! All carriers side by side, over the reference store.

#[path = "fixtures/long_poll.rs"]
mod long_poll_fixture;
#[path = "fixtures/memory.rs"]
mod memory;
#[path = "fixtures/sse.rs"]
mod sse_fixture;
#[path = "fixtures/websocket.rs"]
mod websocket_fixture;

use long_poll_fixture::Polls;
use memory::Memory;
use sse_fixture::ServerSentEvents;
use websocket_fixture::WebSocketCarrier;

downlink_conformance_tests::carriers!(Memory, [ServerSentEvents, WebSocketCarrier, Polls]);
