use super::bench::{Bench, one};
use super::over_both_drivers;
use super::scripted::{Fault, Step};
use crate::error::ErrorKind;
use crate::event::NewEvent;
use crate::store::{Append, Expected};

over_both_drivers! {
    one_guilty_append_of_64_fails_alone_and_in_few_transactions
    an_append_that_panics_costs_the_others_nothing
    a_commit_that_is_not_made_is_tried_again_in_halves
    a_commit_of_unknown_outcome_is_settled_by_ids
    a_commit_that_is_unknown_twice_is_told_as_such
    what_may_be_stored_is_unknown_whatever_fails_then
    a_commit_that_panics_is_settled_by_ids
    a_refusal_needs_no_certain_commit
    a_group_that_finds_a_lock_held_is_not_divided
    a_transaction_that_does_not_begin_fails_its_group_only
}

async fn one_guilty_append_of_64_fails_alone_and_in_few_transactions<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let appends = (0..64).map(|n| one(if n == 37 { "Poison" } else { "FlightDelayed" }));
    let outcomes = bench.commit_together(appends).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), n == 37, "{n}: {outcome:?}");
    }
    assert_eq!(outcomes[37].as_ref().unwrap_err().kind(), ErrorKind::Backend);
    assert_eq!(bench.stored().len(), 1 + 63);
    // The group itself, and two halves for each time that 64 can be halved; of those six are
    // stored, and the one that was held before.
    let state = bench.script.state();
    assert_eq!((state.begun, state.commits.len()), (1 + 1 + 2 * 6, 1 + 6));
}

async fn an_append_that_panics_costs_the_others_nothing<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let outcomes = bench.commit_together([one("A"), one("Bomb"), one("B")]).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
    let error = outcomes[1].as_ref().unwrap_err();
    assert!(error.to_string().contains("an event that panics, on purpose"), "{error}");
    bench.offer(one("After")).await.expect("the writer to go on");
    assert_eq!(bench.stored(), ["First", "A", "B", "After"]);
}

async fn a_commit_that_is_not_made_is_tried_again_in_halves<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    bench.script.faults(Step::Commit, [Fault::Nothing, Fault::Fails]);
    for outcome in bench.commit_together([one("A"), one("B")]).await {
        outcome.expect("its half is committed");
    }
    bench.script.faults(Step::Commit, [Fault::Fails]);
    let alone = bench.offer(one("C")).await.unwrap_err();
    assert_eq!(alone.kind(), ErrorKind::Backend, "it is certain that nothing is stored");
    assert_eq!(bench.stored(), ["First", "A", "B"]);
}

/// A group whose first commit ends so is stored once, and its callers need not
/// know.
async fn is_settled<const BLOCKING: bool>(fault: Fault) {
    let bench = Bench::<BLOCKING>::start().await;
    bench.script.faults(Step::Commit, [Fault::Nothing, fault]);
    for outcome in bench.commit_together([one("A"), one("B"), one("C")]).await {
        let appended = outcome.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert!(!appended.duplicate, "{fault:?}: what this very call has stored is no repetition");
    }
    assert_eq!(bench.stored(), ["First", "A", "B", "C"], "{fault:?}");
}

async fn a_commit_of_unknown_outcome_is_settled_by_ids<const BLOCKING: bool>() {
    for stored in [true, false] {
        is_settled::<BLOCKING>(Fault::IsUnknown { stored }).await;
    }
}

async fn a_commit_that_panics_is_settled_by_ids<const BLOCKING: bool>() {
    for stored in [true, false] {
        is_settled::<BLOCKING>(Fault::Panics { stored }).await;
    }
}

async fn a_commit_that_is_unknown_twice_is_told_as_such<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let unknown = |stored| [Fault::IsUnknown { stored }, Fault::IsUnknown { stored }];
    bench.script.faults(Step::Commit, unknown(false));
    let error = bench.offer(one("A")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    // If the second transaction finds what the first has stored, that is certain.
    bench.script.faults(Step::Commit, unknown(true));
    let appended = bench.offer(one("B")).await.expect("an append");
    assert!(!appended.duplicate, "what this very call has stored is no repetition");
    assert_eq!(bench.stored(), ["B"]);
}

async fn what_may_be_stored_is_unknown_whatever_fails_then<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    for step in [Step::Begin, Step::Facts] {
        bench.script.faults(Step::Commit, [Fault::IsUnknown { stored: true }]);
        bench.script.faults(step, [Fault::Nothing, Fault::Fails]);
        let offered = one("A");
        let error = bench.offer(offered.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{step:?}: {error}");
        let repeated = bench.offer(offered).await.expect("a repeat");
        assert!(repeated.duplicate, "{step:?}: it was stored, by a call that is over");
    }
}

async fn a_refusal_needs_no_certain_commit<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    bench.offer(one("A")).await.unwrap();
    bench.script.faults(Step::Commit, [Fault::IsUnknown { stored: false }]);
    let event = NewEvent::json("A", "{}").unwrap();
    let refused = Append::to("stream-A", Expected::NoStream, [event]).unwrap();
    let error = bench.offer(refused).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(bench.script.state().begun, 2, "a refusal is not tried again");
    bench.script.faults(Step::Commit, [Fault::Panics { stored: false }]);
    let event = NewEvent::json("A", "{}").unwrap();
    let refused = Append::to("stream-A", Expected::NoStream, [event]).unwrap();
    assert_eq!(bench.offer(refused).await.unwrap_err().kind(), ErrorKind::Conflict);
    bench.offer(one("B")).await.expect("the writer to go on");
}

async fn a_group_that_finds_a_lock_held_is_not_divided<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    bench.script.faults(Step::Insert, [Fault::Nothing, Fault::IsBusy]);
    for outcome in bench.commit_together([one("A"), one("B"), one("C")]).await {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Busy);
    }
    assert_eq!(bench.script.state().begun, 2, "the one that was held, and the group");
    assert_eq!(bench.stored(), ["First"]);
}

async fn a_transaction_that_does_not_begin_fails_its_group_only<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    bench.script.faults(Step::Begin, [Fault::Fails, Fault::Panics { stored: false }]);
    assert_eq!(bench.offer(one("A")).await.unwrap_err().kind(), ErrorKind::Backend);
    assert_eq!(bench.offer(one("B")).await.unwrap_err().kind(), ErrorKind::Backend);
    bench.offer(one("C")).await.expect("the writer to go on");
    assert_eq!(bench.stored(), ["C"]);
}

/// Where log lines go may be full, closed or broken. The driver that runs in a
/// task has the log of this thread.
#[tokio::test]
async fn a_log_that_panics_costs_no_append() {
    let _log = tracing::subscriber::set_default(crate::supervise::PanickingLog);
    one_guilty_append_of_64_fails_alone_and_in_few_transactions::<false>().await;
    a_commit_of_unknown_outcome_is_settled_by_ids::<false>().await;
}
