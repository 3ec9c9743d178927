use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::clock_monitor::ClockMonitor;
use super::deadline_watch::{DeadlineGuard, DeadlineWatch};
use crate::cursor::Cursor;
use crate::event::{Event, Timestamp};

/// The most transactions that are kept for a follower before it has to read the
/// log.
const MAX_COMMITS: usize = 1_024;

/// The most bytes of events that are kept for a follower before it has to read
/// the log.
const MAX_BYTES: usize = 16 << 20;

/// The memory that an event is assumed to take in addition to its bytes.
const EVENT_OVERHEAD: usize = 512;

/// The events that one transaction of this process has stored.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The head of the log that the events follow, read inside the transaction.
    pub from: Cursor,
    /// The events in position order, at least one.
    pub events: Arc<[Event]>,
}

/// A notice about the commits of a store's own writer.
#[derive(Clone, Debug)]
pub enum CommitNotice {
    /// These events are stored.
    Committed(Commit),
    /// Something may be stored: read the log to find out.
    Hint,
}

/// The sending end of [`Commits`], by which a writer reports its commits to the
/// hubs of its process.
///
/// Sending never waits. A follower that is too far behind gets a hint instead
/// of the events and has to read the log.
#[derive(Debug, Default)]
pub struct CommitFeed {
    followers: Mutex<Vec<Weak<NoticeQueue>>>,
    watch: Arc<DeadlineWatch>,
    clock: Arc<ClockMonitor>,
}

impl CommitFeed {
    /// Creates a feed without followers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Subscribes to the commits from now on.
    #[must_use]
    pub fn subscribe(&self) -> Commits {
        let notices = Arc::new(NoticeQueue::default());
        let mut followers = lock(&self.followers);
        followers.retain(|follower| follower.strong_count() > 0);
        followers.push(Arc::downgrade(&notices));
        Commits { notices, watch: Arc::clone(&self.watch), clock: Arc::clone(&self.clock) }
    }

    /// Reports that these events are stored and follow `from`. Call it once the
    /// commit is certain, in commit order. Logs one warning if the clock is
    /// behind the recorded time of the events.
    pub fn committed(&self, from: Cursor, events: impl IntoIterator<Item = Event>) {
        let mut events = events.into_iter().peekable();
        // Only the first event is compared: the times of the others differ by
        // no more than the duration of the commit.
        let Some(first) = events.peek() else { return };
        self.clock.observe(first.recorded_at(), Timestamp::now());
        let mut followers = lock(&self.followers);
        followers.retain(|follower| follower.strong_count() > 0);
        if followers.is_empty() {
            return;
        }
        let commit = Commit { from, events: events.collect() };
        let bytes = commit.events.iter().map(|event| event.size() + EVENT_OVERHEAD).sum();
        for follower in followers.iter().filter_map(Weak::upgrade) {
            follower.push(commit.clone(), bytes);
        }
    }

    /// Reports that something may be stored.
    pub fn hint(&self) {
        for follower in lock(&self.followers).iter().filter_map(Weak::upgrade) {
            follower.hint();
        }
    }

    /// Watches the deadline of a job that begins now.
    pub(crate) fn watch(&self, until: Option<Instant>) -> DeadlineGuard {
        self.watch.start(until)
    }

    /// Whether a transaction of the application is past its deadline and has
    /// not ended; see [`Writer::has_overdue_transaction`](crate::commit::Writer::has_overdue_transaction).
    #[must_use]
    pub fn has_overdue_transaction(&self) -> bool {
        self.watch.is_overdue()
    }

    /// Closes the feed for every follower: there are no more commits.
    pub fn close(&self) {
        for follower in lock(&self.followers).iter().filter_map(Weak::upgrade) {
            follower.close();
        }
    }
}

impl Drop for CommitFeed {
    fn drop(&mut self) {
        self.close();
    }
}

/// The commits of a store's own writer, from the time of subscribing.
///
/// A hub adds the events to its ring without reading the log if they directly
/// follow the last event of the ring. The waiting notices are bounded in count
/// and bytes.
#[derive(Debug)]
pub struct Commits {
    notices: Arc<NoticeQueue>,
    watch: Arc<DeadlineWatch>,
    clock: Arc<ClockMonitor>,
}

impl Commits {
    /// Waits for the next notice; returns `None` when the store is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no notice.
    pub async fn next(&mut self) -> Option<CommitNotice> {
        loop {
            {
                let mut state = self.notices.state();
                let notice = state.take();
                if notice.is_some() || state.is_closed {
                    return notice;
                }
            }
            self.notices.arrived.notified().await;
        }
    }

    /// Whether the writer is currently blocked, because a transaction of the
    /// application is past its deadline and has not ended.
    #[must_use]
    pub fn has_overdue_transaction(&self) -> bool {
        self.watch.is_overdue()
    }

    /// How far the system's clock was behind the log when this process recorded
    /// its last event. Zero, unless a clock was ahead before: then every event
    /// has the time of the one before it, until the clock has caught up.
    #[must_use]
    pub fn clock_behind(&self) -> Duration {
        self.clock.behind()
    }

    /// Returns the next notice if there is one, without waiting.
    pub fn try_next(&mut self) -> Option<CommitNotice> {
        self.notices.state().take()
    }
}

#[derive(Debug, Default)]
struct NoticeQueue {
    state: Mutex<NoticeState>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct NoticeState {
    commits: VecDeque<(Commit, usize)>,
    bytes: usize,
    is_hinted: bool,
    is_closed: bool,
}

impl NoticeQueue {
    fn state(&self) -> MutexGuard<'_, NoticeState> {
        lock(&self.state)
    }

    fn push(&self, commit: Commit, bytes: usize) {
        let mut state = self.state();
        let is_full = state.commits.len() >= MAX_COMMITS || state.bytes + bytes > MAX_BYTES;
        // A commit that follows a dropped one does not fit the follower's ring, so it is dropped
        // too.
        if is_full || state.is_hinted {
            state.is_hinted = true;
        } else {
            state.bytes += bytes;
            state.commits.push_back((commit, bytes));
        }
        drop(state);
        self.arrived.notify_one();
    }

    fn hint(&self) {
        self.state().is_hinted = true;
        self.arrived.notify_one();
    }

    fn close(&self) {
        self.state().is_closed = true;
        self.arrived.notify_one();
    }
}

impl NoticeState {
    /// Commits come before the hint, since they were made before it.
    fn take(&mut self) -> Option<CommitNotice> {
        if let Some((commit, bytes)) = self.commits.pop_front() {
            self.bytes -= bytes;
            return Some(CommitNotice::Committed(commit));
        }
        std::mem::take(&mut self.is_hinted).then_some(CommitNotice::Hint)
    }
}

/// A poisoned lock is harmless: nothing panics between two changes that belong
/// together.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::event::sample::{event, event_of};

    fn is_hint(notice: Option<&CommitNotice>) -> bool {
        matches!(notice, Some(CommitNotice::Hint))
    }

    #[test]
    fn a_follower_that_is_too_far_behind_gets_a_hint_after_the_kept_commits() {
        let feed = CommitFeed::new();
        let mut commits = feed.subscribe();
        for position in 1..=2_000 {
            feed.committed(Cursor::START, [event(position)]);
        }
        let mut taken = 0;
        while let Some(CommitNotice::Committed(_)) = commits.try_next() {
            taken += 1;
        }
        assert_eq!(taken, MAX_COMMITS);
        // The hint was the notice that ended the loop; later commits are kept again.
        assert!(commits.try_next().is_none());
        feed.committed(Cursor::START, [event(3_000)]);
        assert!(matches!(commits.try_next(), Some(CommitNotice::Committed(_))));
    }

    #[test]
    fn waiting_bytes_are_bounded_and_freed() {
        let feed = CommitFeed::new();
        let mut commits = feed.subscribe();
        let large = event_of(1, vec![b' '; 1 << 20]);
        let fitting = MAX_BYTES / (large.size() + EVENT_OVERHEAD);
        for _ in 0..3 {
            for _ in 0..fitting {
                feed.committed(Cursor::START, [large.clone()]);
            }
            for _ in 0..fitting {
                assert!(matches!(commits.try_next(), Some(CommitNotice::Committed(_))));
            }
            assert!(commits.try_next().is_none(), "everything fits, each time");
        }
        for _ in 0..=fitting {
            feed.committed(Cursor::START, [large.clone()]);
        }
        let taken = std::iter::from_fn(|| commits.try_next());
        assert_eq!(taken.take_while(|notice| !is_hint(Some(notice))).count(), fitting);
    }

    #[test]
    fn nothing_is_kept_after_a_hint() {
        let feed = CommitFeed::new();
        let mut commits = feed.subscribe();
        feed.committed(Cursor::START, [event(1)]);
        feed.hint();
        feed.committed(Cursor::START, [event(2)]);
        assert!(matches!(commits.try_next(), Some(CommitNotice::Committed(_))));
        assert!(is_hint(commits.try_next().as_ref()));
        assert!(commits.try_next().is_none());
    }

    #[tokio::test]
    async fn commits_end_with_the_feed_after_every_notice_was_taken() {
        let feed = CommitFeed::new();
        let (mut one, mut other) = (feed.subscribe(), feed.subscribe());
        assert!(one.next().now_or_never().is_none());
        feed.hint();
        drop(feed);
        for commits in [&mut one, &mut other] {
            assert!(is_hint(commits.next().await.as_ref()));
            assert!(commits.next().await.is_none());
        }
    }

    #[test]
    fn a_clock_that_is_behind_the_log_is_reported() {
        let feed = CommitFeed::new();
        let content = crate::NewEvent::json("FlightDeparted", "{}").unwrap();
        let stream = crate::StreamId::new("flight-UA1545").unwrap();
        let event = |recorded_at| {
            let (position, version) = (crate::Position::new(1).unwrap(), crate::Version::FIRST);
            Event::new(position, stream.clone(), version, recorded_at, content.clone())
        };
        // Even without followers.
        feed.committed(Cursor::START, [event(Timestamp::MAX)]);
        let commits = feed.subscribe();
        assert!(commits.clock_behind() > Duration::from_hours(1));
        feed.committed(Cursor::START, [event(Timestamp::now())]);
        assert_eq!(commits.clock_behind(), Duration::ZERO);
    }
}
