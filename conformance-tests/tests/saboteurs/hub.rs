use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use downlink::bus::Hint;
use downlink::store::{Appended, Page};
use downlink::{Append, Bus, Cursor, Event, EventStore, Position, Result, Subscribe};
use downlink_conformance_tests::subscription::{
    HubFixture, HubOptions, HubUnderTest, SubscriptionUnderTest,
};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{Instant, timeout};

use crate::hub_bug::HubBug;
use crate::hub_subscription::Follow;
use crate::hub_tail;

/// Starts small hubs that are correct except for this bug.
pub(crate) struct BrokenHubs(pub(crate) Option<HubBug>);

#[async_trait]
impl HubFixture for BrokenHubs {
    async fn start(
        &self,
        store: Arc<dyn EventStore>,
        bus: Arc<dyn Bus>,
        options: HubOptions,
    ) -> Result<Arc<dyn HubUnderTest>> {
        let commits = store.commits();
        let head = store.head().await?;
        let shared = Arc::new(Shared {
            bug: self.0,
            has_notices: commits.is_some(),
            store,
            bus,
            options,
            ring: Mutex::new(Ring { events: VecDeque::new(), floor: head }),
            tip: watch::Sender::new(head),
            nudge: Notify::new(),
            publish: Notify::new(),
            failures: AtomicU64::new(0),
            slowest: Mutex::default(),
            history: AtomicU64::new(0),
            kept: Mutex::default(),
        });
        let tail = tokio::spawn(hub_tail::run(Arc::clone(&shared), commits));
        let publisher = tokio::spawn(publish(Arc::clone(&shared)));
        Ok(Arc::new(MiniHub { shared, tasks: [tail.abort_handle(), publisher.abort_handle()] }))
    }
}

/// The state that the tail, the publisher and the subscriptions share.
pub(crate) struct Shared {
    pub(crate) bug: Option<HubBug>,
    has_notices: bool,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) options: HubOptions,
    ring: Mutex<Ring>,
    pub(crate) tip: watch::Sender<Cursor>,
    pub(crate) nudge: Notify,
    publish: Notify,
    failures: AtomicU64,
    /// The position of each subscriber, for the bug that waits for all of them.
    slowest: Mutex<Vec<Arc<AtomicU64>>>,
    /// How often the hub found that the log was replaced.
    pub(crate) history: AtomicU64,
    /// Pages by the position after which they start, for the bug that keeps them.
    kept: Mutex<HashMap<Position, Page>>,
}

struct Ring {
    events: VecDeque<Event>,
    floor: Cursor,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn is(&self, bug: HubBug) -> bool {
        self.bug == Some(bug)
    }

    /// The events in memory after `cursor`; `None` if some of them are no
    /// longer in memory.
    pub(crate) fn after(&self, cursor: Cursor) -> Option<Vec<Event>> {
        let ring = locked(&self.ring);
        if cursor.position() < ring.floor.position() && !self.is(HubBug::KeepsNoFloor) {
            return None;
        }
        let later = |event: &&Event| event.position() > cursor.position();
        Some(ring.events.iter().filter(later).cloned().collect())
    }

    pub(crate) fn holds(&self, cursor: Cursor) -> bool {
        locked(&self.ring).events.iter().any(|event| event.cursor() == cursor)
    }

    /// Restarts at the head of another log.
    pub(crate) fn begin_again(&self, head: Cursor) {
        *locked(&self.ring) = Ring { events: VecDeque::new(), floor: head };
        self.history.fetch_add(1, Ordering::SeqCst);
        self.tip.send_replace(head);
    }

    pub(crate) fn kept(&self, after: Cursor) -> Option<Page> {
        locked(&self.kept).get(&after.position()).cloned()
    }

    pub(crate) fn keep(&self, after: Cursor, page: &Page) {
        if self.is(HubBug::KeepsPagesAboveTheTip) {
            locked(&self.kept).insert(after.position(), page.clone());
        }
    }

    pub(crate) fn floor(&self) -> Cursor {
        locked(&self.ring).floor
    }

    pub(crate) async fn extend(&self, events: Vec<Event>, tip: Cursor) {
        {
            let mut ring = locked(&self.ring);
            ring.events.extend(events);
            while ring.events.len() > self.options.ring && !self.is(HubBug::KeepsEverything) {
                let oldest = ring.events.pop_front().expect("more than none");
                ring.floor = oldest.cursor();
            }
        }
        self.tip.send_replace(tip);
        while self.is(HubBug::SharesOneQueue) && self.a_subscriber_is_before(self.floor()) {
            tokio::time::sleep(self.options.poll_interval).await;
        }
    }

    fn a_subscriber_is_before(&self, cursor: Cursor) -> bool {
        let place = cursor.position().get();
        locked(&self.slowest).iter().any(|other| other.load(Ordering::SeqCst) < place)
    }

    pub(crate) fn register(&self) -> Arc<AtomicU64> {
        let place = Arc::new(AtomicU64::new(u64::MAX));
        locked(&self.slowest).push(Arc::clone(&place));
        place
    }
}

struct MiniHub {
    shared: Arc<Shared>,
    tasks: [AbortHandle; 2],
}

impl Drop for MiniHub {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

#[async_trait]
impl HubUnderTest for MiniHub {
    async fn append(&self, append: Append) -> Result<Appended> {
        let shared = Arc::clone(&self.shared);
        match shared.bug {
            Some(HubBug::PublishesBeforeTheCommit) => {
                shared.bus.publish(Hint::anything()).await?;
                for _ in 0..50 {
                    yield_now().await;
                }
                let outcome = shared.store.append(append).await;
                shared.nudge.notify_one();
                outcome
            }
            Some(HubBug::PublishesInTheCaller | HubBug::FailsWithTheBus) => {
                let appended = shared.store.append(append).await?;
                shared.nudge.notify_one();
                shared.bus.publish(Hint::anything()).await?;
                Ok(appended)
            }
            _ => {
                let task = tokio::spawn(async move {
                    let outcome = shared.store.append(append).await;
                    if outcome.is_err() && shared.is(HubBug::SendsNoHintAfterAnError) {
                        return outcome;
                    }
                    if !shared.has_notices {
                        shared.nudge.notify_one();
                    }
                    shared.publish.notify_one();
                    outcome
                });
                task.await.expect("an append without a panic")
            }
        }
    }

    async fn subscribe(&self, subscribe: Subscribe) -> Result<Box<dyn SubscriptionUnderTest>> {
        Ok(Box::new(Follow::open(Arc::clone(&self.shared), &subscribe).await?))
    }

    fn failed_publications(&self) -> u64 {
        self.shared.failures.load(Ordering::SeqCst)
    }
}

/// Publishes one hint for all appends since the last one.
async fn publish(shared: Arc<Shared>) {
    let mut last: Option<Instant> = None;
    loop {
        shared.publish.notified().await;
        let lately = last.is_some_and(|last| last.elapsed() < shared.options.poll_interval);
        if shared.is(HubBug::NeverSendsTheLastHint) && lately {
            continue;
        }
        last = Some(Instant::now());
        let published = shared.bus.publish(Hint::at(shared.tip.borrow().position()));
        let failed =
            !matches!(timeout(shared.options.publish_deadline, published).await, Ok(Ok(())));
        if failed && !shared.is(HubBug::CountsNoFailures) {
            shared.failures.fetch_add(1, Ordering::SeqCst);
        }
    }
}
