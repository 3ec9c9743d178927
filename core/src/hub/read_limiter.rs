use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Limits concurrent reads of the store and serves them in order. A part of the
/// permits is reserved for short reads, so that they do not wait for replays. Short
/// reads take part in the order of the others, too, so neither kind starves.
#[derive(Debug)]
pub(super) struct ReadLimiter {
    any: Arc<Semaphore>,
    short: Arc<Semaphore>,
}

/// How much is expected to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    /// A little, such as after a reconnect.
    High,
    /// Perhaps the whole log.
    Low,
}

/// The permission to read, until it is dropped.
pub(super) type ReadPermit = OwnedSemaphorePermit;

impl ReadLimiter {
    pub(super) fn new(count: usize) -> Self {
        let count = count.clamp(2, Semaphore::MAX_PERMITS);
        let kept = (count / 4).max(1);
        let permits = |count| Arc::new(Semaphore::new(count));
        Self { any: permits(count - kept), short: permits(kept) }
    }

    /// Waits for a permit. A dropped future loses its place in the queue.
    pub(super) async fn acquire(&self, priority: Priority) -> ReadPermit {
        let of = |permits: &Arc<Semaphore>| Arc::clone(permits).acquire_owned();
        let acquired = match priority {
            Priority::Low => of(&self.any).await,
            Priority::High => tokio::select! {
                biased;
                acquired = of(&self.any) => acquired,
                acquired = of(&self.short) => acquired,
            },
        };
        acquired.expect("the semaphores are never closed")
    }

    /// A permit that is free now.
    pub(super) fn try_acquire(&self, priority: Priority) -> Option<ReadPermit> {
        let of = |permits: &Arc<Semaphore>| Arc::clone(permits).try_acquire_owned().ok();
        let short = || if priority == Priority::High { of(&self.short) } else { None };
        of(&self.any).or_else(short)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn long_reads_leave_room_for_short_reads() {
        let limiter = ReadLimiter::new(4);
        let long: Vec<_> =
            (0..3).map(|_| limiter.acquire(Priority::Low).now_or_never().unwrap()).collect();
        let mut waiting = Box::pin(limiter.acquire(Priority::Low));
        assert!(waiting.as_mut().now_or_never().is_none());
        let short = limiter.acquire(Priority::High).now_or_never().expect("a permit is reserved");
        assert!(limiter.acquire(Priority::High).now_or_never().is_none());
        drop(short);
        assert!(
            waiting.as_mut().now_or_never().is_none(),
            "the free permit is reserved for short reads"
        );
        drop(long);
        assert!(waiting.as_mut().now_or_never().is_some());
    }

    #[test]
    fn the_smallest_limiter_leaves_room_for_short_reads() {
        let limiter = ReadLimiter::new(0);
        let _long = limiter.acquire(Priority::Low).now_or_never().unwrap();
        assert!(limiter.acquire(Priority::Low).now_or_never().is_none());
        assert!(limiter.acquire(Priority::High).now_or_never().is_some());
    }

    #[tokio::test]
    async fn neither_kind_starves_the_other() {
        let limiter = ReadLimiter::new(4);
        let all: Vec<_> =
            (0..4).map(|_| limiter.acquire(Priority::High).now_or_never().unwrap()).collect();
        let mut short: Vec<_> =
            (0..10).map(|_| Box::pin(limiter.acquire(Priority::High))).collect();
        for waiting in &mut short {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        let mut long = Box::pin(limiter.acquire(Priority::Low));
        assert!(long.as_mut().now_or_never().is_none());
        drop(all);
        let mut served = 0;
        while long.as_mut().now_or_never().is_none() {
            // Each is given back at once.
            short.retain_mut(|waiting| waiting.as_mut().now_or_never().is_none());
            served += 1;
            assert!(served <= 10, "the long read starves");
        }
        assert!(limiter.acquire(Priority::High).now_or_never().is_some());
    }
}
