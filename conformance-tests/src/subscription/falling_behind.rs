use std::sync::Arc;

use downlink::Expected;

use super::setup::{Environment, Follower};
use super::{HubOptions, HubUnderTest, SubscriptionSetup};
use crate::faults::{BusFault, drop_after};
use crate::sample::append;

/// **Law.** A subscriber that falls behind what is kept in memory gets `Behind`
/// once, reads everything it missed from the store, and gets `Live` when it has
/// caught up.
pub async fn falling_behind_loses_nothing(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    let options = HubOptions { ring: 4, page: 3, ..HubOptions::small() };
    let hub = env.hub(options).await;
    let mut slow = Follower::from_start(&hub).await;
    slow.until_live().await;
    let mut quick = Follower::from_start(&hub).await;
    quick.until_live().await;
    for turn in 1..=3 {
        for _ in 0..50 {
            hub.append(append("flight-UA1545", Expected::Any, 1)).await.expect("an append");
            quick.next("a subscriber that keeps up did not get an event").await;
        }
        let what = "a subscriber that fell behind did not get what it missed: read from the store \
                    what is no longer in memory";
        quick.until(50 * turn, what).await;
        slow.until_all_of(&env.log().await, what).await;
        while slow.lives <= turn {
            slow.next("a subscriber that caught up again did not get `Live`").await;
        }
        assert!(
            slow.behinds == turn,
            "a subscriber that fell behind {turn} times got `Behind` {} times",
            slow.behinds
        );
    }
    quick.verify(&env.log().await);
    slow.verify(&env.log().await);
}

/// **Law.** A subscriber that takes one item and stops does not slow others,
/// and costs no memory that grows with what it misses.
pub async fn a_slow_subscriber_affects_no_other(setup: &SubscriptionSetup) {
    let env = setup.open_counting().await;
    let hub = env.hub(HubOptions { ring: 16, page: 8, ..HubOptions::small() }).await;
    let mut stopped = Follower::from_start(&hub).await;
    let mut quick = Follower::from_start(&hub).await;
    hub.append(append("flight-UA1545", Expected::Any, 1)).await.expect("an append");
    stopped.until(1, "the first event did not come").await;
    for turn in 1..=40 {
        hub.append(append("flight-UA1545", Expected::Any, 25)).await.expect("an append");
        let what = "a subscriber that does not read keeps events from the others";
        quick.until(1 + 25 * turn, what).await;
    }
    quick.seen.clear();
    settle().await;
    let held = env.store.held();
    assert!(
        held < 300,
        "{held} of 1,001 events are held in memory for a subscriber that does not read: keep one \
         ring for all, and no queue for each"
    );
    let what = "a subscriber that had stopped does not get what it missed";
    stopped.until_all_of(&env.log().await, what).await;
}

async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// **Law.** A read of the store that fails for a transient reason is repeated:
/// it ends no subscription and skips nothing.
pub async fn a_failed_read_is_repeated(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    let options = HubOptions { ring: 4, page: 3, ..HubOptions::small() };
    let hub = env.hub(options).await;
    let mut live = Follower::from_start(&hub).await;
    live.until_live().await;
    for failures in 1..=4 {
        env.store.fail_reads(failures);
        hub.append(append("flight-UA1545", Expected::Any, 2)).await.expect("an append");
        let what = "after a failed read nothing was delivered: repeat the read";
        live.until_all_of(&env.log().await, what).await;
        catch_up_with_failures(&env, &hub, failures).await;
    }
}

async fn catch_up_with_failures(env: &Environment, hub: &Arc<dyn HubUnderTest>, failures: usize) {
    for events in [0, 1, 4] {
        env.store.fail_reads(0);
        let mut late = Follower::from_start(hub).await;
        late.until(events.min(2), "history did not come").await;
        env.store.fail_reads(failures);
        let what = "a failed read in the middle of history was not repeated";
        late.until_all_of(&env.log().await, what).await;
    }
    env.store.fail_reads(0);
}

/// **Law.** Dropping the future of `next` at any await loses no item.
pub async fn a_dropped_next_loses_nothing(setup: &SubscriptionSetup) {
    let env = setup.open(BusFault::None).await;
    let hub = env.hub(HubOptions { ring: 4, page: 3, ..HubOptions::small() }).await;
    for _ in 0..15 {
        hub.append(append("flight-UA1545", Expected::Any, 2)).await.expect("an append");
    }
    let log = env.log().await;
    let mut follower = Follower::from_start(&hub).await;
    let gate = env.store.after_read().clone();
    let mut round = 0;
    while follower.seen.len() < log.len() {
        round += 1;
        // A read has found events that it has not returned yet: they must not be lost.
        if round % 2 == 0 {
            gate.close();
        }
        let polls = if round % 2 == 0 { 1 + round % 3 } else { 1 };
        let dropped = drop_after(polls, follower.subscription().next());
        let dropped = tokio::select! {
            item = dropped => item,
            () = gate.until_waiting() => None,
        };
        gate.release();
        if let Some(item) = dropped {
            follower.note(&item.expect("an open subscription").expect("an item"));
        }
        if follower.seen.len() < log.len() {
            let what = "after `next` was dropped nothing came: the events that it had read were \
                        lost with it";
            follower.next(what).await;
        }
    }
    follower.verify(&log);
}
