//! Long-poll, over the reference store and the local bus.

#[path = "fixtures/configured.rs"]
mod configured;
#[path = "fixtures/local.rs"]
mod local;
#[path = "fixtures/long_poll.rs"]
mod long_poll_fixture;
#[path = "fixtures/memory.rs"]
mod memory;

use configured::Configured;
use local::Local;
use long_poll_fixture::{Polls, polls};
use memory::Memory;

mod transport {
    use super::*;
    downlink_conformance_tests::transport!(Memory, Local, Polls);
}

mod impatient {
    use super::*;
    downlink_conformance_tests::short_timeout_transport!(Memory, Configured(polls()));
}

mod guarded {
    use super::*;
    downlink_conformance_tests::authorizing_transport!(Memory, Configured(polls()));
}

mod reauthorized {
    use super::*;
    downlink_conformance_tests::reauthorizing_transport!(Memory, Configured(polls()));
}

mod bytes {
    use super::*;
    downlink_conformance_tests::long_poll_wire!(Memory, Local, Polls);
}

mod replaceable {
    use super::*;
    downlink_conformance_tests::replaceable_transport!(Memory, Polls);
}
