use std::time::Duration;

use downlink::budget::ByteBudget;

use super::discard::DiscardLimits;
use super::liveness::LivenessLimits;
use super::proxies::TrustedProxies;
use crate::connection::DEFAULT_BUDGET;
use crate::stall_timeout::STALL_DEADLINE;

/// The limits of a [`Server`](super::server::Server).
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) max_connections: usize,
    pub(super) max_per_client: Option<usize>,
    pub(super) trusted_proxies: Option<TrustedProxies>,
    pub(super) read_stall_timeout: Duration,
    pub(super) liveness: LivenessLimits,
    pub(super) linger: DiscardLimits,
    pub(super) drain_deadline: Duration,
    pub(super) budget: ByteBudget,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_per_client: None,
            trusted_proxies: None,
            read_stall_timeout: STALL_DEADLINE,
            liveness: LivenessLimits {
                dead: Duration::from_secs(20),
                stuck: Duration::from_mins(5),
                head: Duration::from_secs(10),
                keep_alive: Duration::from_secs(75),
            },
            linger: DiscardLimits { bytes: 64 << 20, timeout: Duration::from_secs(5) },
            drain_deadline: Duration::from_secs(5),
            budget: ByteBudget::new(DEFAULT_BUDGET),
        }
    }
}
