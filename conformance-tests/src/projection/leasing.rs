use std::sync::Arc;
use std::time::Duration;

use downlink::projection::{DeadLetter, Lease, LeaseOutcome, LeaseToken, Step, StepOutcome};
use downlink::{Cursor, Error, ErrorKind, Position};
use tokio::sync::Barrier;
use tokio::time::sleep;

use super::sample::Sample;
use super::steps::{done, over};
use super::{ProjectionSetup, ReadModel};
use crate::tasks;

/// Long enough that it does not expire while a law runs.
const LONG: Duration = Lease::LONGEST;

/// How long a law waits for the shortest lease to expire.
const EXPIRY: Duration = Duration::from_millis(250);

fn lease() -> Lease {
    Lease::new(LeaseToken::generate(), LONG)
}

async fn ask(model: &dyn ReadModel, lease: Lease) -> LeaseOutcome {
    model.lease(lease).await.expect("an answer to a worker that asks for a lease")
}

async fn holds(model: &dyn ReadModel, lease: Lease) -> bool {
    ask(model, lease).await == LeaseOutcome::Held
}

/// **Law.** Of many workers that ask for the lease of a read model at the same time one gets it.
/// It may ask again, and only it can give the lease up, to another. Versions and names have leases
/// of their own.
pub async fn one_of_many_workers_has_the_lease(setup: &ProjectionSetup) {
    let env = setup.open().await;
    let sample = Sample::new("board", 1);
    let barrier = Arc::new(Barrier::new(8));
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let (model, barrier, lease) = (env.model(&sample), Arc::clone(&barrier), lease());
            tokio::spawn(async move {
                barrier.wait().await;
                (lease, ask(&*model, lease).await)
            })
        })
        .collect();
    let (winners, losers): (Vec<_>, Vec<_>) =
        tasks::join(asking).await.into_iter().partition(|(_, told)| *told == LeaseOutcome::Held);
    assert!(
        winners.len() == 1,
        "of eight workers that asked at the same time {} got the lease: take it in one statement or \
         in a transaction that locks its row",
        winners.len()
    );
    let (winner, loser, model) = (winners[0].0, losers[0].0, env.model(&sample));
    for (_, told) in &losers {
        assert!(
            matches!(told, LeaseOutcome::HeldByAnother { remaining } if !remaining.is_zero() && *remaining <= LONG),
            "a worker has to learn how long the lease of another lasts, and learned {told:?}"
        );
    }
    assert!(holds(&*model, winner).await, "a worker has to get its own lease again");
    for other in [Sample::new("board", 2), Sample::new("boar", 1)] {
        assert!(
            holds(&*env.model(&other), loser).await,
            "versions or projections with different names share a lease"
        );
    }
    model.release(loser.token()).await.expect("an answer");
    assert!(!holds(&*model, loser).await, "a worker has given up the lease of another");
    model.release(winner.token()).await.expect("an answer");
    assert!(holds(&*model, loser).await, "a lease that was given up has to be free at once");
}

/// **Law.** A step with a lease is made only while its lease is the stored one, whatever the
/// checkpoint is; otherwise nothing is written. A step without a lease needs none.
pub async fn a_step_without_the_lease_is_refused(setup: &ProjectionSetup) {
    let env = setup.open().await;
    env.append(8).await;
    let (log, sample) = (env.log().await, Sample::new("board", 1));
    let model = env.model(&sample);
    let (one, two) = (lease(), lease());
    let step = |from: usize, to: usize, lease| {
        let before: Cursor = if from == 0 { Cursor::START } else { log[from - 1].cursor() };
        over(before, &log[from..to]).with_lease(Some(lease))
    };
    refused(&*model, step(0, 2, one)).await;
    assert!(holds(&*model, one).await, "a free lease has to be given");
    done(&*model, step(0, 2, one)).await;
    refused(&*model, step(2, 4, two)).await;
    let letter = DeadLetter::new(&log[2], &Error::new(ErrorKind::Backend, "no such gate"));
    refused(&*model, Step::skip(log[1].cursor(), letter).with_lease(Some(two))).await;
    let letters = model.dead_letters(Position::ZERO, 10).await.expect("dead letters");
    assert!(letters.is_empty(), "a step that was refused has left a dead letter");
    env.verify(&sample).await;
    done(&*model, step(2, 4, one)).await;
    done(&*model, over(log[3].cursor(), &log[4..6])).await;
    model.release(one.token()).await.expect("an answer");
    refused(&*model, step(6, 8, one)).await;
    assert!(holds(&*model, two).await, "a lease that was given up has to be free at once");
    done(&*model, step(6, 8, two)).await;
    env.verify(&sample).await;
}

async fn refused(model: &dyn ReadModel, step: Step) {
    let before = model.checkpoint().await.expect("a checkpoint");
    let outcome = model.step(step).await;
    assert!(
        matches!(outcome, Ok(StepOutcome::LeaseLost)),
        "a step whose lease is not the stored one has to be refused, and the step returned \
         {outcome:?}: compare the token in the transaction of the step"
    );
    let after = model.checkpoint().await.expect("a checkpoint");
    assert_eq!(before, after, "a step that was refused has moved the checkpoint");
}

/// **Law.** A step prolongs its lease, so that a worker that makes steps need not ask for it.
pub async fn a_step_prolongs_its_lease(setup: &ProjectionSetup) {
    let env = setup.open().await;
    env.append(2).await;
    let (log, model) = (env.log().await, env.model(&Sample::new("board", 1)));
    let one = LeaseToken::generate();
    assert!(holds(&*model, Lease::new(one, Lease::SHORTEST)).await, "a free lease has to be given");
    done(&*model, over(Cursor::START, &log).with_lease(Some(Lease::new(one, LONG)))).await;
    sleep(EXPIRY).await;
    let told = ask(&*model, lease()).await;
    assert!(
        matches!(told, LeaseOutcome::HeldByAnother { remaining } if remaining > LONG / 2),
        "a step has to prolong its lease by the duration of that lease, and another worker was told \
         {told:?}"
    );
}

/// **Law.** A lease that was not prolonged is taken over by the next worker that asks. Until then
/// the old one may make steps, however late it is; after that its steps are refused.
pub async fn an_expired_lease_is_taken_over(setup: &ProjectionSetup) {
    let env = setup.open().await;
    env.append(6).await;
    let (log, sample) = (env.log().await, Sample::new("board", 1));
    let model = env.model(&sample);
    let (one, two) = (Lease::new(LeaseToken::generate(), Lease::SHORTEST), lease());
    assert!(holds(&*model, one).await, "a free lease has to be given");
    sleep(EXPIRY).await;
    let late = model.step(over(Cursor::START, &log[..2]).with_lease(Some(one))).await;
    assert!(
        matches!(late, Ok(StepOutcome::Applied { .. })),
        "a step was refused because of the clock: its lease had expired, but was still the stored \
         one, and the step returned {late:?}"
    );
    let taken_over = async {
        while !holds(&*model, two).await {
            sleep(EXPIRY / 10).await;
        }
    };
    tasks::soon("a lease that has expired is not given to another worker", taken_over).await;
    refused(&*model, over(log[1].cursor(), &log[2..4]).with_lease(Some(one))).await;
    let told = ask(&*model, Lease::new(one.token(), LONG)).await;
    assert!(told != LeaseOutcome::Held, "a lease was taken from the worker that has it");
    done(&*model, over(log[1].cursor(), &log[2..]).with_lease(Some(two))).await;
    env.verify(&sample).await;
}
