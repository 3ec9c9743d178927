use tokio::sync::{Semaphore, SemaphorePermit};

/// Limits concurrent reads of the store and serves them in order. A part of the
/// permits is reserved for short reads, so that they do not wait for replays.
#[derive(Debug)]
pub(super) struct ReadLimiter {
    all: Semaphore,
    long: Semaphore,
}

/// How much a subscription is expected to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    /// A little, such as after a reconnect.
    High,
    /// Perhaps the whole log.
    Low,
}

/// The permission to read, until it is dropped.
#[derive(Debug)]
pub(super) struct ReadPermit<'a> {
    _any: SemaphorePermit<'a>,
    _long: Option<SemaphorePermit<'a>>,
}

impl ReadLimiter {
    pub(super) fn new(count: usize) -> Self {
        let count = count.clamp(2, Semaphore::MAX_PERMITS);
        let kept = (count / 4).max(1);
        Self { all: Semaphore::new(count), long: Semaphore::new(count - kept) }
    }

    /// Waits for a permit. A dropped future loses its place in the queue.
    pub(super) async fn acquire(&self, priority: Priority) -> ReadPermit<'_> {
        let open = "the semaphores are never closed";
        let long = match priority {
            Priority::High => None,
            Priority::Low => Some(self.long.acquire().await.expect(open)),
        };
        ReadPermit { _any: self.all.acquire().await.expect(open), _long: long }
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
}
