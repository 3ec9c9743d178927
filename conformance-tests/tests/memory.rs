//! The reference store and the local bus.

#[path = "fixtures/local.rs"]
mod local;
#[path = "fixtures/memory.rs"]
mod memory;

use local::Local;
use memory::Memory;

// ANCHOR: suite
mod store {
    use super::*;
    downlink_conformance_tests::event_store!(Memory);
}
// ANCHOR_END: suite

mod replaceable {
    use super::*;
    downlink_conformance_tests::replaceable_store!(Memory);
}

mod replaceable_subscription {
    use super::*;
    downlink_conformance_tests::replaceable_subscription!(Memory);
}

mod snapshots {
    use super::*;
    downlink_conformance_tests::snapshot_store!(Memory);
}

mod transacting {
    use super::*;
    downlink_conformance_tests::transactional_store!(Memory);
}

mod telling {
    use super::*;
    downlink_conformance_tests::notifying_store!(Memory);
}

mod bus {
    use super::*;
    downlink_conformance_tests::bus!(Memory, Local);
}

mod subscription {
    use super::*;
    downlink_conformance_tests::subscription!(Memory, Local, paused);
}

/// The same in real time and on several threads.
mod subscription_on_threads {
    use super::*;
    downlink_conformance_tests::subscription!(Memory, Local);
}
