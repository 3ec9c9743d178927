use std::time::Duration;

use downlink::projection::FailurePolicy;
use downlink::{Cursor, Event, EventId, Position};

use super::sample::{FAILS, PANICS, Sample};
use super::{ProjectionSetup, RunOptions};
use crate::tasks;

const FINE: &str = "FlightDelayed";

/// **Law.** A projection that cannot apply an event stops right before it, with
/// everything before it applied, returns the error to its waiters, and
/// continues from there once it was repaired.
pub async fn a_projection_stops_before_a_failing_event(setup: &ProjectionSetup) {
    for (bad, batch) in [(FAILS, 100), (PANICS, 100), (FAILS, 3), (FAILS, 1)] {
        let env = setup.open().await;
        let types = [FINE, FINE, FINE, FINE, FINE, bad, FINE, FINE, bad, FINE];
        let last = env.append_types(&types).await.cursor;
        let (log, sample) = (env.log().await, Sample::new("board", 1));
        let hub = env.hub().await;
        let board = env.start(&hub, &sample, RunOptions { batch, ..RunOptions::default() });
        let what = "a projection stopped at an event without returning the error to its waiters";
        let stopped = tasks::soon(what, board.wait_for(last)).await;
        assert!(
            stopped.is_err(),
            "a projection continued past an event that it could not apply, although its policy is \
             to stop"
        );
        let model = env.model(&sample);
        assert_eq!(
            model.checkpoint().await.ok(),
            Some(log[4].cursor()),
            "a projection has to stop right before the event that fails, also in batches of {batch}"
        );
        env.verify(&sample).await;
        let letters = model.dead_letters(Position::ZERO, 10).await.expect("dead letters");
        assert!(letters.is_empty(), "a projection that stops must not skip events");

        sample.repair();
        board.resume().await.expect("a repaired projection to continue");
        let continued =
            tasks::soon("a repaired projection does not continue", board.wait_for(last));
        continued.await.expect("a repaired projection to continue");
        assert_eq!(
            model.lines().await,
            sample.fold(&log),
            "a repaired projection has to continue where it stopped"
        );
    }
}

/// **Law.** With the policy to skip, exactly the events that cannot be applied
/// are skipped, each with a dead letter.
pub async fn only_failing_events_are_skipped(setup: &ProjectionSetup) {
    for batch in [100, 4, 1] {
        let env = setup.open().await;
        let types = [FAILS, FINE, FINE, FAILS, PANICS, FINE, FINE, FINE, FINE, FAILS];
        let last = env.append_types(&types).await.cursor;
        let (log, sample) = (env.log().await, Sample::new("board", 1));
        let hub = env.hub().await;
        let drive = RunOptions { batch, policy: FailurePolicy::skip(), ..RunOptions::default() };
        let board = env.start(&hub, &sample, drive);
        let continued = tasks::soon("a projection does not skip events", board.wait_for(last));
        continued.await.expect("a projection that skips what fails");
        let is_bad = |event: &&Event| event.event_type().as_str() != FINE;
        let fine: Vec<_> = log.iter().filter(|event| !is_bad(event)).collect();
        assert_eq!(
            env.model(&sample).lines().await,
            sample.fold(fine),
            "in batches of {batch}, events were skipped that can be applied"
        );
        let letters = board.dead_letters(Position::ZERO, 100).await.expect("dead letters");
        let recorded: Vec<_> = letters.iter().map(|letter| (letter.cursor, letter.id)).collect();
        let bad: Vec<_> =
            log.iter().filter(is_bad).map(|event| (event.cursor(), event.id())).collect();
        assert_eq!(recorded, bad, "each skipped event has to be a dead letter");
        for letter in &letters {
            assert!(
                letter.error.contains("on purpose"),
                "a dead letter has to contain the error of the projection, and has {:?}",
                letter.error
            );
        }
    }
}

/// **Law.** An event that fails is retried as often as the policy says, and no
/// more.
pub async fn a_failing_event_is_retried_as_configured(setup: &ProjectionSetup) {
    for retries in [0, 1, 4] {
        let env = setup.open().await;
        let last = env.append_types(&[FINE, FINE, FAILS, FINE]).await.cursor;
        let sample = Sample::new("board", 1);
        let hub = env.hub().await;
        let policy = FailurePolicy::stop().with_retries(retries, Duration::from_millis(1));
        let board = env.start(&hub, &sample, RunOptions { policy, ..RunOptions::default() });
        let what = "a projection stopped at an event without returning the error to its waiters";
        let stopped = tasks::soon(what, board.wait_for(last)).await;
        assert!(stopped.is_err(), "a projection continued past an event that it could not apply");
        let tries = u32::try_from(sample.tries()).expect("a few");
        assert_eq!(
            tries,
            1 + retries,
            "an event that fails has to be tried once, and {retries} more times as configured"
        );
    }
}

/// **Law.** While the store is busy a projection waits and retries, however
/// often. That is not a failure of the projection.
pub async fn a_projection_waits_for_a_busy_store(setup: &ProjectionSetup) {
    let env = setup.open().await;
    let sample = Sample::new("board", 1);
    let hub = env.hub().await;
    let board = env.start(&hub, &sample, RunOptions::default());
    let complete = tasks::soon("a projection of an empty log is complete", board.wait_live());
    complete.await.expect("a complete read model");
    env.faults().be_busy(6);
    let last = env.append_types(&[FINE, FINE]).await.cursor;
    let waited = tasks::soon(
        "a projection does not continue when its store is no longer busy",
        board.wait_for(last),
    )
    .await;
    if let Err(error) = waited {
        panic!("a projection stopped because its store was busy, which is transient: {error}");
    }
    assert_eq!(env.faults().busy(), 0, "a step was made while the store was busy");
    let letters = board.dead_letters(Position::ZERO, 9).await.expect("dead letters");
    assert!(letters.is_empty(), "an event was skipped because the store was busy");
    env.verify(&sample).await;
}

/// **Law.** A projection whose checkpoint is not of the log stops with an
/// error, instead of waiting for events that never come.
pub async fn another_history_stops_a_projection(setup: &ProjectionSetup) {
    for elsewhere in [2, 30] {
        let env = setup.open().await;
        let last = env.append(10).await.cursor;
        let sample = Sample::new("board", 1);
        let hub = env.hub().await;
        let board = env.start(&hub, &sample, RunOptions::default());
        let complete = tasks::soon("a projection never catches up", board.wait_for(last));
        complete.await.expect("a complete read model");
        drop(board);

        let other = setup.open().await;
        other.append(elsewhere).await;
        let hub = other.hub().await;
        // The read models of one log, driven by another.
        let board = env.start(&hub, &sample, RunOptions::default());
        let never = Cursor::of(Position::MAX, EventId::from_bytes([7; 16]));
        let what = "a projection whose checkpoint is not of the log stopped without an error";
        let told = tasks::soon(what, board.wait_for(never)).await;
        let checkpoint = env.model(&sample).checkpoint().await;
        let is_told = told.as_ref().is_err_and(downlink::Error::is_other_history);
        assert!(
            is_told,
            "a projection continued from a checkpoint that is not of its log: {told:?}"
        );
        assert_eq!(checkpoint.ok(), Some(last), "the checkpoint was moved by another log");
    }
}
