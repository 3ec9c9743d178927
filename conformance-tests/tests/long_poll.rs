//! Long-poll, over the reference store and the local bus.

#[path = "fixtures/local.rs"]
mod local;
#[path = "fixtures/long_poll.rs"]
mod long_poll_fixture;
#[path = "fixtures/memory.rs"]
mod memory;
#[path = "fixtures/tuned.rs"]
mod tuned;

use local::Local;
use long_poll_fixture::{Polls, polls};
use memory::Memory;
use tuned::Tuned;

mod transport {
    use super::*;
    downlink_conformance_tests::transport!(Memory, Local, Polls);
}

mod impatient {
    use super::*;
    downlink_conformance_tests::impatient_transport!(Memory, Tuned(polls()));
}

mod guarded {
    use super::*;
    downlink_conformance_tests::guarded_transport!(Memory, Tuned(polls()));
}

mod bytes {
    use super::*;
    downlink_conformance_tests::polls!(Memory, Local, Polls);
}

mod replaceable {
    use super::*;
    downlink_conformance_tests::replaceable_line!(Memory, Polls);
}
