use std::collections::HashMap;
use std::sync::Arc;

use downlink::error::FailedCheck;
use downlink::store::Appended;
use downlink::{
    Append, Check, ErrorKind, EventId, EventStore, Expected, NewEvent, Result, Version,
};
use futures::future::join_all;
use tokio::sync::Barrier;

use crate::fixture::StoreFixture;
use crate::history::Recorder;
use crate::sample::{append, event, log, stream, tagged};
use crate::tasks;

const WRITERS: usize = 8;

/// **Law.** Of racing appends that expect the same version exactly one
/// succeeds, and the others learn the version that won.
///
/// A backend that checks the version and inserts in two steps passes every
/// sequential test and fails here.
pub async fn one_writer_wins(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    let mut at = None;
    for _ in 0..20 {
        let outcomes = race(&store, |_| append("flight-UA1545", Expected::at(at), 1)).await;
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        match won.len() {
            1 => {}
            0 => panic!(
                "every writer lost at version {at:?}: `{}`",
                lost[0].as_ref().expect_err("lost")
            ),
            2 => panic!("both writers won: the version check is not atomic"),
            n => panic!("{n} writers won at version {at:?}: the version check is not atomic"),
        }
        let version = won[0].as_ref().map(|appended| appended.writes[0].last).ok();
        for error in lost.into_iter().filter_map(Result::err) {
            assert_eq!(
                error.kind(),
                ErrorKind::Conflict,
                "the error of a loser has to be a conflict: {error}"
            );
            let beaten = FailedCheck::Stream {
                stream: stream("flight-UA1545"),
                expected: Expected::at(at),
                actual: version,
            };
            assert_eq!(
                error.failed_checks(),
                [beaten],
                "a loser has to learn the version that won"
            );
        }
        at = version;
    }
}

/// **Law.** Racing appends that expect nothing all succeed, all their events
/// can be read, and no two batches interleave.
pub async fn racing_batches_stay_whole(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    let mut batches: Vec<Vec<EventId>> = Vec::new();
    for _ in 0..10 {
        let offered: Vec<_> =
            (0..WRITERS).map(|_| append("flight-UA1545", Expected::Any, 3)).collect();
        for outcome in race(&store, |writer| offered[writer].clone()).await {
            outcome.unwrap_or_else(|error| panic!("an append that expects nothing: {error}"));
        }
        batches.extend(offered.iter().map(|append| append.events().map(NewEvent::id).collect()));
    }
    let found: Vec<_> = log(&*store).await.iter().map(downlink::Event::id).collect();
    let place: HashMap<_, _> = found.iter().enumerate().map(|(at, id)| (*id, at)).collect();
    let missing = batches.iter().flatten().filter(|id| !place.contains_key(id)).count();
    assert!(
        missing == 0,
        "{missing} acknowledged events are missing: an insert that collided with another row was \
         ignored"
    );
    for batch in &batches {
        let places: Vec<_> = batch.iter().map(|id| place[id]).collect();
        assert!(
            places.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "batches interleave: the events of one append are at {places:?} in the log"
        );
    }
}

/// **Law.** Checks on streams that are not written, and boundaries, hold under
/// races: of appends that exclude each other exactly one is stored.
pub async fn checks_hold_under_races(fixture: &dyn StoreFixture) {
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    for round in 0..15 {
        each_checks_what_the_other_writes(&store, round).await;
        only_one_takes_the_gate(&store, round).await;
    }
}

async fn each_checks_what_the_other_writes(store: &Arc<dyn EventStore>, round: usize) {
    let name = |which: usize| format!("crew-{round}-{which}");
    let outcomes = race(store, |writer| {
        let (own, others) = (name(writer % 2), name((writer + 1) % 2));
        append(&own, Expected::NoStream, 1)
            .with_check(Check::Stream(stream(&others), Expected::NoStream))
    });
    let won = outcomes.await.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(
        won == 1,
        "{won} appends won that each check the stream which another writes: evaluate checks in the \
         transaction that inserts, and let them see the earlier appends of their group"
    );
}

async fn only_one_takes_the_gate(store: &Arc<dyn EventStore>, round: usize) {
    let before = store.head().await.expect("a head");
    let tag = format!("gate:{round}");
    let outcomes = race(store, |writer| {
        let taken = event("GateTaken").with_tag(&*tag).expect("a valid tag");
        Append::to(format!("flight-{writer}"), Expected::Any, [taken])
            .expect("a valid name")
            .with_check(Check::NothingAfter(tagged(&tag), before))
    });
    let outcomes = outcomes.await;
    let won: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert!(
        won.len() == 1,
        "{} appends won whose boundary forbids later events: evaluate `NothingAfter` in the \
         transaction that inserts, and let it see the earlier appends of its group",
        won.len()
    );
    for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        let found = FailedCheck::Boundary { after: before, found: won[0].cursor };
        assert_eq!(
            error.failed_checks(),
            [found],
            "a loser has to learn which event it lost to: {error}"
        );
    }
}

/// **Law.** Whatever several writers append at once, there is an order of their
/// appends that explains every outcome. It respects real time: an append that
/// was answered before another began comes first.
pub async fn racing_appends_have_an_order(fixture: &dyn StoreFixture) {
    for round in 0..6_usize {
        let (store, _guard) = fixture.open().await.expect("a fresh store");
        let recorder = Arc::new(Recorder::default());
        let writers = (0..4).map(|writer| {
            let (store, recorder) = (Arc::clone(&store), Arc::clone(&recorder));
            tokio::spawn(async move {
                let mut known = [None::<Version>; 2];
                for turn in 0..12 {
                    let which = (round + writer + turn) % 2;
                    let expected = match turn % 4 {
                        0 => Expected::Any,
                        3 => Expected::Exists,
                        _ => Expected::at(known[which]),
                    };
                    let offered = append(["flight-A", "flight-B"][which], expected, 1 + turn % 2);
                    known[which] = recorder.append(&*store, offered, known[which]).await;
                }
            })
        });
        tasks::join(writers.collect::<Vec<_>>()).await;
        recorder.verify(&log(&*store).await);
    }
}

/// **Law.** However many callers write and read at once, none gets an error
/// about a lock, and each writer gets at least a quarter of its fair share.
pub async fn contention_reaches_no_caller(fixture: &dyn StoreFixture) {
    const TURNS: usize = 200;
    let (store, _guard) = fixture.open().await.expect("a fresh store");
    let taken = std::cell::Cell::new(0);
    let writer = async |writer: usize| {
        let mut own = 0_usize;
        while taken.get() < TURNS {
            let offered = append(&format!("flight-{writer}"), Expected::Any, 1);
            if let Err(error) = store.append(offered).await {
                panic!(
                    "a writer got an error about contention: `{error}`; wait for the lock, and \
                     take it before the first read of a transaction"
                );
            }
            own += 1;
            taken.set(taken.get() + 1);
            tokio::task::yield_now().await;
        }
        own
    };
    let reader = async || {
        while taken.get() < TURNS {
            let read = downlink::Read::log().with_limit(50);
            if let Err(error) = store.read_log(read).await {
                panic!("a reader got an error about contention: `{error}`");
            }
            tokio::task::yield_now().await;
        }
    };
    let (shares, ()) = tokio::join!(join_all((0..WRITERS).map(writer)), async {
        join_all((0..4).map(|_| reader())).await;
    });
    let least = shares.iter().min().expect("a writer");
    assert!(
        least * 4 * WRITERS >= TURNS,
        "one of {WRITERS} writers got {least} of {TURNS} appends: the queue of appends is not fair \
         ({shares:?})"
    );
}

/// Appends from several tasks that begin together.
async fn race(
    store: &Arc<dyn EventStore>,
    offer: impl Fn(usize) -> Append,
) -> Vec<Result<Appended>> {
    let start = Arc::new(Barrier::new(WRITERS));
    let racers = (0..WRITERS).map(|writer| {
        let (store, start, offered) = (Arc::clone(store), Arc::clone(&start), offer(writer));
        tokio::spawn(async move {
            start.wait().await;
            store.append(offered).await
        })
    });
    tasks::join(racers.collect::<Vec<_>>()).await
}
