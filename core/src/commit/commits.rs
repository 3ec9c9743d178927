use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::clock::Clock;
use super::watch::{Watch, Watched};
use crate::cursor::Cursor;
use crate::event::{Event, Timestamp};

/// Transactions that a follower may be behind before it has to read the log.
const MAX_COMMITS: usize = 1_024;

/// The bytes of events that a follower may be behind before it has to read the
/// log.
const MAX_BYTES: usize = 16 << 20;

/// The memory that an event is counted with besides its bytes.
const EVENT_OVERHEAD: usize = 512;

/// What one transaction of this process stored.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The head of the log that the events follow, read inside the transaction.
    pub from: Cursor,
    /// The events, in the order of their positions, at least one.
    pub events: Arc<[Event]>,
}

/// What a store tells of its own commits.
#[derive(Clone, Debug)]
pub enum CommitNotice {
    /// These events are stored.
    Committed(Commit),
    /// Something may be stored: read the log to find out.
    Hint,
}

/// The sending end of [`Commits`]: what a writer tells the hubs of its process.
///
/// Sending never waits. A follower that is too far behind gets a hint in the
/// place of the events and reads the log.
#[derive(Debug, Default)]
pub struct CommitFeed {
    followers: Mutex<Vec<Weak<Mailbox>>>,
    watch: Arc<Watch>,
    clock: Arc<Clock>,
}

impl CommitFeed {
    /// A feed without followers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins to follow.
    #[must_use]
    pub fn subscribe(&self) -> Commits {
        let mailbox = Arc::new(Mailbox::default());
        let mut followers = lock(&self.followers);
        followers.retain(|follower| follower.strong_count() > 0);
        followers.push(Arc::downgrade(&mailbox));
        Commits { mailbox, watch: Arc::clone(&self.watch), clock: Arc::clone(&self.clock) }
    }

    /// Tells that these events are stored and follow `from`. Call it after the
    /// commit is certain, in the order of the commits. Warns once if the clock is
    /// behind the time that they were given.
    pub fn committed(&self, from: Cursor, events: impl IntoIterator<Item = Event>) {
        let mut events = events.into_iter().peekable();
        // The first of the commit: the others differ by the time that it took.
        let Some(first) = events.peek() else { return };
        self.clock.recorded(first.recorded_at(), Timestamp::now());
        let mut followers = lock(&self.followers);
        followers.retain(|follower| follower.strong_count() > 0);
        if followers.is_empty() {
            return;
        }
        let commit = Commit { from, events: events.collect() };
        let bytes = commit.events.iter().map(|event| event.size() + EVENT_OVERHEAD).sum();
        for follower in followers.iter().filter_map(Weak::upgrade) {
            follower.put(commit.clone(), bytes);
        }
    }

    /// Tells that something may be stored.
    pub fn hint(&self) {
        for follower in lock(&self.followers).iter().filter_map(Weak::upgrade) {
            follower.hint();
        }
    }
}

impl CommitFeed {
    /// Notes until when the work that begins should have ended.
    pub(super) fn watch(&self, until: Option<Instant>) -> Watched {
        self.watch.over(until)
    }

    /// Whether a transaction of the application is past its deadline and has not
    /// ended: see [`Writer::is_stuck`](super::Writer::is_stuck).
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.watch.is_late()
    }

    /// Ends the feed for every follower: nothing is committed any more.
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

/// The commits that a store's own writer makes, from when it was asked for them.
///
/// A hub puts the events into its ring without reading the log, if they follow
/// exactly the event that the ring ends with. Bounded in count and bytes.
#[derive(Debug)]
pub struct Commits {
    mailbox: Arc<Mailbox>,
    watch: Arc<Watch>,
    clock: Arc<Clock>,
}

impl Commits {
    /// Waits for the next notice; `None` when the store is closed.
    ///
    /// # Cancel safety
    ///
    /// A dropped future takes no notice along.
    pub async fn next(&mut self) -> Option<CommitNotice> {
        loop {
            {
                let mut letters = self.mailbox.letters();
                let notice = letters.take();
                if notice.is_some() || letters.is_closed {
                    return notice;
                }
            }
            self.mailbox.arrived.notified().await;
        }
    }

    /// Whether the writer can commit nothing just now, because a transaction of
    /// the application is past its deadline and has not ended.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.watch.is_late()
    }

    /// How far the system's clock was behind the log when this process recorded
    /// its last event: zero, unless a clock was ahead before. Then every event has
    /// the time of the one before it, until the clock has caught up.
    #[must_use]
    pub fn clock_behind(&self) -> Duration {
        self.clock.behind()
    }

    /// The next notice, if there is one.
    pub fn try_next(&mut self) -> Option<CommitNotice> {
        self.mailbox.letters().take()
    }
}

#[derive(Debug, Default)]
struct Mailbox {
    letters: Mutex<Letters>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Letters {
    commits: VecDeque<(Commit, usize)>,
    bytes: usize,
    is_hinted: bool,
    is_closed: bool,
}

impl Mailbox {
    fn letters(&self) -> MutexGuard<'_, Letters> {
        lock(&self.letters)
    }

    fn put(&self, commit: Commit, bytes: usize) {
        let mut letters = self.letters();
        let is_full = letters.commits.len() >= MAX_COMMITS || letters.bytes + bytes > MAX_BYTES;
        // What follows something that was dropped fits nowhere, so it is not kept either.
        if is_full || letters.is_hinted {
            letters.is_hinted = true;
        } else {
            letters.bytes += bytes;
            letters.commits.push_back((commit, bytes));
        }
        drop(letters);
        self.arrived.notify_one();
    }

    fn hint(&self) {
        self.letters().is_hinted = true;
        self.arrived.notify_one();
    }

    fn close(&self) {
        self.letters().is_closed = true;
        self.arrived.notify_one();
    }
}

impl Letters {
    /// Commits come before the hint: they were made before it.
    fn take(&mut self) -> Option<CommitNotice> {
        if let Some((commit, bytes)) = self.commits.pop_front() {
            self.bytes -= bytes;
            return Some(CommitNotice::Committed(commit));
        }
        std::mem::take(&mut self.is_hinted).then_some(CommitNotice::Hint)
    }
}

/// Nothing panics between two changes that belong together.
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
    fn a_follower_that_is_too_far_behind_gets_a_hint_after_what_it_has() {
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
        // The hint was the notice that ended the loop; what comes later is kept again.
        assert!(commits.try_next().is_none());
        feed.committed(Cursor::START, [event(3_000)]);
        assert!(matches!(commits.try_next(), Some(CommitNotice::Committed(_))));
    }

    #[test]
    fn the_bytes_that_wait_are_bounded_and_given_back() {
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
            assert!(commits.try_next().is_none(), "all of it has room, each time");
        }
        for _ in 0..=fitting {
            feed.committed(Cursor::START, [large.clone()]);
        }
        let taken = std::iter::from_fn(|| commits.try_next());
        assert_eq!(taken.take_while(|notice| !is_hint(Some(notice))).count(), fitting);
    }

    #[test]
    fn nothing_is_kept_behind_a_hint() {
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
    async fn it_ends_with_the_feed_and_not_before_everything_was_taken() {
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
    fn a_clock_that_is_behind_the_log_is_told_by_every_store() {
        let feed = CommitFeed::new();
        let content = crate::NewEvent::json("FlightDeparted", "{}").unwrap();
        let stream = crate::StreamId::new("flight-UA1545").unwrap();
        let event = |recorded_at| {
            let (position, version) = (crate::Position::new(1).unwrap(), crate::Version::FIRST);
            Event::new(position, stream.clone(), version, recorded_at, content.clone())
        };
        // Also while nothing follows.
        feed.committed(Cursor::START, [event(Timestamp::MAX)]);
        let commits = feed.subscribe();
        assert!(commits.clock_behind() > Duration::from_hours(1));
        feed.committed(Cursor::START, [event(Timestamp::now())]);
        assert_eq!(commits.clock_behind(), Duration::ZERO);
    }
}
