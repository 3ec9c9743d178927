use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Limits how many connections or requests each client has open.
#[derive(Debug)]
pub(super) struct ClientLimiter {
    limit: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection or request of a client, counted until this is dropped.
#[derive(Debug)]
pub(super) struct ClientPermit {
    limiter: Arc<ClientLimiter>,
    client: IpAddr,
}

impl ClientLimiter {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, open: Mutex::default() }
    }

    /// Returns `None` if the client is at the limit.
    pub(super) fn acquire(self: &Arc<Self>, client: IpAddr) -> Option<ClientPermit> {
        let client = network(client);
        let mut all = self.all();
        let open = all.entry(client).or_default();
        (*open < self.limit).then(|| {
            *open += 1;
            ClientPermit { limiter: Arc::clone(self), client }
        })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        let mut all = self.limiter.all();
        if let Some(open) = all.get_mut(&self.client) {
            *open -= 1;
            if *open == 0 {
                all.remove(&self.client);
            }
        }
    }
}

/// A client has a whole IPv6 network of 2⁶⁴ addresses, which counts as one.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_limit_and_is_removed_at_zero() {
        let limiter = Arc::new(ClientLimiter::new(2));
        let acquire = |address: &str| limiter.acquire(address.parse().unwrap());
        let (first, second) = (acquire("192.0.2.1").unwrap(), acquire("::ffff:192.0.2.1").unwrap());
        assert!(acquire("192.0.2.1").is_none());
        let other = acquire("192.0.2.2").unwrap();
        drop(first);
        let first = acquire("192.0.2.1").unwrap();
        let network = (acquire("2001:db8::1").unwrap(), acquire("2001:db8::2:3").unwrap());
        assert!(acquire("2001:db8::ffff").is_none());
        assert!(acquire("2001:db8:0:1::1").is_some());
        drop((first, second, other, network));
        assert!(limiter.all().is_empty());
    }
}
