use std::sync::Arc;
use std::time::Duration;

use downlink::{After, Append, Cursor, EventStore, Expected, Filter, Item, Subscribe};
use futures::FutureExt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::setup::{Environment, Follower};
use super::{HubOptions, SubscriptionSetup};
use crate::faults::BusFault;
use crate::run::LawRun;
use crate::sample::{any_appends, any_filter, append, of_type};
use crate::tasks;

#[derive(Clone, Debug)]
struct Scenario {
    before: Vec<Append>,
    /// Appends, and how many items the subscriber takes after each.
    during: Vec<(Append, usize)>,
    from: Index,
    filter: Filter,
    ring: usize,
    page: usize,
    checkpoint: usize,
}

fn any_scenario() -> impl Strategy<Value = Scenario> {
    let during =
        (any_appends(1), 0..4_usize).prop_map(|(mut append, items)| (append.remove(0), items));
    (
        (any_appends(0..8), vec(during, 0..10), any::<Index>(), any_filter()),
        (1..12_usize, 1..6_usize, 1..6_usize),
    )
        .prop_map(|((before, during, from, filter), (ring, page, checkpoint))| Scenario {
            before,
            during,
            from,
            filter,
            ring,
            page,
            checkpoint,
        })
}

/// **Law.** At every moment the events that a subscription has yielded are a
/// prefix of the matching events after its cursor, and at rest they are all of
/// them.
pub fn subscription_is_exact(run: &LawRun, setup: &SubscriptionSetup) {
    run.cases(48, any_scenario(), async |scenario| {
        let env = setup.open(BusFault::None).await;
        for append in &scenario.before {
            env.store.append(append.clone()).await.expect("an append");
        }
        let Scenario { ring, page, checkpoint, .. } = scenario;
        let hub = env.hub(HubOptions { ring, page, checkpoint, ..HubOptions::small() }).await;
        let log = env.log().await;
        let places: Vec<_> =
            [Cursor::START].into_iter().chain(log.iter().map(downlink::Event::cursor)).collect();
        let mut follower =
            Follower::begin(&hub, *scenario.from.get(&places), scenario.filter.clone()).await;
        for (append, items) in scenario.during {
            hub.append(append).await.expect("an append through the hub");
            for _ in 0..items {
                if let Some(Some(item)) = follower.subscription().next().now_or_never() {
                    follower.note(&item.expect("an item"));
                }
            }
            follower.verify(&env.log().await);
        }
        let log = env.log().await;
        follower.until_all_of(&log, "a subscription at rest has not all events").await;
        nothing_more(&mut follower, &env).await;
    });
}

/// Checks that a subscription at rest yields no more events.
async fn nothing_more(follower: &mut Follower, env: &Environment) {
    while let Some(Some(item)) = follower.subscription().next().now_or_never() {
        follower.note(&item.expect("an item"));
    }
    follower.verify(&env.log().await);
}

/// **Law.** A subscription that starts at `now` on an empty log misses no event
/// that is appended after it was opened.
pub async fn now_on_an_empty_log_misses_nothing(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    let hub = env.hub(HubOptions::small()).await;
    let subscribe = Subscribe::new().with_after(After::Now);
    let subscription = hub.subscribe(subscribe).await.expect("a subscription");
    let mut follower = Follower::new(subscription, downlink::Position::ZERO, Filter::everything());
    assert_eq!(follower.cursor(), Cursor::START, "the head of an empty log has to be its start");
    hub.append(append("flight-UA1545", Expected::NoStream, 3)).await.expect("an append");
    let what = "an event that was appended after subscribing at `now` was not delivered: `now` is \
                the moment at which the subscription is opened";
    follower.until_all_of(&env.log().await, what).await;
}

/// **Law.** `Live` comes when everything was delivered up to a head that is not
/// older than the subscription, also if there was nothing to deliver.
pub async fn live_comes_when_everything_was_delivered(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    for events in [0, 1, 40] {
        if events > 0 {
            let history = append("flight-UA1545", Expected::Any, events);
            env.store.append(history).await.expect("an append");
        }
        for ring in [2, 100] {
            let hub = env.hub(HubOptions { ring, page: 3, ..HubOptions::small() }).await;
            let log = env.log().await;
            let mut follower = Follower::from_start(&hub).await;
            let live = loop {
                match follower.next("`Live` did not come").await {
                    Item::Live { cursor, head } => break (cursor, head),
                    Item::Behind { .. } => panic!("`Behind` came before `Live`"),
                    _ => {}
                }
            };
            assert!(
                follower.seen.len() == log.len(),
                "`Live` came when {} of {} events had been delivered",
                follower.seen.len(),
                log.len()
            );
            let end = log.last().map_or(Cursor::START, downlink::Event::cursor);
            assert_eq!(
                live,
                (end, end),
                "`Live` has to have the cursor of the subscription and the end of the log"
            );
        }
    }
}

/// **Law.** On a log that never rests, `Live` comes as soon as everything was
/// delivered up to the head that the log had when the subscription was opened.
pub async fn live_comes_while_the_log_moves(setup: &SubscriptionSetup) {
    for ring in [100, 2] {
        let env = setup.open(BusFault::None).await;
        env.store.append(append("flight-UA1545", Expected::Any, 10)).await.expect("an append");
        let hub = env.hub(HubOptions { ring, page: 3, ..HubOptions::small() }).await;
        let mut quick = Follower::from_start(&hub).await;
        let mut follower = Follower::from_start(&hub).await;
        for appended in 1..=14 {
            hub.append(append("flight-UA1545", Expected::Any, 1)).await.expect("an append");
            // There is always another event after the one that the follower takes.
            quick.until(10 + appended, "an event did not come").await;
            follower.next("an item did not come").await;
        }
        // When it was opened, at most one of these was appended.
        assert!(
            follower.lives == 1,
            "{} events were delivered of a log that had at most 11 when the subscription was \
             opened, and `Live` did not come: do not wait until nothing is left",
            follower.seen.len()
        );
    }
}

/// **Law.** A subscription that starts at `now` begins at the end of the log in
/// the store, even if the hub's tail is behind, and delivers nothing that was
/// stored before it was opened.
pub async fn now_begins_at_the_head_of_the_store(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    env.store.append(append("flight-UA1545", Expected::Any, 2)).await.expect("an append");
    let hub = env.hub(HubOptions::without_polling()).await;
    env.hold_the_tail().await;
    env.store.append(append("flight-UA1545", Expected::Any, 3)).await.expect("an append");
    let head = env.store.head().await.expect("a head");
    let subscribe = hub.subscribe(Subscribe::new().with_after(After::Now));
    let subscription = tasks::soon("subscribing at `now` waits for the tail", subscribe).await;
    let subscription = subscription.expect("a subscription");
    assert_eq!(
        subscription.cursor(),
        head,
        "`now` is the tip of the tail: use the end of the log in the store, or older events are \
         delivered as new"
    );
    let mut follower = Follower::new(subscription, head.position(), Filter::everything());
    env.store.before_tail_read().release();
    hub.append(append("flight-UA1545", Expected::Any, 2)).await.expect("an append");
    let what = "an event that was appended after subscribing at `now` was not delivered";
    follower.until_all_of(&env.log().await, what).await;
    nothing_more(&mut follower, &env).await;
}

/// **Law.** `Live` waits until everything was delivered that was stored when
/// the subscription was opened, even if the hub's tail is behind.
pub async fn live_waits_for_the_head_at_open(setup: &SubscriptionSetup) {
    for (events, ring) in [(1, 100), (40, 100), (40, 2)] {
        let env = setup.open(BusFault::None).await;
        let options = HubOptions { ring, page: 3, ..HubOptions::without_polling() };
        let hub = env.hub_in_another_process(options).await;
        env.hold_the_tail().await;
        env.store.append(append("flight-UA1545", Expected::Any, events)).await.expect("an append");
        let mut follower = Follower::from_start(&hub).await;
        let gate = env.store.before_tail_read().clone();
        tokio::spawn(async move {
            // Enough time to report it too early.
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            gate.release();
        });
        follower.until_live().await;
        assert!(
            follower.seen.len() == events,
            "`Live` came when {} of {events} events had been delivered that were stored when the \
             subscription was opened: wait for the end of the log, not for the tail",
            follower.seen.len()
        );
        follower.verify(&env.log().await);
    }
}

/// **Law.** A subscription that resumes from the cursor of any item, in another
/// process, gets exactly what comes after it.
pub async fn a_restarted_process_resumes_exactly(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    for batch in [3, 1, 4, 1, 5] {
        env.store.append(append("flight-UA1545", Expected::Any, batch)).await.expect("an append");
    }
    let log = env.log().await;
    for items in 0..=log.len() + 1 {
        let first = env.hub(HubOptions { ring: 4, page: 3, ..HubOptions::small() }).await;
        let mut follower = Follower::from_start(&first).await;
        for _ in 0..items {
            follower.next("an item did not come").await;
        }
        let (cursor, seen) = (follower.cursor(), follower.seen.clone());
        drop((follower, first));
        let second = env.hub(HubOptions { ring: 4, page: 3, ..HubOptions::small() }).await;
        let mut resumed = Follower::begin(&second, cursor, Filter::everything()).await;
        resumed.until_live().await;
        let both: Vec<_> = seen.iter().chain(&resumed.seen).cloned().collect();
        assert!(
            both == log,
            "a subscription that was resumed after {items} items delivered {} events in total, of \
             a log of {}: the cursor is that of the last item returned, and is exclusive",
            both.len(),
            log.len()
        );
    }
}

/// **Law.** A filter that matches next to nothing does not keep a subscription
/// from the end of the log, and its cursor advances.
pub async fn a_sparse_filter_reaches_the_end(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    env.store.append(append("flight-UA1545", Expected::Any, 60)).await.expect("an append");
    let rare = Append::to("flight-UA1545", Expected::Any, [crate::sample::event("FlightDiverted")]);
    env.store.append(rare.expect("a valid name")).await.expect("an append");
    env.store.append(append("flight-UA1545", Expected::Any, 40)).await.expect("an append");
    let store: Arc<dyn EventStore> = Arc::new(env.store.clone());
    for (kind, count) in [("FlightDiverted", 1), ("Never", 0)] {
        let checkpoint_interval = Duration::from_millis(20);
        let small = HubOptions::small();
        let options =
            HubOptions { ring: 40, page: 8, checkpoint: 10, checkpoint_interval, ..small };
        let hub = env.hub(options).await;
        let mut follower = Follower::begin(&hub, Cursor::START, of_type(kind)).await;
        let what = "an event behind many that do not match was not delivered: continue after \
                    `scanned`, also if a page has no events";
        follower.until(count, what).await;
        while follower.lives == 0 {
            follower.next("a filter that matches nothing keeps a subscription from `Live`").await;
        }
        let head = store.head().await.expect("a head");
        assert_eq!(follower.cursor(), head, "the cursor has to advance even if nothing matches");
        hub.append(append("flight-UA1545", Expected::Any, 25)).await.expect("an append");
        let moved = store.head().await.expect("a head");
        let what = "a live subscription to which nothing matches did not get a checkpoint";
        while follower.cursor().position() <= head.position() {
            follower.next(what).await;
        }
        assert!(
            follower.cursor().position() <= moved.position(),
            "a cursor is past the end of the log"
        );
        follower.verify(&env.log().await);
    }
}
