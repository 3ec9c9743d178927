//! Laws of [`Bus`]. The laws of [`subscription`](mod@crate::subscription) check
//! that subscriptions stay exact whatever a bus does.

use std::sync::Arc;

use downlink::bus::{Hint, Listener};
use downlink::{Bus, EventStore, Expected, Result};
use futures::future::join_all;
use futures::{FutureExt, StreamExt};

use crate::fixture::{BusFixture, Guard, StoreFixture};
use crate::sample::append;
use crate::tasks;

/// The most hints that may wait for a listener that does not listen.
const BOUND: usize = 4_096;

/// A bus and the store whose appends it announces.
pub struct BusSetup {
    store: Arc<dyn StoreFixture>,
    bus: Arc<dyn BusFixture>,
}

impl std::fmt::Debug for BusSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BusSetup")
    }
}

impl BusSetup {
    /// Tests this bus, with hints about appends to this store.
    #[must_use]
    pub fn new(store: impl StoreFixture, bus: impl BusFixture) -> Self {
        Self { store: Arc::new(store), bus: Arc::new(bus) }
    }

    async fn open(&self) -> Result<(Arc<dyn EventStore>, Arc<dyn Bus>, Guard)> {
        let (store, guard) = self.store.open().await?;
        let bus = self.bus.open(&guard).await?;
        Ok((store, bus, guard))
    }
}

/// **Law.** After the last of a burst of publications, made when its commit is
/// visible, every listener wakes at least once and finds the commit.
pub async fn the_last_hint_wakes_every_listener(setup: &BusSetup) {
    let (store, bus, _guard) = setup.open().await.expect("a store and a bus");
    for burst in [1, 2, 7, 50] {
        let listeners = join_all((0..3).map(|_| bus.listen())).await;
        let mut listeners: Vec<_> =
            listeners.into_iter().map(|listener| listener.expect("a listener")).collect();
        let mut last = store.head().await.expect("a head").position();
        for _ in 0..burst {
            let appended = store.append(append("flight-UA1545", Expected::Any, 1)).await;
            last = appended.expect("an append").last();
            bus.publish(Hint::at(last)).await.expect("a healthy bus takes a hint");
        }
        // Hints before the last may still arrive, so each listener checks after every hint.
        for listener in &mut listeners {
            let woken = wakes_after(listener, &*store, last);
            tasks::soon("a listener was not woken after a publication", woken).await;
        }
        one_by_one(&*store, &*bus, &mut listeners).await;
    }
}

async fn wakes_after(listener: &mut Listener, store: &dyn EventStore, last: downlink::Position) {
    loop {
        assert!(listener.next().await.is_some(), "a listener ended while its bus was healthy");
        if store.head().await.expect("a head").position() >= last {
            return;
        }
    }
}

/// Publishes bursts of two to listeners that have taken every earlier hint: the
/// second hint of a burst is the one that a throttle loses.
async fn one_by_one(store: &dyn EventStore, bus: &dyn Bus, listeners: &mut [Listener]) {
    for _ in 0..5 {
        for listener in &mut *listeners {
            while listener.next().now_or_never().flatten().is_some() {}
        }
        for step in 0..2 {
            let appended = store.append(append("flight-UA1545", Expected::Any, 1)).await;
            let last = appended.expect("an append").last();
            bus.publish(Hint::at(last)).await.expect("a healthy bus takes a hint");
            for listener in &mut *listeners {
                let what = if step == 0 {
                    "a listener was not woken by a single hint"
                } else {
                    "a listener was not woken by the last hint of a burst: coalesce hints, but \
                     deliver one after the last publication"
                };
                tasks::soon(what, wakes_after(listener, store, last)).await;
            }
        }
    }
}

/// **Law.** Publishing never waits for a listener, and a listener that does not
/// listen costs no memory that grows.
pub async fn publishing_never_waits_for_listeners(setup: &BusSetup) {
    let (store, bus, _guard) = setup.open().await.expect("a store and a bus");
    let mut idle = bus.listen().await.expect("a listener");
    let last = store.append(append("flight-UA1545", Expected::Any, 1)).await.expect("an append");
    let all = async {
        for _ in 0..4 * BOUND {
            bus.publish(Hint::at(last.last())).await.expect("a healthy bus takes a hint");
        }
    };
    tasks::soon("publishing waits for a listener that does not listen", all).await;
    // Unconstrained, because the runtime would otherwise pause a task that takes many hints.
    let next = || tokio::task::unconstrained(idle.next()).now_or_never().flatten();
    let waiting = std::iter::from_fn(next).take(BOUND + 1).count();
    assert!(
        waiting <= BOUND,
        "more than {BOUND} hints wait for a listener that does not listen: keep one, not all"
    );
}
