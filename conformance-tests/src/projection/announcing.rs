use std::sync::{Arc, Mutex, PoisonError};

use downlink::projection::ProjectionBuilder;
use downlink::{Event, Hub, Position, ProjectionHandle};
use futures::StreamExt;
use futures::stream;

use super::ProjectionSetup;
use super::sample::Sample;
use super::setup::Environment;
use crate::tasks;

/// How many writes of two versions are ordered: each is made by one version or
/// by the other.
const WRITES: u32 = 5;

/// How many of them are tried at once, each in a store of its own: most of the time they wait for
/// the store.
const AT_ONCE: usize = 4;

/// **Law.** While one version lags behind, the next takes its place: each event
/// after the first version was complete is announced once, by one of the two,
/// in every order of their writes, and also if the first version is shut down
/// before it gets there.
pub async fn every_event_is_announced_once(setup: &ProjectionSetup) {
    let orders = (0..1 << WRITES).flat_map(|order| [(order, false), (order, true)]);
    let take_overs =
        stream::iter(orders).for_each_concurrent(AT_ONCE, |(order, ends)| async move {
            let env = setup.open().await;
            take_over(&env, order, ends).await;
        });
    take_overs.await;
}

async fn take_over(env: &Environment, order: u32, ends: bool) {
    let (one, two) = (Sample::new("board", 1), Sample::new("board", 2));
    let hub = env.hub().await;
    let told = Announced::default();
    env.append(2).await;
    let first = told.start(env, &hub, &one);
    soon(first.wait_live()).await.expect("a complete read model");
    let history = env.log().await;

    let turns = (0..WRITES).map(|write| if order >> write & 1 == 0 { &one } else { &two });
    env.faults().order(turns.map(|sample| sample.id.clone()));
    env.append(3).await;
    let second = told.start(env, &hub, &two);
    if ends {
        // No step is in progress after this: its events might be known to this version only.
        soon(first.pause()).await.expect("a pause");
        first.shutdown().await;
    }
    soon(second.wait_live()).await.expect("a complete read model");
    let last = env.append(2).await.cursor;
    soon(second.wait_for(last)).await.expect("the second version to continue");

    let log = env.log().await;
    let expected: Vec<_> = log[history.len()..].iter().map(Event::position).collect();
    told.until(expected.len()).await;
    first.shutdown().await;
    second.shutdown().await;
    let told = told.positions();
    assert!(
        told == expected,
        "the events at {expected:?} were announced as {told:?}, with the order {order:0b} of \
         writes: what a version has not announced when another replaces it has to be announced by \
         that one"
    );
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tasks::soon("a projection does not continue", future).await
}

/// The positions of the events that were announced.
#[derive(Clone, Default)]
pub(super) struct Announced(Arc<Mutex<Vec<Position>>>);

impl Announced {
    fn start(&self, env: &Environment, hub: &Hub, sample: &Sample) -> ProjectionHandle {
        let builder = env.model(sample).project(hub).with_batch(1, usize::MAX);
        self.record(builder).start().expect("a projection to start")
    }

    /// Records what this projection announces.
    pub(super) fn record(&self, builder: ProjectionBuilder) -> ProjectionBuilder {
        let told = self.clone();
        builder.on_applied(move |events: Vec<Event>| {
            let told = told.clone();
            async move { told.add(&events) }
        })
    }

    fn add(&self, events: &[Event]) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.extend(events.iter().map(Event::position));
    }

    pub(super) fn positions(&self) -> Vec<Position> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        told.sort_unstable();
        told
    }

    /// Waits for this many events: they are in the read model before they are
    /// announced.
    pub(super) async fn until(&self, count: usize) {
        let enough = async {
            while self.positions().len() < count {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        let what = "an event is announced by no version: what a version has not announced when \
                    another replaces it has to be announced by that one";
        tasks::soon(what, enough).await;
    }
}
