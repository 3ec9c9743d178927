use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::FutureExt;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::bounds::Bounds;
use super::cached_page::CachedPage;
use super::catch_up::CatchUp;
use super::hub_stats::count;
use super::ring::Window;
use super::shared::{Shared, TailProgress};
use super::start_cursor::{shut_down, start_cursor};
use super::{Item, Subscribe};
use crate::budget::{ByteBudget, Reservation};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::filter::Filter;
use crate::store::Read;

/// The events that are examined together, and that a subscription holds while
/// its reader is idle.
const BATCH: Bounds = Bounds { events: 64, bytes: 48 << 10 };

/// A cursor, a filter, and the endless sequence of items after it.
///
/// # Falling behind
///
/// There is no queue per subscriber. A slow subscriber costs no memory, delays
/// no other subscriber, and loses nothing. If its next events are no longer in
/// memory, the subscription yields [`Item::Behind`], reads from the store, and
/// yields [`Item::Live`] when it has caught up. Pages that several
/// subscriptions need are read once for all of them.
///
/// # Contract
///
/// At every instant, the yielded events are a prefix of the log's matching
/// events after the cursor, and once the log is idle they are all of them
/// \[`subscription_is_exact`\]. The other laws of the conformance suite check
/// this under adverse conditions:
///
/// 1. **Hand-over.** An append that races the switch from history to live
///    delivery is delivered once \[`appends_during_the_hand_over_come_once`\];
///    `Now` begins when the subscription is opened
///    \[`now_on_an_empty_log_misses_nothing`\], at the end of the log in the
///    store \[`now_begins_at_the_head_of_the_store`\]; `Live` is yielded when
///    everything was delivered \[`live_comes_when_everything_was_delivered`\]
///    that was stored when the subscription was opened
///    \[`live_waits_for_the_head_at_open`\], even if events are appended all
///    the time \[`live_comes_while_the_log_moves`\].
/// 2. **Hints** may be lost \[`lost_hints_cost_only_time`\] or arrive during a
///    read \[`a_hint_during_a_read_is_not_lost`\]; one hint is enough for many
///    pages \[`one_hint_is_enough`\]; a bus that is down stops nothing
///    \[`a_bus_that_is_down_stops_nothing`\], and a bus whose `listen` fails or
///    hangs delays nothing \[`a_bus_that_never_listens_delays_nothing`\].
/// 3. **Appends** are delivered at once
///    \[`delivery_does_not_wait_for_polling`\], including those whose
///    future was dropped \[`a_dropped_append_is_delivered`\], those whose outcome is
///    unknown \[`an_append_of_unknown_outcome_is_delivered`\], and those made
///    through another hub of the same store \[`hubs_of_one_store_agree`\].
/// 4. **Subscribers** may be slow \[`falling_behind_loses_nothing`\] or stop
///    \[`a_slow_subscriber_affects_no_other`\], drop `next`
///    \[`a_dropped_next_loses_nothing`\], resume in another process
///    \[`a_restarted_process_resumes_exactly`\] and filter for rare events
///    \[`a_sparse_filter_reaches_the_end`\].
/// 5. Failed **reads** are retried \[`a_failed_read_is_repeated`\].
/// 6. **A changed history** is detected: a commit to a log that replaced this
///    one is not appended to the events of this one
///    \[`a_commit_of_another_history_is_not_delivered`\], and no page of this one
///    is served for the new one \[`no_page_of_another_history_is_served`\].
///
/// # Examples
///
/// See [`Hub`](crate::Hub).
pub struct Subscription {
    shared: Arc<Shared>,
    filter: Filter,
    /// What the pages count against that this holds.
    budget: Option<ByteBudget>,
    progress: watch::Receiver<TailProgress>,
    /// The progress of the tail that was seen last.
    seen: TailProgress,
    /// How far the log was examined.
    scanned: Cursor,
    /// The cursor of the last item that was yielded.
    delivered: Cursor,
    /// The end of the log when the subscription was opened.
    head: Cursor,
    waiting: VecDeque<Item>,
    phase: Phase,
    /// The page from the store that is being examined.
    page: Option<HeldPage>,
    /// Boxed, because most subscriptions need it rarely.
    catch_up: Option<Box<CatchUp>>,
    since_last_item: SinceLastItem,
    ended: bool,
}

/// A page, and the bytes of a budget for it.
type HeldPage = (Arc<CachedPage>, Option<Arc<Reservation>>);

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The head up to which to catch up is not known yet.
    Beginning,
    CatchingUp {
        head: Cursor,
    },
    /// The head was reached, but later events are still read from the store:
    /// such a subscription cannot fall behind.
    Passed,
    Live,
}

/// The events that were examined since the last item.
#[derive(Clone, Copy, Debug, Default)]
struct SinceLastItem {
    events: usize,
    since: Option<Instant>,
}

impl Subscription {
    pub(super) async fn open(shared: Arc<Shared>, subscribe: Subscribe) -> Result<Self> {
        if shared.stop.is_cancelled() {
            return Err(shut_down());
        }
        // Registered before the log is read, so that no change is missed in between.
        let progress = shared.progress.subscribe();
        let seen = *progress.borrow();
        let Subscribe { after, filter, budget } = subscribe;
        let place = start_cursor(&shared, after, &filter).await?;
        let mut subscription = Self::new(shared, filter, (progress, seen), place);
        subscription.budget = budget;
        Ok(subscription)
    }

    /// A subscription that begins in memory, if the ring holds its cursor. The
    /// store is not read, so `Live` is yielded only after `Behind`.
    pub(super) fn open_cached(shared: Arc<Shared>, after: Cursor, filter: Filter) -> Option<Self> {
        let progress = shared.progress.subscribe();
        let seen = *progress.borrow();
        let is_served = shared.holds(after) && !shared.stop.is_cancelled();
        is_served.then(|| {
            let mut subscription = Self::new(shared, filter, (progress, seen), (after, seen.tip));
            subscription.phase = Phase::Live;
            subscription
        })
    }

    fn new(
        shared: Arc<Shared>,
        filter: Filter,
        (progress, seen): (watch::Receiver<TailProgress>, TailProgress),
        (cursor, head): (Cursor, Cursor),
    ) -> Self {
        shared.counters.open_subscriptions.fetch_add(1, Ordering::Relaxed);
        Self {
            shared,
            filter,
            budget: None,
            progress,
            seen,
            scanned: cursor,
            delivered: cursor,
            head,
            waiting: VecDeque::new(),
            phase: Phase::Beginning,
            page: None,
            catch_up: None,
            since_last_item: SinceLastItem::default(),
            ended: false,
        }
    }

    /// The cursor to resume from: that of the last item, or where the
    /// subscription began.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.delivered
    }

    /// How far the log was examined, which is after [`cursor`](Self::cursor) if
    /// the latest events did not match; `None` while an item is waiting to be
    /// taken. Resuming from here leaves no gap.
    #[must_use]
    pub fn scanned(&self) -> Option<Cursor> {
        self.waiting.is_empty().then_some(self.scanned)
    }

    /// The end of the log when the subscription was opened, as far as the hub had
    /// read it.
    #[must_use]
    pub fn head_at_open(&self) -> Cursor {
        self.head
    }

    /// The end of the log as far as the hub has read it: reads nothing, and may
    /// be slightly out of date.
    #[must_use]
    pub fn cached_head(&self) -> Cursor {
        self.shared.tip()
    }

    /// Reads the end of the log from the store; see
    /// [`EventStore::head`](crate::EventStore::head).
    ///
    /// # Errors
    ///
    /// As [`EventStore::head`](crate::EventStore::head).
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn head(&self) -> Result<Cursor> {
        self.shared.store.head().await
    }

    /// Waits for the next item. Returns `None` after the hub was shut down, and
    /// after an error.
    ///
    /// # Errors
    ///
    /// [`HistoryChanged`](crate::ErrorKind::HistoryChanged) and
    /// [`CursorAhead`](crate::ErrorKind::CursorAhead) if the log was replaced;
    /// [`Corrupt`](crate::ErrorKind::Corrupt) and
    /// [`Backend`](crate::ErrorKind::Backend) if it cannot be read. Transient errors of the store are retried.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: the next call returns the item that
    /// it would have returned.
    pub async fn next(&mut self) -> Option<Result<Item>> {
        loop {
            if let Some(item) = self.next_or_progress().await?.transpose() {
                return Some(item);
            }
        }
    }

    /// As [`next`](Self::next), but also returns without an item whenever more
    /// of the log was examined.
    pub(crate) async fn next_or_progress(&mut self) -> Option<Result<Option<Item>>> {
        if let Some(item) = self.pop() {
            return Some(Ok(Some(item)));
        }
        if self.ended {
            return None;
        }
        if let Err(error) = self.advance().await {
            self.ended = true;
            return (!self.shared.stop.is_cancelled()).then_some(Err(error));
        }
        (!self.ended).then(|| Ok(self.pop()))
    }

    /// Returns the next item if it is in memory, without waiting, so that a
    /// transport can write several items at once.
    pub fn try_next(&mut self) -> Option<Item> {
        while self.waiting.is_empty() && self.examine_memory() {}
        self.pop()
    }

    /// Converts the subscription into a stream of items, which ends after an
    /// error.
    #[must_use]
    pub fn into_stream(self) -> BoxStream<'static, Result<Item>> {
        stream::unfold(self, |mut this| async move { Some((this.next().await?, this)) }).boxed()
    }

    #[cfg(test)]
    pub(super) fn items_held(&self) -> usize {
        self.waiting.len()
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.waiting.pop_front()?;
        self.delivered = item.cursor();
        Some(item)
    }

    fn push(&mut self, item: Item) {
        self.waiting.push_back(item);
        self.since_last_item = SinceLastItem::default();
    }

    /// Examines more of the log, or waits until there is more.
    async fn advance(&mut self) -> Result<()> {
        if !self.follows_tail() {
            self.ended = self.progress.borrow().stopped;
            return if self.ended { Ok(()) } else { Err(Error::history_changed(self.scanned)) };
        }
        // Rare futures are boxed, so that a waiting subscription stays small.
        if let Phase::Beginning = self.phase {
            self.begin().boxed().await?;
        }
        if self.examine_page() {
            return Ok(());
        }
        let before = self.scanned;
        if !self.examine_ring() {
            return self.read_store().boxed().await;
        }
        if self.scanned == before && self.waiting.is_empty() {
            self.wait_for_progress().await;
        }
        Ok(())
    }

    /// Notes how far the tail has got. Called before the ring is read, so that
    /// later changes wake the subscription. Returns `false` if the log was
    /// replaced or the hub was shut down.
    fn follows_tail(&mut self) -> bool {
        // Most of the time nothing is new, and then no lock is taken.
        if matches!(self.progress.has_changed(), Ok(false)) {
            return true;
        }
        let progress = *self.progress.borrow_and_update();
        let follows_tail = progress.history == self.seen.history && !progress.stopped;
        if follows_tail {
            self.seen = progress;
        } else {
            self.progress.mark_changed();
        }
        follows_tail
    }

    /// Examines more events in memory. Returns `false` if there are none.
    fn examine_memory(&mut self) -> bool {
        if self.ended || matches!(self.phase, Phase::Beginning) || !self.follows_tail() {
            return false;
        }
        let before = self.scanned;
        self.examine_page() || (self.examine_ring() && self.scanned != before)
    }

    async fn begin(&mut self) -> Result<()> {
        let shared = &self.shared;
        // Also verifies the cursor, which memory may have vouched for although the log was replaced.
        let verify = Read::log().with_after(self.scanned).with_limit(0);
        let head = shared.retry(|| shared.read_log(verify.clone())).await?.head;
        self.phase = Phase::CatchingUp { head };
        if head.position() > self.seen.tip.position() {
            self.shared.wake_tail.notify_one();
        }
        self.push_live_if_reached();
        Ok(())
    }

    /// Yields `Live` as soon as everything up to the head was examined, even if
    /// events are appended all the time.
    fn push_live_if_reached(&mut self) {
        let Phase::CatchingUp { head } = self.phase else { return };
        if self.scanned.position() >= head.position() {
            self.phase = Phase::Passed;
            self.push(Item::Live { cursor: self.scanned, head });
        }
    }

    /// Examines the next events from the ring. Returns `false` if they are not
    /// there.
    fn examine_ring(&mut self) -> bool {
        if self.scanned != self.seen.tip {
            let Window::Inside(events) = self.shared.window(self.scanned, BATCH) else {
                return false;
            };
            self.examine_all(events);
        }
        if let Phase::Passed = self.phase {
            self.phase = Phase::Live;
        }
        true
    }

    /// Keeps a page to examine it, or if the budget has too few bytes left for it,
    /// examines a few events and leaves the rest to another read.
    fn take_page(&mut self, page: Arc<CachedPage>) {
        let reserved = self.budget.as_ref().map(|budget| page.reserve(budget));
        let next = page.after(self.scanned, BATCH);
        match reserved {
            // Nothing but its end is left of it.
            Some(None) if next.is_empty() => self.page = Some((page, None)),
            Some(None) => self.examine_all(next),
            reserved => self.page = Some((page, reserved.flatten())),
        }
    }

    /// Examines the next events of the page from the store. Returns `false` if
    /// there is no page.
    fn examine_page(&mut self) -> bool {
        let Some((page, _)) = &self.page else { return false };
        let (events, end) = (page.after(self.scanned, BATCH), page.to);
        let is_nothing_left = events.is_empty();
        self.examine_all(events);
        if is_nothing_left || self.scanned == end {
            self.finish_page();
        }
        true
    }

    fn finish_page(&mut self) {
        let Some((page, _)) = self.page.take() else { return };
        self.scanned = page.to;
        if page.events.is_empty() {
            self.push(Item::Checkpoint(page.to));
        }
        self.push_live_if_reached();
    }

    fn examine_all(&mut self, events: Vec<Event>) {
        for event in events {
            self.examine(event);
        }
        self.push_checkpoint_if_due();
    }

    fn examine(&mut self, event: Event) {
        self.scanned = event.cursor();
        if self.filter.matches_event(&event) {
            self.push(Item::Event(event));
        } else {
            self.since_last_item.events += 1;
            self.since_last_item.since.get_or_insert_with(Instant::now);
        }
        self.push_live_if_reached();
    }

    fn push_checkpoint_if_due(&mut self) {
        let tuning = &self.shared.tuning;
        let long_ago = |since: Instant| since.elapsed() >= tuning.checkpoint_interval;
        if self.since_last_item.events >= tuning.checkpoint_events
            || self.since_last_item.since.is_some_and(long_ago)
        {
            self.push(Item::Checkpoint(self.scanned));
        }
    }

    /// Waits for more events, after everything known was examined.
    async fn wait_for_progress(&mut self) {
        // Thousands of subscriptions may wait here, so memory that was needed for a burst is freed.
        self.waiting.shrink_to(0);
        self.catch_up = None;
        let checkpoint_at =
            self.since_last_item.since.map(|since| since + self.shared.tuning.checkpoint_interval);
        tokio::select! {
            // The tail also updates it when the hub stops, so that one place wakes all
            // subscriptions. Left marked as changed, since the new value was not read yet.
            _ = self.progress.changed() => self.progress.mark_changed(),
            () = sleep_until_some(checkpoint_at) => self.push(Item::Checkpoint(self.scanned)),
        }
    }

    async fn fall_behind(&mut self) -> Result<()> {
        let shared = &self.shared;
        count(&shared.counters.fallen_behind);
        let head = shared.retry(|| shared.store.head()).await?;
        self.phase = Phase::CatchingUp { head };
        self.push(Item::Behind { cursor: self.scanned, head });
        Ok(())
    }

    /// Reads a page of events that are no longer in the ring.
    async fn read_store(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let head = match self.phase {
            Phase::CatchingUp { head } => head,
            Phase::Passed => self.seen.tip,
            Phase::Beginning | Phase::Live => return self.fall_behind().await,
        };
        let catch_up = self.catch_up.get_or_insert_default();
        let page = catch_up.next(&shared, &self.filter, self.scanned, head).await?;
        if page.to == self.scanned {
            // The store has no more events, but the ring does not hold the cursor: the tail has to
            // read the log first.
            shared.wake_tail.notify_one();
            self.wait_for_progress().await;
        } else {
            self.take_page(page);
        }
        Ok(())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.counters.open_subscriptions.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("cursor", &self.delivered)
            .field("filter", &self.filter)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

async fn sleep_until_some(deadline: Option<Instant>) {
    match deadline {
        // Boxed, so that subscriptions without a deadline do not reserve space for the timer.
        Some(deadline) => Box::pin(sleep_until(deadline)).await,
        None => std::future::pending().await,
    }
}
