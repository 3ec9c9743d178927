use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::warn;

use super::ring::Window;
use super::shared::{Progress, Shared};
use super::stats::count;
use super::{After, Item, Subscribe};
use crate::{Cursor, Error, ErrorKind, Event, Filter, Read, Result, limits};

/// Events that are taken from the ring at a time.
const RUN: usize = 64;

/// How often a read is tried whose error says neither that it passes nor that
/// it stays: over about three seconds.
const BACKEND_TRIES: u32 = 10;

/// A cursor, a filter, and the endless sequence of items after it.
///
/// # Falling behind
///
/// There is no queue per subscriber, so however slow one is, it costs neither
/// memory nor anybody else's time, and nothing is lost. One that fell out of
/// the newest events yields [`Item::Behind`], reads from the store, and yields
/// [`Item::Live`] when it has caught up.
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
///    subscription is opened \[`now_on_an_empty_log_misses_nothing`\]; `Live`
///    comes when everything was delivered
///    \[`live_comes_when_everything_was_delivered`\].
/// 2. **Hints** may be lost \[`lost_hints_cost_only_time`\] or come during a
///    read \[`a_hint_during_a_read_is_not_lost`\]; one is enough for many pages
///    \[`one_hint_is_enough`\]; a bus that is down stops nothing
///    \[`a_bus_that_is_down_stops_nothing`\].
/// 3. **Appends** are told at once \[`delivery_does_not_wait_for_the_fallback`\],
///    also those of a caller who went away \[`a_dropped_append_is_told`\].
/// 4. **Subscribers** may be slow \[`falling_behind_loses_nothing`\] or stop
///    \[`a_slow_subscriber_hurts_nobody`\], drop `next`
///    \[`a_dropped_next_loses_nothing`\], begin again in another process
///    \[`a_restarted_process_resumes_exactly`\] and ask for what hardly ever
///    comes \[`a_sparse_filter_reaches_the_end`\].
/// 5. **Reads** that fail are repeated \[`a_failed_read_is_repeated`\].
///
/// # Examples
///
/// See [`Hub`](crate::Hub).
pub struct Subscription {
    shared: Arc<Shared>,
    filter: Filter,
    progress: watch::Receiver<Progress>,
    history: u64,
    /// How far the log was looked at.
    scanned: Cursor,
    /// What was handed to the caller.
    delivered: Cursor,
    /// The end of the log when the subscription was opened.
    head: Cursor,
    waiting: VecDeque<Item>,
    phase: Phase,
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
        let history = progress.borrow().history;
        let (cursor, head) = resolve(&shared, subscribe.after, &subscribe.filter).await?;
        shared.counters.open_subscriptions.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            shared,
            filter: subscribe.filter,
            progress,
            history,
            scanned: cursor,
            delivered: cursor,
            head,
            waiting: VecDeque::new(),
            phase: Phase::Beginning,
            unreported: Unreported::default(),
            ended: false,
        })
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
            if let Some(item) = self.take() {
                return Some(Ok(item));
            }
            if self.ended || self.shared.stop.is_cancelled() {
                return None;
            }
            if let Err(error) = self.advance().await {
                self.ended = true;
                return (!self.shared.stop.is_cancelled()).then_some(Err(error));
            }
        }
    }

    /// The next item, if it is in memory: what a carrier writes together with
    /// the item before it.
    pub fn try_next(&mut self) -> Option<Item> {
        if self.waiting.is_empty() && matches!(self.phase, Phase::Live) && !self.ended {
            let history = self.progress.borrow().history;
            if history == self.history {
                self.read_ring();
            }
        }
        self.take()
    }

    /// The items as a stream, which ends after an error.
    #[must_use]
    pub fn into_stream(self) -> BoxStream<'static, Result<Item>> {
        stream::unfold(self, |mut this| async move { Some((this.next().await?, this)) }).boxed()
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
        // Marked as seen before the ring is read: what comes later wakes.
        let progress = *self.progress.borrow_and_update();
        if self.shared.stop.is_cancelled() {
            // The wake-up for it may just have been marked as seen.
            return Ok(());
        }
        if progress.history != self.history {
            return Err(Error::history_changed(self.scanned));
        }
        // What is rare is boxed: a subscription that waits, as most do, stays small.
        if let Phase::Beginning = self.phase {
            self.begin(progress).boxed().await?;
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

    async fn begin(&mut self, progress: Progress) -> Result<()> {
        let head = self.until_it_works(|shared| shared.store.head().boxed()).await?;
        self.phase = Phase::CatchingUp { head };
        if head.position() > progress.tip.position() {
            self.shared.nudge.notify_one();
        }
        Ok(())
    }

    /// Takes a run from the ring. `false` if what comes next is not there.
    fn read_ring(&mut self) -> bool {
        let Window::Inside(events) = self.shared.window(self.scanned, RUN) else { return false };
        for event in events {
            self.look_at(event);
        }
        self.checkpoint_if_due();
        true
    }

    fn look_at(&mut self, event: Event) {
        self.scanned = event.cursor();
        if self.filter.matches_event(&event) {
            self.yields(Item::Event(event));
        } else {
            self.unreported.events += 1;
            self.unreported.since.get_or_insert_with(Instant::now);
        }
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

    /// Everything that is known was looked at: says so once, and waits.
    async fn at_the_tip(&mut self) {
        if let Phase::CatchingUp { head } = self.phase
            && self.scanned.position() >= head.position()
        {
            self.phase = Phase::Live;
            return self.yields(Item::Live { cursor: self.scanned, head });
        }
        // Thousands of subscriptions wait here: none keeps what a burst needed.
        self.waiting.shrink_to(0);
        let checkpoint_at =
            self.unreported.since.map(|since| since + self.shared.tuning.checkpoint_interval);
        tokio::select! {
            // The tail writes it also when the hub stops, so that one place wakes everybody.
            _ = self.progress.changed() => {}
            () = sleep_until_some(checkpoint_at) => self.yields(Item::Checkpoint(self.scanned)),
        }
    }

    /// Reads a page of what the ring no longer has.
    async fn read_store(&mut self) -> Result<()> {
        if let Phase::Live = self.phase {
            count(&self.shared.counters.fallen_behind);
            let head = self.until_it_works(|shared| shared.store.head().boxed()).await?;
            self.phase = Phase::CatchingUp { head };
            self.yields(Item::Behind { cursor: self.scanned, head });
            return Ok(());
        }
        let tuning = self.shared.tuning;
        let read = Read::log()
            .resume(self.scanned)
            .filter(self.filter.clone())
            .limit(tuning.page_events)
            .max_bytes(tuning.page_bytes);
        let page =
            self.until_it_works(move |shared| shared.store.read(read.clone()).boxed()).await?;
        let moved = page.scanned != self.scanned;
        let found = page.events.last().map(Event::cursor);
        for event in page.events {
            self.yields(Item::Event(event));
        }
        self.scanned = page.scanned;
        if moved && found.is_none() {
            self.yields(Item::Checkpoint(page.scanned));
        }
        if !moved {
            // The store has no more, and the ring is elsewhere: the tail has yet to see what happened.
            self.shared.nudge.notify_one();
            self.at_the_tip().await;
        }
        Ok(())
    }

    /// Repeats a read that fails for a passing reason, until the hub stops.
    async fn until_it_works<T>(
        &self,
        mut read: impl FnMut(&Shared) -> futures::future::BoxFuture<'_, Result<T>>,
    ) -> Result<T> {
        let mut pause = Duration::from_millis(10);
        let mut tries = 0;
        loop {
            tries += 1;
            let Some(outcome) = self.shared.stop.run_until_cancelled(read(&self.shared)).await
            else {
                return Err(Error::new(ErrorKind::Unavailable, "the hub was shut down"));
            };
            match outcome {
                Err(error) if may_pass(&error, tries) => {
                    count(&self.shared.counters.failed_reads);
                    warn!(%error, "a subscription could not read the log; it tries again");
                    self.shared.stop.run_until_cancelled(sleep(pause)).await;
                    pause = (pause * 2).min(self.shared.tuning.fallback);
                }
                outcome => return outcome,
            }
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
            .field("cursor", &self.delivered)
            .field("filter", &self.filter)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

fn may_pass(error: &Error, tries: u32) -> bool {
    error.is_retryable() || (error.kind() == ErrorKind::Backend && tries < BACKEND_TRIES)
}

async fn sleep_until_some(deadline: Option<Instant>) {
    match deadline {
        // Boxed, because most have none and would keep its place.
        Some(deadline) => Box::pin(sleep_until(deadline)).await,
        None => std::future::pending().await,
    }
}

/// The cursor to begin after, and the head of the same snapshot or a later one.
async fn resolve(shared: &Shared, after: After, filter: &Filter) -> Result<(Cursor, Cursor)> {
    let nothing = match after {
        After::Start => Read::log().resume(Cursor::START),
        After::Cursor(cursor) => Read::log().resume(cursor),
        After::Position(position) => Read::log().after(position),
        After::Now => {
            let head = shared.store.head().await?;
            return Ok((head, head));
        }
        After::Last(count) => return before_the_last(shared, count, filter).await,
    };
    let page = shared.store.read(nothing.limit(0)).await?;
    Ok((page.scanned, page.head))
}

/// The cursor of the event before the last `count` that match.
async fn before_the_last(
    shared: &Shared,
    count: usize,
    filter: &Filter,
) -> Result<(Cursor, Cursor)> {
    if count > limits::MAX_PAGE_EVENTS {
        return Err(Error::invalid(format!(
            "the last {count} events are too many: the limit is 1,000"
        )));
    }
    let head = shared.store.head().await?;
    let (mut oldest, mut missing) = (None, count);
    let mut read = Read::log().backward().filter(filter.clone());
    while missing > 0 {
        let page = shared.store.read(read.clone().limit(missing)).await?;
        missing -= page.events.len();
        oldest = page.events.last().map(Event::position).or(oldest);
        if !page.more {
            break;
        }
        read = read.after(page.scanned.position());
    }
    let Some(oldest) = oldest else { return Ok((head, head)) };
    let before = shared.store.read(Read::log().backward().after(oldest).limit(1)).await?;
    Ok((before.events.first().map_or(Cursor::START, Event::cursor), head))
}
