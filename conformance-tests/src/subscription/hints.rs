use std::sync::Arc;

use downlink::bus::Hint;
use downlink::{ErrorKind, EventStore, Expected};

use super::setup::Follower;
use super::{HubOptions, SubscriptionSetup};
use crate::faults::BusFault;
use crate::sample::append;
use crate::tasks;

/// **Law.** An append that happens while a subscription switches from history
/// to live is delivered exactly once, without waiting for polling.
pub async fn appends_during_the_hand_over_come_once(setup: &SubscriptionSetup) {
    for history in [0, 5, 40] {
        let env = setup.open(BusFault::None).await;
        if history > 0 {
            let events = append("flight-UA1545", Expected::Any, history);
            env.store.append(events).await.expect("an append");
        }
        let options = HubOptions { ring: 8, page: 50, ..HubOptions::without_polling() };
        let (writing, reading) = (env.hub(options).await, env.hub(options).await);
        // An append happens after a read has seen the log, and before the reader gets the page.
        let gate = env.store.after_read().clone();
        gate.close();
        let follower = tokio::spawn(async move {
            let mut follower = Follower::from_start(&reading).await;
            let what = "an append during the switch from history to live was not delivered: listen \
                        first, then read";
            follower.until(history + 2, what).await;
            (follower, reading)
        });
        tasks::soon("the hub does not read the log", gate.until_waiting()).await;
        let meanwhile = append("flight-UA1545", Expected::Any, 2);
        tasks::soon("an append waits for a read", writing.append(meanwhile))
            .await
            .expect("an append");
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        gate.release();
        let (follower, _reading) = tasks::join([follower]).await.remove(0);
        follower.verify(&env.log().await);
    }
}

/// **Law.** A hint that arrives while the log is being read is not lost: the
/// log is read once more.
pub async fn a_hint_during_a_read_is_not_lost(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    let options = HubOptions::without_polling();
    let (writing, reading) = (env.hub(options).await, env.hub_in_another_process(options).await);
    let mut follower = Follower::from_start(&reading).await;
    follower.until_live().await;
    let gate = env.store.after_read().clone();
    for turn in 1..=5 {
        gate.close();
        let offer = || append("flight-UA1545", Expected::Any, 1);
        writing.append(offer()).await.expect("an append");
        tasks::soon("the hub does not read the log after a hint", gate.until_waiting()).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        writing.append(offer()).await.expect("an append");
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        gate.release();
        let what = "a hint that came while the log was being read was lost: clear the flag before \
                    the read, not after it";
        follower.until(2 * turn, what).await;
    }
    follower.verify(&env.log().await);
}

/// **Law.** One hint is enough for any number of pages.
pub async fn one_hint_is_enough(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    let options = HubOptions { page: 3, ..HubOptions::without_polling() };
    let (writing, reading) = (env.hub(options).await, env.hub(options).await);
    let mut follower = Follower::from_start(&reading).await;
    follower.until_live().await;
    for turn in 1..=3 {
        // More than a page of any store, in one append with one hint.
        let burst = append("flight-UA1545", Expected::Any, 700);
        writing.append(burst).await.expect("an append");
        let what = "after one hint only a page was read: read until a page has `more: false`";
        follower.until(700 * turn, what).await;
    }
    follower.verify(&env.log().await);
}

/// **Law.** An append through one hub reaches the subscribers of another at
/// once, the last append of a burst as well as the first: a hint is sent after
/// the commit, and none is held back forever.
pub async fn delivery_does_not_wait_for_polling(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    let options = HubOptions::without_polling();
    let (writing, reading) = (env.hub(options).await, env.hub(options).await);
    let mut own = Follower::from_start(&writing).await;
    let mut other = Follower::from_start(&reading).await;
    own.until_live().await;
    other.until_live().await;
    let mut count = 0;
    for burst in [1, 1, 2, 7, 30] {
        for _ in 0..burst {
            writing.append(append("flight-UA1545", Expected::Any, 1)).await.expect("an append");
        }
        count += burst;
        let what = "an append waits for the poll interval: send a hint after the commit is \
                    visible, and one after the last append of a burst";
        own.until(count, what).await;
        other.until(count, what).await;
    }
    own.verify(&env.log().await);
    other.verify(&env.log().await);
}

/// **Law.** Hubs that share one handle of a store deliver the same events,
/// through whichever of them an append is made, while they read the log and
/// while they take commit notices. No delivery waits for polling.
pub async fn hubs_of_one_store_agree(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    let options = HubOptions { ring: 1_000, ..HubOptions::without_polling() };
    let hubs = [env.hub(options).await, env.hub(options).await];
    let mut followers = Vec::new();
    for hub in &hubs {
        let mut follower = Follower::from_start(hub).await;
        follower.until_live().await;
        followers.push(follower);
    }
    for round in 0..4 {
        // What is stored in the meantime arrives twice: in a page and in a notice.
        env.hold_the_tail().await;
        let writers = (0..4).map(|writer| {
            let (hub, bus) = (Arc::clone(&hubs[writer % 2]), env.bus.clone());
            let gate = env.store.before_tail_read().clone();
            tokio::spawn(async move {
                for turn in 0..12 {
                    let offered = append(&format!("flight-{writer}"), Expected::Any, 1 + turn % 3);
                    hub.append(offered).await.expect("an append");
                    if (writer, turn) == (round, 6) {
                        gate.release();
                        bus.inject(Hint::anything());
                    }
                    tokio::task::yield_now().await;
                }
            })
        });
        tasks::join(writers.collect::<Vec<_>>()).await;
        let log = env.log().await;
        for follower in &mut followers {
            let what = "a hub did not deliver what was appended through another hub over the same \
                        store, or waits for the poll interval";
            follower.until_all_of(&log, what).await;
        }
    }
}

/// **Law.** An append of unknown outcome may be stored, so a hub treats it as
/// stored: subscribers receive its events at once.
pub async fn an_append_of_unknown_outcome_is_delivered(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    let options = HubOptions::without_polling();
    let (writing, reading) = (env.hub(options).await, env.hub_in_another_process(options).await);
    let mut own = Follower::from_start(&writing).await;
    let mut other = Follower::from_start(&reading).await;
    own.until_live().await;
    other.until_live().await;
    for turn in 1..=3 {
        env.store.lose_answers(1);
        let outcome = writing.append(append("flight-UA1545", Expected::Any, 1)).await;
        let error = outcome.expect_err("the answer to be lost");
        assert_eq!(
            error.kind(),
            ErrorKind::OutcomeUnknown,
            "the error of the store has to be returned"
        );
        let what = "an event whose append has an unknown outcome waits for the poll interval: send \
                    a hint then, too, because it may be stored";
        own.until(turn, what).await;
        other.until(turn, what).await;
    }
    own.verify(&env.log().await);
    other.verify(&env.log().await);
}

/// **Law.** If the future of an append is dropped between commit and return,
/// subscribers receive its events all the same.
pub async fn a_dropped_append_is_delivered(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    let options = HubOptions::without_polling();
    let (writing, reading) = (env.hub(options).await, env.hub(options).await);
    let mut own = Follower::from_start(&writing).await;
    let mut other = Follower::from_start(&reading).await;
    own.until_live().await;
    other.until_live().await;
    let gate = env.store.after_append().clone();
    for turn in 1..=3 {
        gate.close();
        tokio::select! {
            // The append has to start first: the previous one may still wait at the gate.
            biased;
            _ = writing.append(append("flight-UA1545", Expected::Any, 1)) => {
                panic!("an append returned before its store did")
            }
            () = gate.until_waiting() => {}
        }
        // The future was dropped after the commit.
        gate.release();
        let what = "an append whose future was dropped after the commit was not delivered: append \
                    and send the hint in a task of the hub";
        own.until(turn, what).await;
        other.until(turn, what).await;
    }
    own.verify(&env.log().await);
    other.verify(&env.log().await);
}
