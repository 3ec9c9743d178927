use downlink::{EventStore, Expected, Hint, Position};
use tokio::task::yield_now;

use super::stage::Follower;
use super::{Stage, Tuning};
use crate::faults::Lie;
use crate::sample::append;
use crate::tasks;

/// **Laws B1 and S3.** Whatever a bus does to the hints that it is given (loses,
/// repeats, reorders, delays or forges them, or does not work at all) every
/// subscription stays exact.
pub async fn subscriptions_survive_a_faulty_bus(stage: &Stage) {
    for lie in Lie::ALL {
        let scene = stage.open(lie).await;
        let (writing, reading) =
            (scene.feed(Tuning::small()).await, scene.feed(Tuning::small()).await);
        let mut own = Follower::from_start(&writing).await;
        let mut other = Follower::from_start(&reading).await;
        own.until_live().await;
        other.until_live().await;
        for turn in 0..12 {
            if turn % 3 == 0 {
                // Before the commit is visible, and far beyond what there is.
                scene.bus.raise(Hint::at(Position::MAX));
                scene.bus.raise(Hint::anything());
                yield_now().await;
            }
            let offered = append("flight-UA1545", Expected::Any, 1 + turn % 2);
            writing.append(offered).await.expect("an append, whatever the bus does");
        }
        let log = scene.log().await;
        let what = format!("events were missed over a bus that lies ({lie:?})");
        own.until_all_of(&log, &what).await;
        other.until_all_of(&log, &what).await;
    }
}

/// **Law B4.** What a hint claims moves nothing: a subscription goes on from
/// what it delivered.
pub async fn a_forged_hint_moves_nothing(stage: &Stage) {
    let scene = stage.open(Lie::Honest).await;
    let feed = scene.feed(Tuning::without_fallback()).await;
    let mut follower = Follower::from_start(&feed).await;
    follower.until_live().await;
    for turn in 1..=5 {
        let head = scene.store.head().await.expect("a head").position();
        for forged in [Position::MAX, head.next().next(), Position::ZERO] {
            scene.bus.raise(Hint::at(forged));
            // So that whoever believes it has done so.
            for _ in 0..20 {
                yield_now().await;
            }
        }
        feed.append(append("flight-UA1545", Expected::Any, 3)).await.expect("an append");
        let what = "after a forged hint events were not delivered: a cursor is moved by what was \
                    read, never by what a hint claims";
        follower.until(3 * turn, what).await;
    }
    follower.verify(&scene.log().await);
}

/// **Law S4.** A lost hint costs time and nothing else: the log is looked at by
/// itself within the fallback interval.
pub async fn lost_hints_cost_only_time(stage: &Stage) {
    let scene = stage.open(Lie::LosesAll).await;
    let feed = scene.feed(Tuning::small()).await;
    let mut follower = Follower::from_start(&feed).await;
    follower.until_live().await;
    for turn in 1..=4 {
        // Behind the back of the feed, as another process appends.
        let elsewhere = append("flight-UA1545", Expected::Any, 2);
        scene.store.append(elsewhere).await.expect("an append");
        let what = "an append whose hint was lost was never delivered: look at the log after the \
                    fallback interval without being told";
        follower.until(2 * turn, what).await;
    }
    follower.verify(&scene.log().await);
}

/// **Law S12,** of what the bus is not needed for. What is appended through a
/// feed is delivered by it at once, also while the bus cannot be listened to and
/// does not say so.
pub async fn a_bus_that_never_listens_delays_nothing(stage: &Stage) {
    let scene = stage.open(Lie::NeverListens).await;
    let feed = scene.feed(Tuning::without_fallback()).await;
    let mut follower = Follower::from_start(&feed).await;
    follower.until_live().await;
    for turn in 1..=5 {
        feed.append(append("flight-UA1545", Expected::Any, 2)).await.expect("an append");
        let what = "what was appended through a feed waits for a bus that cannot be listened to: \
                    what is essential does not wait for what is optional";
        follower.until(2 * turn, what).await;
    }
    follower.verify(&scene.log().await);
}

/// **Laws S12 and S13.** A bus that is down, refuses or never answers stops no
/// append and fails none; its failures are counted, and delivery takes the
/// fallback interval.
pub async fn a_bus_that_is_down_stops_nothing(stage: &Stage) {
    for lie in [Lie::Refuses, Lie::Hangs, Lie::Deaf, Lie::NeverListens, Lie::Ends] {
        let scene = stage.open(lie).await;
        let (writing, reading) =
            (scene.feed(Tuning::small()).await, scene.feed(Tuning::small()).await);
        let mut other = Follower::from_start(&reading).await;
        for _ in 0..5 {
            let appended = writing.append(append("flight-UA1545", Expected::Any, 1));
            let appended = tasks::soon("an append waits for a bus that does not answer", appended);
            appended.await.unwrap_or_else(|error| {
                panic!("an append failed since the bus is down: `{error}`; it was stored")
            });
        }
        let what = format!("a bus that is down ({lie:?}) kept events from a subscription");
        other.until_all_of(&scene.log().await, &what).await;
        if matches!(lie, Lie::Refuses | Lie::Hangs) {
            let counted = async {
                while writing.failed_publications() == 0 {
                    tokio::time::sleep(Tuning::small().fallback).await;
                }
            };
            tasks::soon("a hint that the bus did not take was not counted", counted).await;
        }
    }
}
