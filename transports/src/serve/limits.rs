use std::time::Duration;

use super::discard::Discard;
use super::proxies::TrustedProxies;
use crate::stall_timeout::STALL_DEADLINE;

/// What a server lets its peers have.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) per_client: Option<usize>,
    pub(super) proxies: Option<TrustedProxies>,
    pub(super) header_timeout: Duration,
    pub(super) read_stall: Duration,
    pub(super) write_stall: Duration,
    pub(super) discard: Discard,
    pub(super) drain_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            per_client: None,
            proxies: None,
            header_timeout: Duration::from_secs(10),
            read_stall: STALL_DEADLINE,
            write_stall: Duration::from_secs(20),
            discard: Discard { bytes: 64 << 20, silence: Duration::from_secs(5) },
            drain_deadline: Duration::from_secs(10),
        }
    }
}
