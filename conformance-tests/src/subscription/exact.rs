use std::sync::Arc;

use downlink::{After, Append, Cursor, EventStore, Expected, Filter, Item, Subscribe};
use futures::FutureExt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::stage::{Follower, Scene};
use super::{Stage, Tuning};
use crate::faults::Lie;
use crate::sample::{any_appends, any_filter, append, of_type};
use crate::{Run, tasks};

#[derive(Clone, Debug)]
struct Story {
    before: Vec<Append>,
    /// Appends, and how many items the subscriber takes after each.
    during: Vec<(Append, usize)>,
    from: Index,
    filter: Filter,
    ring: usize,
    page: usize,
    checkpoint: usize,
}

fn any_story() -> impl Strategy<Value = Story> {
    let during =
        (any_appends(1), 0..4_usize).prop_map(|(mut append, items)| (append.remove(0), items));
    (
        (any_appends(0..8), vec(during, 0..10), any::<Index>(), any_filter()),
        (1..12_usize, 1..6_usize, 1..6_usize),
    )
        .prop_map(|((before, during, from, filter), (ring, page, checkpoint))| Story {
            before,
            during,
            from,
            filter,
            ring,
            page,
            checkpoint,
        })
}

/// **Law S1.** At every instant the events that a subscription has yielded are
/// a prefix of the events of the log after its cursor that match, and at rest
/// they are all of them.
pub fn subscription_is_exact(run: &Run, stage: &Stage) {
    run.cases(48, any_story(), async |story| {
        let scene = stage.open(Lie::Honest).await;
        for append in &story.before {
            scene.store.append(append.clone()).await.expect("an append");
        }
        let Story { ring, page, checkpoint, .. } = story;
        let feed = scene.feed(Tuning { ring, page, checkpoint, ..Tuning::small() }).await;
        let log = scene.log().await;
        let places: Vec<_> =
            [Cursor::START].into_iter().chain(log.iter().map(downlink::Event::cursor)).collect();
        let mut follower =
            Follower::begin(&feed, *story.from.get(&places), story.filter.clone()).await;
        for (append, items) in story.during {
            feed.append(append).await.expect("an append through the feed");
            for _ in 0..items {
                if let Some(Some(item)) = follower.following().next().now_or_never() {
                    follower.note(&item.expect("an item"));
                }
            }
            follower.verify(&scene.log().await);
        }
        let log = scene.log().await;
        follower.until_all_of(&log, "a subscription at rest has not all events").await;
        nothing_more(&mut follower, &scene).await;
    });
}

/// A subscription that has everything yields no event.
async fn nothing_more(follower: &mut Follower, scene: &Scene) {
    while let Some(Some(item)) = follower.following().next().now_or_never() {
        follower.note(&item.expect("an item"));
    }
    follower.verify(&scene.log().await);
}

/// **Law S9.** A subscription from now on, of a log without events, misses none
/// that comes after it was opened.
pub async fn now_on_an_empty_log_misses_nothing(stage: &Stage) {
    let scene = stage.open(Lie::Honest).await;
    let feed = scene.feed(Tuning::small()).await;
    let subscribe = Subscribe::new().after(After::Now);
    let following = feed.subscribe(subscribe).await.expect("a subscription");
    let mut follower = Follower::new(following, downlink::Position::ZERO, Filter::everything());
    assert_eq!(follower.cursor(), Cursor::START, "an empty log ends at its start");
    feed.append(append("flight-UA1545", Expected::NoStream, 3)).await.expect("an append");
    let what = "an event that came after subscribing `now` was not delivered: now is when the \
                subscription is opened";
    follower.until_all_of(&scene.log().await, what).await;
}

/// **Law S10.** `Live` comes when everything up to a head was delivered that is
/// not older than the subscription, also if that was nothing.
pub async fn live_comes_when_everything_was_delivered(stage: &Stage) {
    let scene = stage.open(Lie::Honest).await;
    for events in [0, 1, 40] {
        if events > 0 {
            let history = append("flight-UA1545", Expected::Any, events);
            scene.store.append(history).await.expect("an append");
        }
        for ring in [2, 100] {
            let feed = scene.feed(Tuning { ring, page: 3, ..Tuning::small() }).await;
            let log = scene.log().await;
            let mut follower = Follower::from_start(&feed).await;
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
            assert_eq!(live, (end, end), "`Live` names where it is and the end of the log");
        }
    }
}

/// **Law S10,** of a log that never rests. `Live` comes as soon as everything up
/// to the head was delivered that the log had when the subscription was opened.
pub async fn live_comes_while_the_log_moves(stage: &Stage) {
    for ring in [100, 2] {
        let scene = stage.open(Lie::Honest).await;
        scene.store.append(append("flight-UA1545", Expected::Any, 10)).await.expect("an append");
        let feed = scene.feed(Tuning { ring, page: 3, ..Tuning::small() }).await;
        let mut quick = Follower::from_start(&feed).await;
        let mut follower = Follower::from_start(&feed).await;
        for appended in 1..=14 {
            feed.append(append("flight-UA1545", Expected::Any, 1)).await.expect("an append");
            // There is always something after what the follower takes.
            quick.until(10 + appended, "an event did not come").await;
            follower.next("an item did not come").await;
        }
        // It was opened when there was one of these at most.
        assert!(
            follower.lives == 1,
            "{} events were delivered of a log that had 11 at most when the subscription was \
             opened, and `Live` did not come: do not wait until nothing is left",
            follower.seen.len()
        );
    }
}

/// **Law S9,** of a tail that is behind. A subscription from now on begins at
/// the end of the log in the store, and delivers nothing that was stored before
/// it was opened.
pub async fn now_begins_at_the_head_of_the_store(stage: &Stage) {
    let scene = stage.open(Lie::Honest).await;
    scene.store.append(append("flight-UA1545", Expected::Any, 2)).await.expect("an append");
    let feed = scene.feed(Tuning::without_fallback()).await;
    scene.hold_the_tail().await;
    scene.store.append(append("flight-UA1545", Expected::Any, 3)).await.expect("an append");
    let head = scene.store.head().await.expect("a head");
    let subscribe = feed.subscribe(Subscribe::new().after(After::Now));
    let following = tasks::soon("subscribing from now on waits for the tail", subscribe).await;
    let following = following.expect("a subscription");
    assert_eq!(
        following.cursor(),
        head,
        "`now` is where the tail has got to: it is the end of the log in the store, or what was \
         stored before comes as if it were new"
    );
    let mut follower = Follower::new(following, head.position(), Filter::everything());
    scene.store.before_tail_read().release();
    feed.append(append("flight-UA1545", Expected::Any, 2)).await.expect("an append");
    let what = "an event that came after subscribing `now` was not delivered";
    follower.until_all_of(&scene.log().await, what).await;
    nothing_more(&mut follower, &scene).await;
}

/// **Law S10,** of a tail that is behind. `Live` waits until everything was
/// delivered that was stored when the subscription was opened, also if the tail
/// has not got there.
pub async fn live_waits_for_the_head_at_open(stage: &Stage) {
    for (events, ring) in [(1, 100), (40, 100), (40, 2)] {
        let scene = stage.open(Lie::Honest).await;
        let tuning = Tuning { ring, page: 3, ..Tuning::without_fallback() };
        let feed = scene.feed_elsewhere(tuning).await;
        scene.hold_the_tail().await;
        scene
            .store
            .append(append("flight-UA1545", Expected::Any, events))
            .await
            .expect("an append");
        let mut follower = Follower::from_start(&feed).await;
        let gate = scene.store.before_tail_read().clone();
        tokio::spawn(async move {
            // Time enough to say it too early.
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            gate.release();
        });
        follower.until_live().await;
        assert!(
            follower.seen.len() == events,
            "`Live` came when {} of {events} events had been delivered that were stored when the \
             subscription was opened: it waits for the end of the log, and not for the tail",
            follower.seen.len()
        );
        follower.verify(&scene.log().await);
    }
}

/// **Law S11.** Whoever resumes from the cursor of any item, in another process,
/// gets exactly what comes after it.
pub async fn a_restarted_process_resumes_exactly(stage: &Stage) {
    let scene = stage.open(Lie::Honest).await;
    for batch in [3, 1, 4, 1, 5] {
        scene.store.append(append("flight-UA1545", Expected::Any, batch)).await.expect("an append");
    }
    let log = scene.log().await;
    for items in 0..=log.len() + 1 {
        let first = scene.feed(Tuning { ring: 4, page: 3, ..Tuning::small() }).await;
        let mut follower = Follower::from_start(&first).await;
        for _ in 0..items {
            follower.next("an item did not come").await;
        }
        let (cursor, seen) = (follower.cursor(), follower.seen.clone());
        drop((follower, first));
        let second = scene.feed(Tuning { ring: 4, page: 3, ..Tuning::small() }).await;
        let mut resumed = Follower::begin(&second, cursor, Filter::everything()).await;
        resumed.until_live().await;
        let both: Vec<_> = seen.iter().chain(&resumed.seen).cloned().collect();
        assert!(
            both == log,
            "a subscription that was resumed after {items} items delivered {} events in all, of a \
             log of {}: a cursor is that of the last item handed over, and is excluded",
            both.len(),
            log.len()
        );
    }
}

/// **Law S7.** A filter that matches next to nothing does not keep a
/// subscription from the end of the log, and its cursor moves.
pub async fn a_sparse_filter_reaches_the_end(stage: &Stage) {
    let scene = stage.open(Lie::Honest).await;
    scene.store.append(append("flight-UA1545", Expected::Any, 60)).await.expect("an append");
    let rare = Append::to("flight-UA1545", Expected::Any, [crate::sample::event("FlightDiverted")]);
    scene.store.append(rare.expect("a valid name")).await.expect("an append");
    scene.store.append(append("flight-UA1545", Expected::Any, 40)).await.expect("an append");
    let store: Arc<dyn EventStore> = Arc::new(scene.store.clone());
    for (kind, count) in [("FlightDiverted", 1), ("Never", 0)] {
        let tuning = Tuning { ring: 40, page: 8, checkpoint: 10, ..Tuning::small() };
        let feed = scene.feed(tuning).await;
        let mut follower = Follower::begin(&feed, Cursor::START, of_type(kind)).await;
        let what = "an event behind many that do not match was not delivered: go on after \
                    `scanned`, also if a page has no events";
        follower.until(count, what).await;
        while follower.lives == 0 {
            follower.next("a filter that matches nothing keeps a subscription from `Live`").await;
        }
        let head = store.head().await.expect("a head");
        assert_eq!(follower.cursor(), head, "the cursor moves also where nothing matches");
        feed.append(append("flight-UA1545", Expected::Any, 25)).await.expect("an append");
        let moved = store.head().await.expect("a head");
        let what = "a live subscription to which nothing matches was not told how far it looked";
        while follower.cursor().position() <= head.position() {
            follower.next(what).await;
        }
        assert!(follower.cursor().position() <= moved.position(), "a cursor is past the log");
        follower.verify(&scene.log().await);
    }
}
