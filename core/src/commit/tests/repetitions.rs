//! Appends that are stored already, with a driver that stores events without a look at their ids.

use super::bench::{Bench, in_time, one};
use crate::error::ErrorKind;
use crate::event::NewEvent;
use crate::store::{Append, Expected};

#[tokio::test]
async fn new_events_are_stored_without_a_look_at_their_ids() {
    let bench = Bench::<false>::start().await;
    for outcome in in_time(bench.commit_together(["A", "B", "A"].map(one))).await {
        outcome.expect("an append");
    }
    assert_eq!(bench.stored(), ["First", "A", "B", "A"]);
    assert_eq!(bench.script.state().lookups, 0);
}

#[tokio::test]
async fn a_repetition_in_a_group_is_recognized() {
    let bench = Bench::<false>::start().await;
    let repeated = one("A");
    let stored = bench.submit(repeated.clone()).await.expect("an append");
    let group = [one("B"), repeated.clone(), one("C")];
    let outcomes = in_time(bench.commit_together(group)).await;
    let [b, again, c] = outcomes.try_into().expect("three outcomes");
    let again = again.expect("the outcome of the first call");
    assert_eq!((again.cursor, again.duplicate), (stored.cursor, true));
    assert!(!b.expect("an append").duplicate && !c.expect("an append").duplicate);
    assert_eq!(bench.stored(), ["A", "First", "B", "C"]);
    assert_eq!(bench.script.state().lookups, 1);
    // More repetitions are expected for a while, and cost no second transaction.
    let begun = bench.script.state().begun;
    assert!(bench.submit(repeated).await.expect("the same outcome").duplicate);
    assert_eq!(bench.script.state().begun, begun + 1);
    for _ in 0..64 {
        bench.submit(one("D")).await.expect("an append");
    }
    let lookups = bench.script.state().lookups;
    bench.submit(one("E")).await.expect("an append");
    assert_eq!(bench.script.state().lookups, lookups);
}

#[tokio::test]
async fn a_repetition_that_looks_like_a_conflict_is_recognized() {
    let bench = Bench::<false>::start().await;
    let event = NewEvent::json("A", "{}").unwrap();
    let append = |event| Append::to("flight-UA1545", Expected::NoStream, [event]).unwrap();
    let stored = bench.submit(append(event.clone())).await.expect("an append");
    // Beside an append that is stored.
    let outcomes = in_time(bench.commit_together([one("B"), append(event)])).await;
    let again = outcomes[1].as_ref().expect("the outcome of the first call");
    assert_eq!((again.cursor, again.duplicate), (stored.cursor, true));
    let other = bench.submit(append(NewEvent::json("A", "{}").unwrap())).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Conflict);
    assert_eq!(bench.stored(), ["A", "First", "B"]);
}
