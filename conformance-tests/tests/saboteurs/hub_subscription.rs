use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use downlink::filter::Pattern;
use downlink::store::Page;
use downlink::{After, Cursor, Error, Event, Filter, Item, Position, Read, Result, Subscribe};
use downlink_conformance_tests::subscription::SubscriptionUnderTest;
use tokio::sync::watch;
use tokio::task::yield_now;

use crate::hub::Shared;
use crate::hub_bug::HubBug;

/// A subscription of a small hub.
pub(crate) struct Follow {
    shared: Arc<Shared>,
    filter: Filter,
    tip: watch::Receiver<Cursor>,
    scanned: Cursor,
    delivered: Cursor,
    waiting: VecDeque<Item>,
    phase: Phase,
    unmatched: usize,
    place: Arc<AtomicU64>,
    history: u64,
    ended: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Late,
    Beginning,
    CatchingUp(Cursor),
    Live,
}

impl Follow {
    pub(crate) async fn open(shared: Arc<Shared>, subscribe: &Subscribe) -> Result<Self> {
        let tip = shared.tip.subscribe();
        let history = shared.history.load(Ordering::SeqCst);
        let late = shared.is(HubBug::ResolvesNowLate) && subscribe.after() == After::Now;
        let begin = match subscribe.after() {
            After::Now if shared.is(HubBug::UsesTheTipAsNow) => *shared.tip.borrow(),
            After::Now => shared.store.head().await?,
            After::Cursor(cursor) if shared.is(HubBug::ResumesInclusively) => before(cursor),
            After::Cursor(cursor) => cursor,
            _ => Cursor::START,
        };
        Ok(Self {
            filter: subscribe.filter().clone(),
            tip,
            scanned: begin,
            delivered: begin,
            waiting: VecDeque::new(),
            phase: if late { Phase::Late } else { Phase::Beginning },
            unmatched: 0,
            place: shared.register(),
            history,
            ended: false,
            shared,
        })
    }

    fn is(&self, bug: HubBug) -> bool {
        self.shared.is(bug)
    }

    async fn advance(&mut self) -> Result<()> {
        self.tip.borrow_and_update();
        if self.shared.history.load(Ordering::SeqCst) != self.history {
            return Err(Error::history_changed(self.scanned));
        }
        if self.phase == Phase::Late {
            self.scanned = self.shared.store.head().await?;
            self.phase = Phase::Beginning;
        }
        if self.phase == Phase::Beginning {
            let head = self.shared.store.head().await?;
            self.phase = Phase::CatchingUp(head);
            self.shared.nudge.notify_one();
        }
        let Some(events) = self.shared.after(self.scanned) else { return self.outside().await };
        if events.is_empty() {
            self.at_the_tip().await;
        }
        self.look_at(events);
        self.place.store(self.scanned.position().get(), Ordering::SeqCst);
        Ok(())
    }

    fn look_at(&mut self, events: Vec<Event>) {
        for event in events {
            self.scanned = event.cursor();
            if self.filter.matches_event(&event) {
                self.unmatched = 0;
                self.waiting.push_back(Item::Event(event));
            } else {
                self.unmatched += 1;
            }
            self.live_if_there();
        }
        if self.unmatched >= self.shared.options.checkpoint {
            self.checkpoint();
        }
    }

    fn live_if_there(&mut self) {
        if let Phase::CatchingUp(head) = self.phase
            && self.scanned.position() >= head.position()
            && !self.is(HubBug::ReportsLiveOnlyWhenIdle)
        {
            self.phase = Phase::Live;
            self.waiting.push_back(Item::Live { cursor: self.scanned, head });
        }
    }

    fn checkpoint(&mut self) {
        self.unmatched = 0;
        if !self.is(HubBug::NeverSendsACheckpoint) {
            self.waiting.push_back(Item::Checkpoint(self.scanned));
        }
    }

    async fn at_the_tip(&mut self) {
        match self.phase {
            Phase::CatchingUp(head)
                if self.scanned.position() >= head.position()
                    || self.is(HubBug::ReportsLiveAtTheTip) =>
            {
                self.phase = Phase::Live;
                self.waiting.push_back(Item::Live { cursor: self.scanned, head });
            }
            _ if self.is(HubBug::LooksBeforeItWaits) => {
                yield_now().await;
                self.scanned = *self.tip.borrow_and_update();
                drop(self.tip.changed().await);
            }
            _ => self.wait().await,
        }
    }

    /// Waits for the tail or for the next tick, at which a checkpoint is due.
    async fn wait(&mut self) {
        let tick = tokio::time::sleep(self.shared.options.checkpoint_interval);
        tokio::select! {
            // This fails only if the hub was dropped, which ends the law, too.
            _ = self.tip.changed() => self.skip_what_does_not_wake(),
            () = tick => {
                if self.is(HubBug::ReportsTheTipAtATick) {
                    // Events may come which it has not examined.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    let tip = *self.tip.borrow();
                    self.unmatched += usize::from(self.scanned != tip);
                    self.scanned = tip;
                }
                if self.unmatched > 0 {
                    self.checkpoint();
                }
            }
        }
    }

    fn skip_what_does_not_wake(&mut self) {
        let by_whole_names = self.filter.queries().iter().flatten().all(|item| {
            let mut streams = item.parts().streams.iter();
            streams.all(|pattern| matches!(pattern, Pattern::Is(_)))
        });
        if self.is(HubBug::WakesForWholeNamesOnly) && !by_whole_names {
            self.scanned = *self.tip.borrow();
        }
    }

    async fn outside(&mut self) -> Result<()> {
        if self.phase == Phase::Live {
            match self.shared.bug {
                Some(HubBug::EndsWhenLagging) => self.ended = true,
                Some(HubBug::SkipsWhenLagging) => self.scanned = self.shared.floor(),
                _ => {
                    let head = self.shared.store.head().await?;
                    self.phase = Phase::CatchingUp(head);
                    self.waiting.push_back(Item::Behind { cursor: self.scanned, head });
                }
            }
            return Ok(());
        }
        let page = match self.shared.kept(self.scanned) {
            Some(page) => page,
            None => self.page().await?,
        };
        self.shared.keep(self.scanned, &page);
        self.take(page).await;
        Ok(())
    }

    async fn page(&self) -> Result<Page> {
        let read =
            Read::log().with_after(self.scanned.position()).with_limit(self.shared.options.page);
        let filter = self.filter.clone();
        let after_limit = self.is(HubBug::FiltersAfterTheLimit);
        let read = if after_limit { read } else { read.with_filter(filter) };
        loop {
            match self.shared.store.read_log(read.clone()).await {
                Err(error) if error.is_retryable() && !self.is(HubBug::EndsAtAFailedRead) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn take(&mut self, mut page: Page) {
        if self.is(HubBug::FiltersAfterTheLimit) {
            page.events.retain(|event| self.filter.matches_event(event));
            if page.events.is_empty() {
                // Nothing in the page matches, so the bug takes it for the end of the log.
                drop(self.tip.changed().await);
                return;
            }
        }
        let found = !page.events.is_empty();
        let events = page.events.into_iter().map(Item::Event);
        if self.is(HubBug::MovesTheCursorBeforeDelivery) {
            self.scanned = page.scanned;
            yield_now().await;
        }
        self.waiting.extend(events);
        self.scanned = page.scanned;
        if !found {
            self.checkpoint();
        }
        self.live_if_there();
        if let (true, Phase::CatchingUp(head)) = (self.is(HubBug::ReportsLiveTooEarly), self.phase)
        {
            self.waiting.push_back(Item::Live { cursor: self.scanned, head });
        }
        if self.is(HubBug::ReadsHistoryAndThenSubscribes) && !page.more {
            for _ in 0..50 {
                yield_now().await;
            }
            self.scanned = *self.shared.tip.borrow();
        }
    }
}

fn before(cursor: Cursor) -> Cursor {
    let place = cursor.position().get().checked_sub(1).and_then(Position::new);
    let id = downlink::EventId::from_bytes([0; 16]);
    match place {
        Some(place) if place > Position::ZERO => Cursor::of(place, id),
        _ => Cursor::START,
    }
}

#[async_trait]
impl SubscriptionUnderTest for Follow {
    async fn next(&mut self) -> Option<Result<Item>> {
        loop {
            if let Some(item) = self.waiting.pop_front() {
                self.delivered = item.cursor();
                return Some(Ok(item));
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.advance().await {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }

    fn cursor(&self) -> Cursor {
        if self.is(HubBug::ReportsTheScannedCursor) { self.scanned } else { self.delivered }
    }
}
