use tokio::sync::{Semaphore, SemaphorePermit};

/// Who may read the store now: so many at a time, in the order in which they
/// came. A part of them is kept for those who need little, so that they do not
/// wait for replays.
#[derive(Debug)]
pub(super) struct ReadLimiter {
    all: Semaphore,
    long: Semaphore,
}

/// How much somebody is going to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    /// A little, as after a reconnect.
    High,
    /// Perhaps the whole log.
    Low,
}

/// A turn, until it is dropped.
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

    /// Waits for a turn. Who drops the future loses the place in the queue.
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
    fn long_reads_leave_room_for_short_ones() {
        let limiter = ReadLimiter::new(4);
        let long: Vec<_> =
            (0..3).map(|_| limiter.acquire(Priority::Low).now_or_never().unwrap()).collect();
        let mut waiting = Box::pin(limiter.acquire(Priority::Low));
        assert!(waiting.as_mut().now_or_never().is_none());
        let short = limiter.acquire(Priority::High).now_or_never().expect("a place is kept");
        assert!(limiter.acquire(Priority::High).now_or_never().is_none());
        drop(short);
        assert!(waiting.as_mut().now_or_never().is_none(), "the place that is kept is taken");
        drop(long);
        assert!(waiting.as_mut().now_or_never().is_some());
    }

    #[test]
    fn even_one_reader_leaves_room() {
        let limiter = ReadLimiter::new(0);
        let _long = limiter.acquire(Priority::Low).now_or_never().unwrap();
        assert!(limiter.acquire(Priority::Low).now_or_never().is_none());
        assert!(limiter.acquire(Priority::High).now_or_never().is_some());
    }
}
