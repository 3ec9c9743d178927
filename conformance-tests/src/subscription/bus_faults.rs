use downlink::bus::Hint;
use downlink::{EventStore, Expected, Position};
use tokio::task::yield_now;

use super::setup::Follower;
use super::{HubOptions, SubscriptionSetup};
use crate::faults::BusFault;
use crate::sample::append;
use crate::tasks;

/// **Law.** Whatever a bus does to hints (loses, repeats, reorders, delays or
/// forges them, or does not work at all), every subscription stays exact.
pub async fn subscriptions_survive_a_faulty_bus(setup: &SubscriptionSetup) {
    for fault in BusFault::ALL {
        let env = setup.open(fault).await;
        let (writing, reading) =
            (env.hub(HubOptions::small()).await, env.hub(HubOptions::small()).await);
        let mut own = Follower::from_start(&writing).await;
        let mut other = Follower::from_start(&reading).await;
        own.until_live().await;
        other.until_live().await;
        for turn in 0..12 {
            if turn % 3 == 0 {
                // Before the commit is visible, and far beyond what there is.
                env.bus.inject(Hint::at(Position::MAX));
                env.bus.inject(Hint::anything());
                yield_now().await;
            }
            let offered = append("flight-UA1545", Expected::Any, 1 + turn % 2);
            writing.append(offered).await.expect("an append, whatever the bus does");
        }
        let log = env.log().await;
        let what = format!("events were missed over a faulty bus ({fault:?})");
        own.until_all_of(&log, &what).await;
        other.until_all_of(&log, &what).await;
    }
}

/// **Law.** The position that a hint claims moves no cursor: a subscription
/// continues from what it delivered.
pub async fn a_forged_hint_moves_nothing(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    let hub = env.hub(HubOptions::without_polling()).await;
    let mut follower = Follower::from_start(&hub).await;
    follower.until_live().await;
    for turn in 1..=5 {
        let head = env.store.head().await.expect("a head").position();
        for forged in [Position::MAX, head.next().next(), Position::ZERO] {
            env.bus.inject(Hint::at(forged));
            // Enough time for a hub to act on the forged hint.
            for _ in 0..20 {
                yield_now().await;
            }
        }
        hub.append(append("flight-UA1545", Expected::Any, 3)).await.expect("an append");
        let what = "after a forged hint events were not delivered: move a cursor by what was read, \
                    never by what a hint claims";
        follower.until(3 * turn, what).await;
    }
    follower.verify(&env.log().await);
}

/// **Law.** A lost hint costs time and nothing else: the hub reads the log
/// within the poll interval.
pub async fn lost_hints_cost_only_time(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::LosesAll).await;
    let hub = env.hub(HubOptions::small()).await;
    let mut follower = Follower::from_start(&hub).await;
    follower.until_live().await;
    for turn in 1..=4 {
        // Appended without the hub, as another process does.
        let elsewhere = append("flight-UA1545", Expected::Any, 2);
        env.store.append(elsewhere).await.expect("an append");
        let what = "an append whose hint was lost was never delivered: read the log after the poll \
                    interval even without a hint";
        follower.until(2 * turn, what).await;
    }
    follower.verify(&env.log().await);
}

/// **Law.** A hub delivers what is appended through it at once, even while
/// `listen` of its bus hangs.
pub async fn a_bus_that_never_listens_delays_nothing(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::HangsOnListen).await;
    let hub = env.hub(HubOptions::without_polling()).await;
    let mut follower = Follower::from_start(&hub).await;
    follower.until_live().await;
    for turn in 1..=5 {
        hub.append(append("flight-UA1545", Expected::Any, 2)).await.expect("an append");
        let what = "an append through a hub was not delivered by it while `listen` of its bus \
                    hangs: do not wait for the bus";
        follower.until(2 * turn, what).await;
    }
    follower.verify(&env.log().await);
}

/// **Law.** A bus that is down, refuses or never answers neither stops nor
/// fails an append. Its failures are counted, and events are delivered within
/// the poll interval.
pub async fn a_bus_that_is_down_stops_nothing(setup: &SubscriptionSetup) {
    for fault in [
        BusFault::RefusesHints,
        BusFault::HangsOnPublish,
        BusFault::RefusesListeners,
        BusFault::HangsOnListen,
        BusFault::EndsListeners,
    ] {
        let env = setup.open(fault).await;
        let (writing, reading) =
            (env.hub(HubOptions::small()).await, env.hub(HubOptions::small()).await);
        let mut other = Follower::from_start(&reading).await;
        for _ in 0..5 {
            let appended = writing.append(append("flight-UA1545", Expected::Any, 1));
            let appended = tasks::soon("an append waits for a bus that does not answer", appended);
            appended.await.unwrap_or_else(|error| {
                panic!(
                    "an append failed because the bus is down (`{error}`), although it was stored"
                )
            });
        }
        let what = format!("a bus that is down ({fault:?}) kept events from a subscription");
        other.until_all_of(&env.log().await, &what).await;
        if matches!(fault, BusFault::RefusesHints | BusFault::HangsOnPublish) {
            let counted = async {
                while writing.failed_publications() == 0 {
                    tokio::time::sleep(HubOptions::small().poll_interval).await;
                }
            };
            tasks::soon("a hint that the bus did not accept was not counted", counted).await;
        }
    }
}
