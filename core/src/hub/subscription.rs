use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use tokio::task::coop::poll_proceed;

use super::cached_page::CachedPage;
use super::catch_up::CatchUp;
use super::examiner::{BATCH, Examiner, Phase};
use super::fan_out::{Change, Glance, Registration, WakeFor};
use super::hub_stats::count;
use super::page_room::PageRoom;
use super::ring::Window;
use super::shared::Shared;
use super::start_cursor::{shut_down, start_cursor};
use super::store_step::{StepResult, StoreStep};
use super::{Item, Subscribe};
use crate::budget::ByteBudget;
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::filter::Filter;

/// How long to wait for the tail where it does not report that it has moved.
const SHORT_PAUSE: Duration = Duration::from_millis(10);

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
///    through another hub of the same store \[`hubs_of_one_store_agree`\]. An event
///    wakes only the subscriptions that it may concern
///    \[`what_matches_wakes_those_that_wait`\], also those that are about to wait
///    \[`what_comes_when_a_subscription_begins_to_wait_wakes_it`\]. The cursor of the
///    others moves with the tail, and at times a checkpoint tells it
///    \[`a_checkpoint_does_not_overtake_an_event`\].
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
    registration: Registration,
    /// Whether it is woken by all events, also by those that do not match.
    wake_for: WakeFor,
    /// What the pages count against that this holds.
    budget: Option<ByteBudget>,
    /// The end of the log when the subscription was opened.
    head: Cursor,
    examiner: Examiner,
    /// Boxed, because most subscriptions need it rarely.
    catch_up: Option<Box<CatchUp>>,
    /// What it waits for from the store.
    step: Option<StoreStep>,
    ended: bool,
}

/// What the ring has for a subscription.
#[derive(Clone, Copy, Debug)]
enum InRing {
    /// Events, which were examined.
    Events,
    /// Everything was examined.
    Nothing,
    /// The next events are no longer there, or the cursor is of another history.
    Outside,
}

impl Subscription {
    pub(super) async fn open(shared: Arc<Shared>, subscribe: Subscribe) -> Result<Self> {
        if shared.stop.is_cancelled() {
            return Err(shut_down());
        }
        let Subscribe { after, filter, budget } = subscribe;
        // Registered before the log is read, so that no change is missed in between.
        let registration = shared.fan_out.register(filter);
        let place = start_cursor(&shared, after, registration.filter()).await?;
        let mut subscription = Self::new(shared, registration, place);
        subscription.budget = budget;
        Ok(subscription)
    }

    /// A subscription that begins in memory, if the ring holds its cursor. The
    /// store is not read, so `Live` is yielded only after `Behind`.
    pub(super) fn open_cached(shared: Arc<Shared>, after: Cursor, filter: Filter) -> Option<Self> {
        // Registered first: if the log is replaced after the cursor was found, the subscription ends.
        let registration = shared.fan_out.register(filter);
        if shared.stop.is_cancelled() || !shared.holds(after) {
            return None;
        }
        let head = shared.tip().max(after);
        let mut subscription = Self::new(shared, registration, (after, head));
        subscription.examiner.phase = Phase::Live;
        Some(subscription)
    }

    fn new(
        shared: Arc<Shared>,
        registration: Registration,
        (cursor, head): (Cursor, Cursor),
    ) -> Self {
        shared.counters.open_subscriptions.fetch_add(1, Ordering::Relaxed);
        Self {
            shared,
            registration,
            wake_for: WakeFor::Matching,
            budget: None,
            head,
            examiner: Examiner::new(cursor),
            catch_up: None,
            step: None,
            ended: false,
        }
    }

    /// Lets every event wake it, also those that do not match, for a reader that has to
    /// know at once how far the log was examined.
    pub(super) fn woken_by_all(mut self) -> Self {
        self.wake_for = WakeFor::Any;
        self
    }

    /// The cursor to resume from: that of the last item, or where the
    /// subscription began.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.examiner.delivered
    }

    /// How far the log was examined, which is after [`cursor`](Self::cursor) if
    /// the latest events did not match; `None` while an item is waiting to be
    /// taken. Resuming from here leaves no gap.
    #[must_use]
    pub fn scanned(&self) -> Option<Cursor> {
        self.examiner.waiting.is_empty().then(|| self.registration.examined(self.examiner.scanned))
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
        self.shared.tip().max(self.examiner.scanned)
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
    pub fn head(&self) -> impl Future<Output = Result<Cursor>> + Send + 'static + use<> {
        let store = Arc::clone(&self.shared.store);
        async move { store.head().await }
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
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`next`](Self::next), for code that polls. Wakes the task of `cx` when there
    /// may be an item.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Item>>> {
        loop {
            match ready!(self.poll_next_or_progress(cx)) {
                Some(Ok(None)) => {}
                Some(Ok(Some(item))) => return Poll::Ready(Some(Ok(item))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }

    /// As [`next`](Self::next), but also returns without an item whenever more
    /// of the log was examined.
    pub(crate) async fn next_or_progress(&mut self) -> Option<Result<Option<Item>>> {
        poll_fn(|cx| self.poll_next_or_progress(cx)).await
    }

    fn poll_next_or_progress(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Option<Item>>>> {
        if let Some(item) = self.examiner.pop() {
            return Poll::Ready(Some(Ok(Some(item))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        // A reader of a busy log may never have to wait.
        let coop = ready!(poll_proceed(cx));
        let advanced = ready!(self.poll_advance(cx));
        coop.made_progress();
        Poll::Ready(if let Err(error) = advanced {
            self.ended = true;
            (!self.shared.stop.is_cancelled()).then_some(Err(error))
        } else {
            (!self.ended).then(|| Ok(self.examiner.pop()))
        })
    }

    /// Returns the next item if it is in memory, without waiting, so that a
    /// transport can write several items at once.
    pub fn try_next(&mut self) -> Option<Item> {
        while self.examiner.waiting.is_empty() && self.examine_memory() {}
        self.examiner.pop()
    }

    /// Converts the subscription into a stream of items, which ends after an
    /// error.
    #[must_use]
    pub fn into_stream(mut self) -> BoxStream<'static, Result<Item>> {
        stream::poll_fn(move |cx| self.poll_next(cx)).boxed()
    }

    #[cfg(test)]
    pub(super) fn items_held(&self) -> usize {
        self.examiner.waiting.len()
    }

    /// Examines more of the log, or waits until there is more.
    fn poll_advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.step.is_some() {
            let is_beginning = matches!(self.examiner.phase, Phase::Beginning);
            ready!(self.poll_step(cx))?;
            if !is_beginning {
                return Poll::Ready(Ok(()));
            }
        }
        if let Phase::Live = self.examiner.phase {
            ready!(self.poll_wait(cx, self.wake_for))?;
            if self.ended || !self.examiner.waiting.is_empty() {
                return Poll::Ready(Ok(()));
            }
        } else if !self.follows_tail()? {
            self.ended = true;
            return Poll::Ready(Ok(()));
        }
        if let Phase::Beginning = self.examiner.phase {
            // Also verifies the cursor, which memory may have vouched for although the log was
            // replaced.
            let verify = StoreStep::verify(&self.shared, self.examiner.scanned);
            ready!(self.begin_step(cx, verify))?;
        }
        if self.examine_page() {
            return Poll::Ready(Ok(()));
        }
        match self.examine_ring() {
            // Not before the head is reached, which every event moves closer to.
            InRing::Nothing if matches!(self.examiner.phase, Phase::CatchingUp { .. }) => {
                self.poll_wait(cx, WakeFor::Any)
            }
            InRing::Events | InRing::Nothing => Poll::Ready(Ok(())),
            InRing::Outside => {
                let step = self.read_store();
                self.begin_step(cx, step)
            }
        }
    }

    /// Waits until there is more to examine.
    fn poll_wait(&mut self, cx: &mut Context<'_>, wake_for: WakeFor) -> Poll<Result<()>> {
        let change = self.registration.poll(
            cx,
            wake_for,
            &mut self.examiner.scanned,
            self.examiner.delivered,
        );
        // Thousands of subscriptions may wait here, so memory that was needed for a burst is freed.
        if change.is_pending() {
            self.examiner.shrink();
            self.catch_up = None;
        }
        match ready!(change) {
            Change::More => {}
            Change::CheckpointDue => self.examiner.push(Item::Checkpoint(self.examiner.scanned)),
            Change::Replaced => {
                return Poll::Ready(Err(Error::history_changed(self.examiner.scanned)));
            }
            Change::Stopped => self.ended = true,
        }
        Poll::Ready(Ok(()))
    }

    fn begin_step(&mut self, cx: &mut Context<'_>, step: StoreStep) -> Poll<Result<()>> {
        self.step = Some(step);
        self.poll_step(cx)
    }

    /// Waits for the store, if the subscription needs something of it.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(step) = &mut self.step else { return Poll::Ready(Ok(())) };
        let result = ready!(step.poll(cx));
        self.step = None;
        match result {
            StepResult::Begun(head) => self.begin(head?),
            StepResult::Behind(head) => self.examiner.fall_behind(head?),
            StepResult::Page { catch_up, page, head } => {
                self.catch_up = Some(catch_up);
                self.page_was_read(page?, head);
            }
            StepResult::Paused => {}
        }
        Poll::Ready(Ok(()))
    }

    /// Returns `false` after the hub was shut down.
    fn follows_tail(&mut self) -> Result<bool> {
        match self.registration.look(&mut self.examiner.scanned) {
            Glance::Nothing | Glance::More => Ok(true),
            Glance::Replaced => Err(Error::history_changed(self.examiner.scanned)),
            Glance::Stopped => Ok(false),
        }
    }

    /// Examines more events in memory. Returns `false` if there are none.
    fn examine_memory(&mut self) -> bool {
        // What the store returns follows what was examined before.
        if self.ended || self.step.is_some() || matches!(self.examiner.phase, Phase::Beginning) {
            return false;
        }
        match self.registration.look(&mut self.examiner.scanned) {
            Glance::More => {}
            Glance::Nothing if !matches!(self.examiner.phase, Phase::Live) => {}
            Glance::Nothing | Glance::Replaced | Glance::Stopped => return false,
        }
        self.examine_page() || matches!(self.examine_ring(), InRing::Events)
    }

    fn begin(&mut self, head: Cursor) {
        if head.position() > self.shared.tip().position() {
            self.shared.wake_tail.notify_one();
        }
        self.examiner.catch_up_to(head);
    }

    /// Examines the next events from the ring.
    fn examine_ring(&mut self) -> InRing {
        let Window::Inside(events) = self.shared.window(self.examiner.scanned, BATCH) else {
            return InRing::Outside;
        };
        let is_empty = events.is_empty();
        self.examiner.examine_all(events, self.registration.filter(), &self.shared.tuning);
        self.examiner.is_in_ring();
        if is_empty { InRing::Nothing } else { InRing::Events }
    }

    fn examine_page(&mut self) -> bool {
        self.examiner.examine_page(self.registration.filter(), &self.shared.tuning)
    }

    /// What to read of the store if the next events are no longer in the ring.
    fn read_store(&mut self) -> StoreStep {
        let head = match self.examiner.phase {
            Phase::CatchingUp { head } => head,
            Phase::Passed => self.shared.tip(),
            Phase::Beginning | Phase::Live => {
                count(&self.shared.counters.fallen_behind);
                return StoreStep::fall_behind(&self.shared);
            }
        };
        let catch_up = self.catch_up.take().unwrap_or_default();
        let filter = self.registration.filter().clone();
        StoreStep::read_page(&self.shared, catch_up, filter, self.examiner.scanned, head)
    }

    fn page_was_read(&mut self, page: Arc<CachedPage>, head: Cursor) {
        if page.to == self.examiner.scanned {
            // The store has no more events, but the ring does not hold the cursor: the tail has to
            // read the log first.
            self.shared.wake_tail.notify_one();
            self.step = Some(StoreStep::pause(SHORT_PAUSE));
            return;
        }
        let to = page.to;
        let (filter, tuning) = (self.registration.filter(), &self.shared.tuning);
        if self.examiner.take_page(page, self.budget.as_ref(), filter, tuning)
            && let Some(room) = PageRoom::reserve(self.budget.as_ref(), tuning)
            && let Some(catch_up) = &mut self.catch_up
        {
            catch_up.read_ahead(&self.shared, filter, (to, head), room);
        }
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
            .field("cursor", &self.examiner.delivered)
            .field("filter", self.registration.filter())
            .field("phase", &self.examiner.phase)
            .finish_non_exhaustive()
    }
}
