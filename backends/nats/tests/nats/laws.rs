use crate::fixture::{Memory, Nats};

mod bus {
    use super::*;
    downlink_conformance_tests::bus!(Memory, Nats, ignore = "needs NATS: ./check nats");
}

mod subscription {
    use super::*;
    downlink_conformance_tests::subscription!(Memory, Nats, ignore = "needs NATS: ./check nats");
}
