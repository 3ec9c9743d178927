use std::sync::Arc;

use downlink::projection::{DeadLetter, Step, StepOutcome};
use downlink::{Cursor, ErrorKind, Event, Position};
use proptest::collection::vec;
use tokio::sync::Barrier;
use tokio::task::yield_now;

use super::sample::{FAILS, PANICS, Sample};
use super::setup::Environment;
use super::{ProjectionSetup, ReadModel};
use crate::faults::drop_after;
use crate::run::LawRun;
use crate::tasks;

/// A step over these events, from the event before them.
pub(super) fn over(from: Cursor, events: &[Event]) -> Step {
    let to = events.last().map_or(from, Event::cursor);
    Step::new(from, to, events.to_vec())
}

/// Makes a step that has to succeed, and returns the cursor of what is
/// unannounced before it.
pub(super) async fn done(model: &dyn ReadModel, step: Step) -> Option<Cursor> {
    let (from, to) = (step.from, step.to);
    match model.step(step).await {
        Ok(StepOutcome::Applied { unannounced_after }) => unannounced_after,
        other => panic!("a step from {from} to {to} was not made: {other:?}"),
    }
}

/// Steps over those of these events that come after the checkpoint, in steps of
/// these sizes.
pub(super) async fn walk(model: &dyn ReadModel, events: &[Event], sizes: &[usize]) {
    let mut at = model.checkpoint().await.expect("a checkpoint");
    let done_before = events.partition_point(|event| event.position() <= at.position());
    let (mut left, mut sizes) = (&events[done_before..], sizes.iter().cycle());
    while !left.is_empty() {
        let size = (*sizes.next().expect("a size")).min(left.len());
        let (now, later) = left.split_at(size);
        done(model, over(at, now)).await;
        (at, left) = (now[size - 1].cursor(), later);
    }
}

/// **Law.** The read model and its checkpoint move in one transaction: at any
/// moment, also between two steps, the model is the fold of exactly the events
/// up to the checkpoint.
pub async fn a_model_is_the_fold_up_to_its_checkpoint(setup: &ProjectionSetup) {
    let env = Arc::new(setup.open().await);
    env.append(120).await;
    let log = env.log().await;
    let sample = Sample::new("board", 1);
    let model = env.model(&sample);
    let walking = tokio::spawn(async move { walk(&*model, &log, &[1, 7, 2, 30]).await });
    while !walking.is_finished() {
        env.verify(&sample).await;
        yield_now().await;
    }
    tasks::join([walking]).await;
    env.verify(&sample).await;
    assert_eq!(env.model(&sample).lines().await.len(), 120, "a step was lost");
}

/// **Law.** Of two workers that step from the same checkpoint one succeeds. The
/// other learns where the checkpoint is, and writes nothing.
pub async fn one_of_two_workers_commits_a_step(setup: &ProjectionSetup) {
    let env = setup.open().await;
    env.append(60).await;
    let (log, sample) = (env.log().await, Sample::new("board", 1));
    let mut at = Cursor::START;
    let mut left = &log[..];
    while !left.is_empty() {
        let barrier = Arc::new(Barrier::new(3));
        let workers: Vec<_> = (1..=3)
            .map(|size| {
                let (model, barrier) = (env.model(&sample), Arc::clone(&barrier));
                let step = over(at, &left[..size.min(left.len())]);
                tokio::spawn(async move {
                    barrier.wait().await;
                    (step.to, model.step(step).await.expect("a step, or `CheckpointMoved`"))
                })
            })
            .collect();
        let outcomes = tasks::join(workers).await;
        let won: Vec<_> = outcomes
            .iter()
            .filter(|(_, outcome)| matches!(outcome, StepOutcome::Applied { .. }))
            .map(|(to, _)| *to)
            .collect();
        assert!(
            won.len() == 1,
            "of three workers that stepped from the same checkpoint {} succeeded: compare the \
             checkpoint and set it in the transaction of the step",
            won.len()
        );
        for (_, outcome) in &outcomes {
            if let StepOutcome::CheckpointMoved(cursor) = outcome {
                assert_eq!(
                    *cursor, won[0],
                    "a worker whose step is lost has to learn where the checkpoint is now"
                );
            }
        }
        at = won[0];
        left = &left[left.partition_point(|event| event.position() <= at.position())..];
        env.verify(&sample).await;
    }
}

/// **Law.** Whatever the size of the steps, and also after a reset, the read
/// model is the same.
pub fn any_size_of_steps_gives_the_same_model(run: &LawRun, setup: &ProjectionSetup) {
    let sizes = || vec(1_usize..20, 1..6);
    run.cases(12, (1_usize..60, sizes(), sizes()), async |(count, first, second)| {
        let env = setup.open().await;
        env.append(count).await;
        let (log, sample) = (env.log().await, Sample::new("board", 1));
        let model = env.model(&sample);
        walk(&*model, &log, &first).await;
        let built = model.lines().await;
        assert!(
            built == sample.fold(&log),
            "steps of {first:?} events give another read model than the fold of the log"
        );
        model.reset().await.expect("a reset");
        walk(&*model, &log, &second).await;
        assert!(
            model.lines().await == built,
            "a rebuild in steps of {second:?} events gives another read model than one in steps of \
             {first:?}"
        );
    });
}

/// **Law.** A projection that fails or panics leaves no trace, and stops
/// neither other projections nor appends.
pub async fn a_failed_step_leaves_no_trace(setup: &ProjectionSetup) {
    for bad in [FAILS, PANICS] {
        let env = setup.open().await;
        env.append(3).await;
        env.append_types(&["FlightDelayed", bad, "FlightDelayed"]).await;
        let (log, sample) = (env.log().await, Sample::new("board", 1));
        let model = env.model(&sample);
        done(&*model, over(Cursor::START, &log[..3])).await;
        for _ in 0..3 {
            let outcome = model.step(over(log[2].cursor(), &log[3..])).await;
            assert!(
                matches!(outcome, Ok(StepOutcome::Failed(_))),
                "a projection that {bad} has to return `StepOutcome::Failed`, and the step returned \
                 {outcome:?}"
            );
            assert_eq!(
                model.checkpoint().await.ok(),
                Some(log[2].cursor()),
                "a failed step has moved the checkpoint"
            );
            assert_eq!(
                model.lines().await,
                sample.fold(&log[..3]),
                "a failed step has left something in the read model: roll it back"
            );
        }
        let other = Sample::new("gates", 1);
        other.repair();
        done(&*env.model(&other), over(Cursor::START, &log)).await;
        env.append(1).await;
        sample.repair();
        done(&*model, over(log[2].cursor(), &log[3..])).await;
        env.verify(&sample).await;
        env.verify(&other).await;
    }
}

/// **Law.** A step whose future was dropped was made as a whole or not at all,
/// and repeating it finds out which.
pub async fn a_dropped_step_is_all_or_nothing(setup: &ProjectionSetup) {
    let env = setup.open().await;
    env.append(40).await;
    let (log, sample) = (env.log().await, Sample::new("board", 1));
    let model = env.model(&sample);
    for (index, events) in log.chunks(2).enumerate() {
        let at = model.checkpoint().await.expect("a checkpoint");
        let step = over(at, events);
        // The dropped step may still be in progress for a while.
        let _ = drop_after(index % 8, model.step(step.clone())).await;
        env.verify(&sample).await;
        let repeated = model.step(step.clone()).await.expect("a step, or `CheckpointMoved`");
        match repeated {
            StepOutcome::Applied { .. } => {}
            StepOutcome::CheckpointMoved(cursor) if cursor == step.to => {}
            other => panic!("a step that was dropped and repeated was {other:?}"),
        }
        env.verify(&sample).await;
    }
    assert_eq!(
        model.lines().await,
        sample.fold(&log),
        "a dropped step was not made, or made twice"
    );
}

/// **Law.** A checkpoint goes back only by a reset: a step to an earlier
/// position is refused, and a step from a former checkpoint is `CheckpointMoved`.
pub async fn a_checkpoint_never_goes_back(setup: &ProjectionSetup) {
    let env = setup.open().await;
    env.append(9).await;
    let (log, sample) = (env.log().await, Sample::new("board", 1));
    let model = env.model(&sample);
    walk(&*model, &log[..6], &[2]).await;
    let here = log[5].cursor();
    for once in [Cursor::START, log[1].cursor(), log[3].cursor()] {
        let after = log.partition_point(|event| event.position() <= once.position());
        for end in [after + 1, 9] {
            let outcome = model.step(over(once, &log[after..end])).await;
            assert!(
                matches!(outcome, Ok(StepOutcome::CheckpointMoved(cursor)) if cursor == here),
                "a step from the former checkpoint {once} has to be lost to {here}, and was \
                 {outcome:?}: compare checkpoints for equality"
            );
        }
        let back = model.step(Step::new(here, once, Vec::new())).await;
        assert_eq!(
            back.err().map(|error| error.kind()),
            Some(ErrorKind::Invalid),
            "a step back from {here} to {once} has to be refused"
        );
    }
    assert_eq!(model.checkpoint().await.ok(), Some(here), "the checkpoint has moved");
    env.verify(&sample).await;
    done(&*model, over(here, &log[6..])).await;
    env.verify(&sample).await;
}

/// **Law.** A reset empties the read model and its dead letters and sets the
/// checkpoint before the first event. It does not change which version is live.
pub async fn a_reset_starts_over(setup: &ProjectionSetup) {
    let env = setup.open().await;
    env.append(5).await;
    let (log, sample) = (env.log().await, Sample::new("board", 1));
    let model = env.model(&sample);
    let nothing = Step::new(Cursor::START, Cursor::START, Vec::new());
    done(&*model, nothing).await;
    done(&*model, over(Cursor::START, &log[..3])).await;
    done(&*model, Step::skip(log[2].cursor(), letter(&log[3]))).await;
    model.make_live().await.expect("a live version");
    for _ in 0..2 {
        model.reset().await.expect("a reset");
        assert_eq!(
            model.checkpoint().await.ok(),
            Some(Cursor::START),
            "after a reset the checkpoint has to be before the first event"
        );
        assert!(
            model.lines().await.is_empty(),
            "after a reset something is left in the read model: clear it together with the \
             checkpoint"
        );
        let letters = model.dead_letters(Position::ZERO, 10).await.expect("dead letters");
        assert!(letters.is_empty(), "a reset has to delete dead letters");
        assert_eq!(
            model.live().await.ok(),
            Some(Some(1)),
            "a reset must not change which version is live"
        );
        done(&*model, over(Cursor::START, &log)).await;
        env.verify(&sample).await;
    }
}

fn letter(event: &Event) -> DeadLetter {
    DeadLetter::new(event, &downlink::Error::new(ErrorKind::Backend, "no such gate"))
}

/// **Law.** Dead letters are stored whole, in the transaction of the step that
/// skips the event, and not without that step. They are listed in the order of
/// the log.
pub async fn dead_letters_move_with_the_checkpoint(setup: &ProjectionSetup) {
    let env = setup.open().await;
    env.append(30).await;
    let (log, sample) = (env.log().await, Sample::new("board", 1));
    let model = env.model(&sample);
    let mut letters = Vec::new();
    let mut at = Cursor::START;
    for pair in log.chunks(2) {
        done(&*model, over(at, &pair[..1])).await;
        let letter = letter(&pair[1]);
        let lost = model.step(Step::skip(at, letter.clone())).await;
        assert!(
            matches!(lost, Ok(StepOutcome::CheckpointMoved(_))),
            "a step from another checkpoint has to be lost, and was {lost:?}"
        );
        assert!(
            listed(&*model, Position::ZERO, 100).await == letters,
            "a lost step has left a dead letter"
        );
        done(&*model, Step::skip(pair[0].cursor(), letter.clone())).await;
        letters.push(letter);
        at = pair[1].cursor();
        assert!(
            listed(&*model, Position::ZERO, 100).await == letters,
            "the dead letters are not those of the events that were skipped"
        );
    }
    assert!(
        listed(&*model, Position::ZERO, 0).await.is_empty(),
        "a limit of 0 has to list no dead letters"
    );
    let (mut paged, mut after) = (Vec::new(), Position::ZERO);
    loop {
        let page = listed(&*model, after, 4).await;
        assert!(page.len() <= 4, "more dead letters were listed than asked for");
        let Some(last) = page.last() else { break };
        after = last.cursor.position();
        paged.extend(page);
    }
    assert!(paged == letters, "pages of dead letters do not add up to the whole list");
    let other = env.model(&Sample::new("board", 2));
    assert!(listed(&*other, Position::ZERO, 9).await.is_empty(), "versions share dead letters");
}

async fn listed(model: &dyn ReadModel, after: Position, limit: usize) -> Vec<DeadLetter> {
    model.dead_letters(after, limit).await.expect("dead letters")
}

/// Builds a read model of the whole log.
pub(super) async fn build(env: &Environment, sample: &Sample) -> Arc<dyn ReadModel> {
    let model = env.model(sample);
    walk(&*model, &env.log().await, &[10]).await;
    model
}
