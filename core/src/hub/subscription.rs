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
use super::ring::Window;
use super::shared::{Progress, Shared};
use super::start_cursor::start_cursor;
use super::stats::count;
use super::{Item, Subscribe};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::filter::Filter;

/// Events that are looked at together, and that a subscription holds whose
/// reader stands still.
const BATCH: Bounds = Bounds { events: 64, bytes: 128 << 10 };

/// A cursor, a filter, and the endless sequence of items after it.
///
/// # Falling behind
///
/// There is no queue per subscriber, so however slow one is, it costs neither
/// memory nor anybody else's time, and nothing is lost. One that fell out of
/// the newest events yields [`Item::Behind`], reads from the store, and yields
/// [`Item::Live`] when it has caught up. Pages that several want are read once
/// for all of them.
///
/// # Contract
///
/// At every instant the events that were yielded are a prefix of the events of
/// the log that come after the cursor and match, and at rest they are all of
/// them \[`subscription_is_exact`\]. The other laws of the conformance suite
/// are this one under an adversary:
///
/// 1. **Hand-over.** An append that races the way from history to live comes
///    once \[`appends_during_the_hand_over_come_once`\]; `now` begins when the
///    subscription is opened \[`now_on_an_empty_log_misses_nothing`\], at the end
///    of the log in the store \[`now_begins_at_the_head_of_the_store`\]; `Live`
///    comes when everything was delivered
///    \[`live_comes_when_everything_was_delivered`\] that was stored when the
///    subscription was opened \[`live_waits_for_the_head_at_open`\], also beside a
///    log that never rests \[`live_comes_while_the_log_moves`\].
/// 2. **Hints** may be lost \[`lost_hints_cost_only_time`\] or come during a
///    read \[`a_hint_during_a_read_is_not_lost`\]; one is enough for many pages
///    \[`one_hint_is_enough`\]; a bus that is down stops nothing
///    \[`a_bus_that_is_down_stops_nothing`\], and one that cannot be listened to
///    delays nothing \[`a_bus_that_never_listens_delays_nothing`\].
/// 3. **Appends** are told at once \[`delivery_does_not_wait_for_polling`\],
///    also those of a caller who went away \[`a_dropped_append_is_delivered`\], those
///    whose outcome is unknown \[`an_append_of_unknown_outcome_is_delivered`\], and
///    those that are made through another hub of the same store
///    \[`hubs_of_one_store_agree`\].
/// 4. **Subscribers** may be slow \[`falling_behind_loses_nothing`\] or stop
///    \[`a_slow_subscriber_affects_no_other`\], drop `next`
///    \[`a_dropped_next_loses_nothing`\], begin again in another process
///    \[`a_restarted_process_resumes_exactly`\] and ask for what hardly ever
///    comes \[`a_sparse_filter_reaches_the_end`\].
/// 5. **Reads** that fail are repeated \[`a_failed_read_is_repeated`\].
/// 6. **Another history** is told: what is committed to a log that took the
///    place of this one is not put behind it
///    \[`a_commit_of_another_history_is_not_delivered`\], and nothing that was read of
///    this one is served in its place \[`no_page_of_another_history_is_served`\].
///
/// # Examples
///
/// See [`Hub`](crate::Hub).
pub struct Subscription {
    shared: Arc<Shared>,
    filter: Filter,
    progress: watch::Receiver<Progress>,
    /// The progress that was seen last.
    seen: Progress,
    /// How far the log was looked at.
    scanned: Cursor,
    /// What was handed to the caller.
    delivered: Cursor,
    /// The end of the log when the subscription was opened.
    head: Cursor,
    waiting: VecDeque<Item>,
    phase: Phase,
    /// What was read from the store and not looked at yet.
    page: Option<Arc<CachedPage>>,
    /// Boxed, because most subscriptions are among the newest events.
    catch_up: Option<Box<CatchUp>>,
    unreported: Unreported,
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The head that has to be reached is not known yet.
    Beginning,
    CatchingUp {
        head: Cursor,
    },
    /// The head that had to be reached was passed, and what came since then is
    /// not from memory yet: such a subscription cannot fall behind.
    Passed,
    Live,
}

/// What was looked at since the caller heard of it.
#[derive(Clone, Copy, Debug, Default)]
struct Unreported {
    events: usize,
    since: Option<Instant>,
}

impl Subscription {
    pub(super) async fn open(shared: Arc<Shared>, subscribe: Subscribe) -> Result<Self> {
        if shared.stop.is_cancelled() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the hub was shut down: subscribe to a new one",
            ));
        }
        // Registered before the log is read, so that nothing falls between.
        let progress = shared.progress.subscribe();
        let seen = *progress.borrow();
        let (cursor, head) = start_cursor(&shared, subscribe.after, &subscribe.filter).await?;
        Ok(Self::new(shared, subscribe.filter, (progress, seen), (cursor, head)))
    }

    /// A subscription that begins among the newest events, if they vouch for
    /// its cursor: the store is asked for nothing, so it says `Live` only after
    /// `Behind`.
    pub(super) fn at_the_tail(shared: Arc<Shared>, after: Cursor, filter: Filter) -> Option<Self> {
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
        (progress, seen): (watch::Receiver<Progress>, Progress),
        (cursor, head): (Cursor, Cursor),
    ) -> Self {
        shared.counters.open_subscriptions.fetch_add(1, Ordering::Relaxed);
        Self {
            shared,
            filter,
            progress,
            seen,
            scanned: cursor,
            delivered: cursor,
            head,
            waiting: VecDeque::new(),
            phase: Phase::Beginning,
            page: None,
            catch_up: None,
            unreported: Unreported::default(),
            ended: false,
        }
    }

    /// Where to resume: the cursor of the last item, or where the subscription
    /// began.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.delivered
    }

    /// How far the log was looked at, which is past [`cursor`](Self::cursor)
    /// if nothing matched of late; `None` while an item waits to be taken.
    /// Whoever stops here and resumes there has no gap.
    #[must_use]
    pub fn scanned(&self) -> Option<Cursor> {
        self.waiting.is_empty().then_some(self.scanned)
    }

    /// The end of the log when the subscription was opened.
    #[must_use]
    pub fn head_at_open(&self) -> Cursor {
        self.head
    }

    /// The end of the log as far as the tail has read: without any work, and
    /// perhaps a moment old.
    #[must_use]
    pub fn tip(&self) -> Cursor {
        self.shared.tip()
    }

    /// The end of the log, read now; see [`EventStore::head`](crate::EventStore::head).
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

    /// Waits for the next item. `None` when the hub was shut down, and after an
    /// error.
    ///
    /// # Errors
    ///
    /// [`HistoryChanged`](ErrorKind::HistoryChanged) and
    /// [`CursorAhead`](ErrorKind::CursorAhead) if the log was found to be another one;
    /// [`Corrupt`](ErrorKind::Corrupt) and [`Backend`](ErrorKind::Backend) if it cannot
    /// be read. Passing failures of the store are waited out.
    ///
    /// # Cancel safety
    ///
    /// A dropped future takes nothing along: the next call yields what it
    /// would have.
    pub async fn next(&mut self) -> Option<Result<Item>> {
        loop {
            if let Some(item) = self.turn().await?.transpose() {
                return Some(item);
            }
        }
    }

    /// As [`next`](Self::next), and returns without an item, too, whenever the
    /// log was looked through further.
    pub(crate) async fn turn(&mut self) -> Option<Result<Option<Item>>> {
        if let Some(item) = self.take() {
            return Some(Ok(Some(item)));
        }
        if self.ended {
            return None;
        }
        if let Err(error) = self.advance().await {
            self.ended = true;
            return (!self.shared.stop.is_cancelled()).then_some(Err(error));
        }
        (!self.ended).then(|| Ok(self.take()))
    }

    /// The next item, if it is in memory: what a transport writes together with
    /// the item before it.
    pub fn try_next(&mut self) -> Option<Item> {
        while self.waiting.is_empty() && self.look_in_memory() {}
        self.take()
    }

    /// The items as a stream, which ends after an error.
    #[must_use]
    pub fn into_stream(self) -> BoxStream<'static, Result<Item>> {
        stream::unfold(self, |mut this| async move { Some((this.next().await?, this)) }).boxed()
    }

    #[cfg(test)]
    pub(super) fn items_held(&self) -> usize {
        self.waiting.len()
    }

    fn take(&mut self) -> Option<Item> {
        let item = self.waiting.pop_front()?;
        self.delivered = item.cursor();
        Some(item)
    }

    fn yields(&mut self, item: Item) {
        self.waiting.push_back(item);
        self.unreported = Unreported::default();
    }

    /// Looks further, or waits until there is something to look at.
    async fn advance(&mut self) -> Result<()> {
        if !self.is_in_step() {
            self.ended = self.progress.borrow().stopped;
            return if self.ended { Ok(()) } else { Err(Error::history_changed(self.scanned)) };
        }
        // What is rare is boxed: a subscription that waits, as most do, stays small.
        if let Phase::Beginning = self.phase {
            self.begin().boxed().await?;
        }
        if self.read_stretch() {
            return Ok(());
        }
        let before = self.scanned;
        if !self.read_ring() {
            return self.read_store().boxed().await;
        }
        if self.scanned == before && self.waiting.is_empty() {
            self.at_the_tip().await;
        }
        Ok(())
    }

    /// Sees how far the tail has got, before the ring is read: what comes later
    /// wakes. `false` if the log is another one, or the hub was shut down.
    fn is_in_step(&mut self) -> bool {
        // Most of the time nothing is new, and then nobody's lock is taken.
        if matches!(self.progress.has_changed(), Ok(false)) {
            return true;
        }
        let progress = *self.progress.borrow_and_update();
        let is_in_step = progress.history == self.seen.history && !progress.stopped;
        if is_in_step {
            self.seen = progress;
        } else {
            self.progress.mark_changed();
        }
        is_in_step
    }

    /// Looks further at what is in memory. `false` if there is no more of it.
    fn look_in_memory(&mut self) -> bool {
        if self.ended || matches!(self.phase, Phase::Beginning) || !self.is_in_step() {
            return false;
        }
        let before = self.scanned;
        self.read_stretch() || (self.read_ring() && self.scanned != before)
    }

    async fn begin(&mut self) -> Result<()> {
        let shared = &self.shared;
        let head = shared.retry(|| shared.store.head()).await?;
        self.phase = Phase::CatchingUp { head };
        if head.position() > self.seen.tip.position() {
            self.shared.nudge.notify_one();
        }
        self.live_if_there();
        Ok(())
    }

    /// Says that everything up to the head was looked at, as soon as that is
    /// so: also beside a log that never rests.
    fn live_if_there(&mut self) {
        let Phase::CatchingUp { head } = self.phase else { return };
        if self.scanned.position() >= head.position() {
            self.phase = Phase::Passed;
            self.yields(Item::Live { cursor: self.scanned, head });
        }
    }

    /// Takes a run from the ring. `false` if what comes next is not there.
    fn read_ring(&mut self) -> bool {
        if self.scanned != self.seen.tip {
            let Window::Inside(events) = self.shared.window(self.scanned, BATCH) else {
                return false;
            };
            self.look_at_all(events);
        }
        if let Phase::Passed = self.phase {
            self.phase = Phase::Live;
        }
        true
    }

    /// Takes a run of what was read from the store. `false` if nothing was.
    fn read_stretch(&mut self) -> bool {
        let Some(page) = &self.page else { return false };
        let events = page.after(self.scanned, BATCH);
        if events.is_empty() {
            self.end_stretch();
        } else {
            self.look_at_all(events);
        }
        true
    }

    fn end_stretch(&mut self) {
        let Some(page) = self.page.take() else { return };
        self.scanned = page.to;
        if page.events.is_empty() {
            self.yields(Item::Checkpoint(page.to));
        }
        self.live_if_there();
    }

    fn look_at_all(&mut self, events: Vec<Event>) {
        for event in events {
            self.look_at(event);
        }
        self.checkpoint_if_due();
    }

    fn look_at(&mut self, event: Event) {
        self.scanned = event.cursor();
        if self.filter.matches_event(&event) {
            self.yields(Item::Event(event));
        } else {
            self.unreported.events += 1;
            self.unreported.since.get_or_insert_with(Instant::now);
        }
        self.live_if_there();
    }

    fn checkpoint_if_due(&mut self) {
        let tuning = &self.shared.tuning;
        let long_ago = |since: Instant| since.elapsed() >= tuning.checkpoint_interval;
        if self.unreported.events >= tuning.checkpoint_events
            || self.unreported.since.is_some_and(long_ago)
        {
            self.yields(Item::Checkpoint(self.scanned));
        }
    }

    /// Everything that is known was looked at: waits for more.
    async fn at_the_tip(&mut self) {
        // Thousands of subscriptions wait here: none keeps what a burst needed.
        self.waiting.shrink_to(0);
        self.catch_up = None;
        let checkpoint_at =
            self.unreported.since.map(|since| since + self.shared.tuning.checkpoint_interval);
        tokio::select! {
            // The tail writes it also when the hub stops, so that one place wakes everybody.
            // That it moved is known, and not yet where to.
            _ = self.progress.changed() => self.progress.mark_changed(),
            () = sleep_until_some(checkpoint_at) => self.yields(Item::Checkpoint(self.scanned)),
        }
    }

    async fn fall_behind(&mut self) -> Result<()> {
        let shared = &self.shared;
        count(&shared.counters.fallen_behind);
        let head = shared.retry(|| shared.store.head()).await?;
        self.phase = Phase::CatchingUp { head };
        self.yields(Item::Behind { cursor: self.scanned, head });
        Ok(())
    }

    /// Reads a page of what the ring no longer has.
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
            // The store has no more, and the ring is elsewhere: the tail has yet to see what happened.
            shared.nudge.notify_one();
            self.at_the_tip().await;
        } else {
            self.page = Some(page);
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
        // Boxed, because most have none and would keep its place.
        Some(deadline) => Box::pin(sleep_until(deadline)).await,
        None => std::future::pending().await,
    }
}
