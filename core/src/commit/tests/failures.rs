use super::bench::{Bench, one};
use super::over_both_drivers;
use super::scripted::{DriverStep, Fault};
use crate::error::ErrorKind;
use crate::event::NewEvent;
use crate::store::{Append, Expected};

over_both_drivers! {
    one_failing_append_of_64_fails_alone_and_in_few_transactions
    an_append_that_panics_fails_alone
    a_failed_commit_is_retried_in_halves
    a_commit_of_unknown_outcome_is_resolved_by_ids
    a_commit_that_is_unknown_twice_is_an_unknown_outcome
    an_unknown_outcome_stays_unknown_after_another_failure
    a_commit_that_panics_is_resolved_by_ids
    a_conflict_does_not_depend_on_the_commit
    a_group_that_fails_with_busy_is_not_divided
    a_transaction_that_does_not_begin_fails_its_group_only
}

async fn one_failing_append_of_64_fails_alone_and_in_few_transactions<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let appends = (0..64).map(|n| one(if n == 37 { "Poison" } else { "FlightDelayed" }));
    let outcomes = bench.commit_together(appends).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), n == 37, "{n}: {outcome:?}");
    }
    assert_eq!(outcomes[37].as_ref().unwrap_err().kind(), ErrorKind::Backend);
    assert_eq!(bench.stored().len(), 1 + 63);
    // The group itself, and two halves for each of the six times that 64 can be halved. One of each
    // two halves is committed, and the append that was held before.
    let state = bench.script.state();
    assert_eq!((state.begun, state.commits.len()), (1 + 1 + 2 * 6, 1 + 6));
}

async fn an_append_that_panics_fails_alone<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let outcomes = bench.commit_together([one("A"), one("Bomb"), one("B")]).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
    let error = outcomes[1].as_ref().unwrap_err();
    assert!(error.to_string().contains("an event that panics (injected by the test)"), "{error}");
    bench.submit(one("After")).await.expect("the writer continues");
    assert_eq!(bench.stored(), ["First", "A", "B", "After"]);
}

async fn a_failed_commit_is_retried_in_halves<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    bench.script.faults(DriverStep::Commit, [Fault::Nothing, Fault::Fails]);
    for outcome in bench.commit_together([one("A"), one("B")]).await {
        outcome.expect("its half is committed");
    }
    bench.script.faults(DriverStep::Commit, [Fault::Fails]);
    let alone = bench.submit(one("C")).await.unwrap_err();
    assert_eq!(alone.kind(), ErrorKind::Backend, "certainly nothing is stored");
    assert_eq!(bench.stored(), ["First", "A", "B"]);
}

/// Checks that a group whose first commit ends like this is stored once,
/// without an error.
async fn check_resolved<const BLOCKING: bool>(fault: Fault) {
    let bench = Bench::<BLOCKING>::start().await;
    bench.script.faults(DriverStep::Commit, [Fault::Nothing, fault]);
    for outcome in bench.commit_together([one("A"), one("B"), one("C")]).await {
        let appended = outcome.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert!(
            !appended.duplicate,
            "{fault:?}: this same call has stored it, so it is not a repetition"
        );
    }
    assert_eq!(bench.stored(), ["First", "A", "B", "C"], "{fault:?}");
}

async fn a_commit_of_unknown_outcome_is_resolved_by_ids<const BLOCKING: bool>() {
    for stored in [true, false] {
        check_resolved::<BLOCKING>(Fault::IsUnknown { stored }).await;
    }
}

async fn a_commit_that_panics_is_resolved_by_ids<const BLOCKING: bool>() {
    for stored in [true, false] {
        check_resolved::<BLOCKING>(Fault::Panics { stored }).await;
    }
}

async fn a_commit_that_is_unknown_twice_is_an_unknown_outcome<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    let unknown = |stored| [Fault::IsUnknown { stored }, Fault::IsUnknown { stored }];
    bench.script.faults(DriverStep::Commit, unknown(false));
    let error = bench.submit(one("A")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    // If the second transaction finds the events of the first, the outcome is certain.
    bench.script.faults(DriverStep::Commit, unknown(true));
    let appended = bench.submit(one("B")).await.expect("an append");
    assert!(!appended.duplicate, "this same call has stored it, so it is not a repetition");
    assert_eq!(bench.stored(), ["B"]);
}

async fn an_unknown_outcome_stays_unknown_after_another_failure<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    for step in [DriverStep::Begin, DriverStep::Facts] {
        bench.script.faults(DriverStep::Commit, [Fault::IsUnknown { stored: true }]);
        bench.script.faults(step, [Fault::Nothing, Fault::Fails]);
        let append = one("A");
        let error = bench.submit(append.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{step:?}: {error}");
        let repeated = bench.submit(append).await.expect("a repeat");
        assert!(repeated.duplicate, "{step:?}: an earlier call has stored it");
    }
}

async fn a_conflict_does_not_depend_on_the_commit<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    bench.submit(one("A")).await.unwrap();
    bench.script.faults(DriverStep::Commit, [Fault::IsUnknown { stored: false }]);
    let event = NewEvent::json("A", "{}").unwrap();
    let refused = Append::to("stream-A", Expected::NoStream, [event]).unwrap();
    let error = bench.submit(refused).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(bench.script.state().begun, 2, "a refusal is not tried again");
    bench.script.faults(DriverStep::Commit, [Fault::Panics { stored: false }]);
    let event = NewEvent::json("A", "{}").unwrap();
    let refused = Append::to("stream-A", Expected::NoStream, [event]).unwrap();
    assert_eq!(bench.submit(refused).await.unwrap_err().kind(), ErrorKind::Conflict);
    bench.submit(one("B")).await.expect("the writer continues");
}

async fn a_group_that_fails_with_busy_is_not_divided<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    bench.script.faults(DriverStep::Insert, [Fault::Nothing, Fault::IsBusy]);
    for outcome in bench.commit_together([one("A"), one("B"), one("C")]).await {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Busy);
    }
    assert_eq!(bench.script.state().begun, 2, "the held append and the group");
    assert_eq!(bench.stored(), ["First"]);
}

async fn a_transaction_that_does_not_begin_fails_its_group_only<const BLOCKING: bool>() {
    let bench = Bench::<BLOCKING>::start().await;
    bench.script.faults(DriverStep::Begin, [Fault::Fails, Fault::Panics { stored: false }]);
    assert_eq!(bench.submit(one("A")).await.unwrap_err().kind(), ErrorKind::Backend);
    assert_eq!(bench.submit(one("B")).await.unwrap_err().kind(), ErrorKind::Backend);
    bench.submit(one("C")).await.expect("the writer continues");
    assert_eq!(bench.stored(), ["C"]);
}

/// The output of log lines may be full, closed or broken. Only the driver that
/// runs in a task logs to the subscriber of this thread.
#[tokio::test]
async fn a_log_that_panics_costs_no_append() {
    let _log = tracing::subscriber::set_default(crate::supervise::PanickingLog);
    one_failing_append_of_64_fails_alone_and_in_few_transactions::<false>().await;
    a_commit_of_unknown_outcome_is_resolved_by_ids::<false>().await;
}
