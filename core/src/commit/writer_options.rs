use std::future::Future;
use std::time::{Duration, Instant};

use super::Driver;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_WAIT;

/// Configures how a [`Writer`](super::Writer) queues and groups appends.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct WriterOptions {
    queue: usize,
    queue_bytes: usize,
    group_events: usize,
    linger: Duration,
    busy_deadline: Duration,
    step_deadline: Option<Duration>,
    transaction_deadline: Duration,
}

impl WriterOptions {
    /// Creates the default options, which the setters document.
    pub const fn new() -> Self {
        Self {
            queue: 4_096,
            queue_bytes: 64 << 20,
            group_events: 4_096,
            linger: Duration::from_micros(300),
            busy_deadline: Duration::from_secs(5),
            step_deadline: None,
            transaction_deadline: Duration::from_secs(5),
        }
    }

    /// Sets how many appends and jobs may wait for their outcome: 4,096 by
    /// default, at least one. Further ones fail with `Overloaded` at once.
    pub const fn with_queue(mut self, entries: usize) -> Self {
        self.queue = if entries == 0 { 1 } else { entries };
        self
    }

    /// Sets how many bytes of events may wait: 64 MiB by default. A further
    /// append fails with `Overloaded` at once, unless nothing else waits.
    pub const fn with_queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// Sets how many events one transaction takes before further appends are
    /// left to the next one: 4,096 by default, at least one. With 1, every
    /// append is committed alone.
    pub const fn with_group(mut self, events: usize) -> Self {
        self.group_events = if events == 0 { 1 } else { events };
        self
    }

    /// If fewer appends have arrived than the last transaction had and waited
    /// behind it, the writer waits up to this long for more: 300 µs by default,
    /// at most one day. A single appender never waits.
    pub const fn with_linger(mut self, linger: Duration) -> Self {
        self.linger = at_most_a_day(linger);
        self
    }

    /// Sets how long to wait for a lock that another writer holds: 5 s by
    /// default, at most one day. Then the call fails with `Busy`.
    pub const fn with_busy_deadline(mut self, deadline: Duration) -> Self {
        self.busy_deadline = at_most_a_day(deadline);
        self
    }

    /// With a driver that is not blocking, limits each batch's storing, each
    /// commit, and each begin (beyond waiting for a lock). No limit by default,
    /// at most one day. A commit that takes longer has an unknown outcome. The
    /// job's own work is not limited.
    pub const fn with_step_deadline(mut self, deadline: Duration) -> Self {
        self.step_deadline = Some(at_most_a_day(deadline));
        self
    }

    pub(super) const fn without_step_deadline(mut self) -> Self {
        self.step_deadline = None;
        self
    }

    /// The most appends and jobs that may wait.
    #[must_use]
    pub const fn queue(&self) -> usize {
        self.queue
    }

    /// The most bytes of events that may wait.
    #[must_use]
    pub const fn queue_bytes(&self) -> usize {
        self.queue_bytes
    }

    /// The most events of one transaction.
    #[must_use]
    pub const fn group(&self) -> usize {
        self.group_events
    }

    /// How long the writer waits for more appends, at most.
    #[must_use]
    pub const fn linger(&self) -> Duration {
        self.linger
    }

    /// How long the writer waits for a lock.
    #[must_use]
    pub const fn busy_deadline(&self) -> Duration {
        self.busy_deadline
    }

    pub(super) fn busy_by(&self) -> Instant {
        Instant::now() + self.busy_deadline
    }

    /// Runs a step of the driver within the deadline.
    pub(super) async fn bounded<T>(
        &self,
        step: impl Future<Output = Result<T>>,
        doing: &str,
    ) -> Result<T> {
        self.bounded_beyond(Duration::ZERO, step, doing).await
    }

    /// Runs a step that may also wait for a lock.
    pub(super) async fn bounded_with_lock<T>(
        &self,
        step: impl Future<Output = Result<T>>,
        doing: &str,
    ) -> Result<T> {
        self.bounded_beyond(self.busy_deadline, step, doing).await
    }

    async fn bounded_beyond<T>(
        &self,
        wait: Duration,
        step: impl Future<Output = Result<T>>,
        doing: &str,
    ) -> Result<T> {
        let Some(deadline) = self.step_deadline else { return step.await };
        let deadline = deadline.saturating_add(wait);
        tokio::time::timeout(deadline, step).await.unwrap_or_else(|_| {
            let message = format!("could not {doing} within {deadline:?}");
            Err(Error::new(ErrorKind::Unavailable, message))
        })
    }

    /// Sets how long a transaction of the application
    /// ([`Writer::transact`](super::Writer::transact)) may take: 5 s by
    /// default, at most one day. With a driver that is not blocking, the future
    /// of the transaction is then dropped. A blocking driver has to interrupt
    /// it; the transaction is rolled back when it ends.
    pub const fn with_transaction_deadline(mut self, deadline: Duration) -> Self {
        self.transaction_deadline = at_most_a_day(deadline);
        self
    }

    /// How long a transaction of the application may take.
    #[must_use]
    pub const fn transaction_deadline(&self) -> Duration {
        self.transaction_deadline
    }

    /// Runs a job within its deadline, counted from its beginning.
    pub(super) async fn bounded_job<D: Driver, T>(
        &self,
        deadline: Option<Duration>,
        began: Instant,
        job: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(deadline) = deadline else { return job.await };
        let until = began + deadline;
        let outcome = if D::BLOCKING {
            job.await
        } else {
            tokio::time::timeout(deadline, job).await.unwrap_or_else(|_| Err(late(deadline)))
        };
        // After the deadline, an error of the job may only say that it was interrupted.
        if Instant::now() > until { Err(late(deadline)) } else { outcome }
    }
}

fn late(deadline: Duration) -> Error {
    let message = format!(
        "a transaction took longer than {deadline:?} and was rolled back: it must not wait for another \
         append or transaction of the same store, not even in a task that it has spawned, because \
         these wait for it; if it does not, give it less to do"
    );
    Error::new(ErrorKind::Unavailable, message)
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Very long durations, such as for "never", cannot be added to an instant.
const fn at_most_a_day(duration: Duration) -> Duration {
    if duration.as_secs() >= MAX_WAIT.as_secs() { MAX_WAIT } else { duration }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_lock_does_not_count_as_a_step() {
        let options = WriterOptions::new()
            .with_busy_deadline(Duration::from_secs(5))
            .with_step_deadline(Duration::from_secs(1));
        let takes = async |seconds| {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok(())
        };
        assert!(options.bounded(takes(2), "store events").await.is_err());
        assert!(options.bounded_with_lock(takes(5), "begin a transaction").await.is_ok());
        assert!(options.bounded_with_lock(takes(7), "begin a transaction").await.is_err());
    }

    #[test]
    fn every_duration_can_be_added_to_an_instant() {
        for extreme in [Duration::MAX, Duration::ZERO] {
            let options = WriterOptions::new()
                .with_linger(extreme)
                .with_busy_deadline(extreme)
                .with_step_deadline(extreme)
                .with_transaction_deadline(extreme);
            let expected = extreme.min(MAX_WAIT);
            assert_eq!(options.linger(), expected);
            assert_eq!(options.busy_deadline(), expected);
            assert_eq!(options.step_deadline, Some(expected));
            assert_eq!(options.transaction_deadline(), expected);
            assert!(options.busy_by() <= Instant::now() + MAX_WAIT);
        }
    }
}
