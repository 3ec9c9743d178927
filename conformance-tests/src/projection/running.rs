use std::sync::Arc;

use downlink::Expected;
use downlink::projection::Lease;
use futures::FutureExt;
use proptest::collection::vec;
use proptest::prelude::*;

use super::sample::Sample;
use super::{ProjectionSetup, RunOptions, RunningProjection};
use crate::run::LawRun;
use crate::sample::{append, of_type};
use crate::tasks;

/// **Law.** Whatever is appended while projections run, and also if two workers
/// run the same projection, with leases or without, the read model is the fold
/// of the log up to its checkpoint, and at rest the fold of the whole log.
pub fn a_running_projection_is_exact(run: &LawRun, setup: &ProjectionSetup) {
    let bursts = vec((1_usize..30, any::<bool>()), 1..8);
    let leased = any::<bool>();
    run.cases(
        10,
        (0_usize..60, bursts, 1_usize..25, leased),
        async |(history, bursts, batch, leased)| {
            let env = setup.open().await;
            if history > 0 {
                env.append(history).await;
            }
            let sample = Sample::new("board", 1).of(of_type("FlightDelayed"));
            let lease = leased.then_some(Lease::SHORTEST);
            let drive = RunOptions { batch, lease, ..RunOptions::default() };
            let hub = env.hub().await;
            let mut workers = vec![env.start(&hub, &sample, drive)];
            let mut last = None;
            for (count, joins) in bursts {
                if joins && workers.len() < 2 {
                    workers.push(env.start(&hub, &sample, drive));
                }
                let burst = append("flight-AA1141", Expected::Any, count);
                hub.append(burst).await.expect("an append");
                last = Some(env.append_types(&["GateChanged", "FlightDelayed"]).await.cursor);
                env.verify(&sample).await;
            }
            let last = last.expect("one burst at least");
            for worker in &workers {
                let waited =
                    tasks::soon("a projection never catches up", worker.wait_for(last)).await;
                waited.unwrap_or_else(|error| panic!("a projection stopped by itself: {error}"));
            }
            env.verify(&sample).await;
            let (lines, log) = (env.model(&sample).lines().await, env.log().await);
            assert!(
                lines == sample.fold(&log),
                "a projection that has caught up has {} of {} lines",
                lines.len(),
                sample.fold(&log).len()
            );
        },
    );
}

/// **Law.** `wait_for` returns when the read model contains the event, and not
/// before.
pub async fn wait_for_returns_when_the_model_has_it(setup: &ProjectionSetup) {
    let env = setup.open().await;
    let sample = Sample::new("board", 1);
    let hub = env.hub().await;
    let board: Arc<dyn RunningProjection> = env.start(&hub, &sample, RunOptions::default()).into();
    tasks::soon("a projection of an empty log does not become live", board.wait_live())
        .await
        .expect("a complete read model");
    for turn in 1..=5 {
        env.faults().hold_after(0, &sample.id);
        let offered = append("flight-UA1545", Expected::Any, turn);
        let cursor = hub.append(offered).await.expect("an append").cursor;
        let waiting = tokio::spawn({
            let board = Arc::clone(&board);
            async move { board.wait_for(cursor).await }
        });
        tasks::soon("a projection makes no step", env.faults().until_waiting()).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert!(
            !waiting.is_finished(),
            "`wait_for` returned before the step was committed: a query at that time does not find \
             what was appended"
        );
        env.faults().release();
        let waited = tasks::soon("`wait_for` never returns", tasks::join([waiting])).await;
        for outcome in waited {
            outcome.expect("a projection that continues");
        }
        let lines = env.model(&sample).lines().await;
        assert!(
            lines == sample.fold(&env.log().await),
            "`wait_for` returned, and a query does not find what was appended"
        );
    }
}

/// **Law.** A new version is built next to the live one, which continues and
/// serves queries until the new one has caught up.
pub async fn a_new_version_is_built_beside_the_live_one(setup: &ProjectionSetup) {
    let env = setup.open().await;
    env.append(150).await;
    let (old, new) = (Sample::new("board", 1), Sample::new("board", 2));
    let hub = env.hub().await;
    let (first, model) = (env.start(&hub, &old, RunOptions::default()), env.model(&old));
    tasks::soon("the first version is never complete", first.wait_live())
        .await
        .expect("a complete read model");
    assert_eq!(model.live().await.ok(), Some(Some(1)), "the first version has to become live");

    // The new version prepares, makes one step, and waits before the next.
    env.faults().hold_after(2, &new.id);
    let second = env.start(&hub, &new, RunOptions { batch: 40, ..RunOptions::default() });
    tasks::soon("the new version makes no step", env.faults().until_waiting()).await;
    let cursor = env.append(10).await.cursor;
    let continued = tasks::soon(
        "the live version does not continue while a new one is built",
        first.wait_for(cursor),
    );
    continued.await.expect("the live version to continue");
    assert!(
        model.lines().await == old.fold(&env.log().await),
        "the live version was changed by the new one"
    );
    let too_early = "a version became live before it had caught up";
    assert_eq!(model.live().await.ok(), Some(Some(1)), "{too_early}");
    assert!(second.wait_live().now_or_never().is_none(), "{too_early}");

    env.faults().release();
    tasks::soon("the new version is never complete", second.wait_live())
        .await
        .expect("a complete read model");
    assert_eq!(model.live().await.ok(), Some(Some(2)), "the new version has to become live");
    let lines = env.model(&new).lines().await;
    assert!(lines == new.fold(&env.log().await), "{too_early}");
    let cursor = env.append(3).await.cursor;
    for handle in [&first, &second] {
        let continued = tasks::soon("a version does not continue", handle.wait_for(cursor)).await;
        continued.expect("both versions to continue");
    }
    for sample in [&old, &new] {
        env.verify(sample).await;
    }
}

/// **Law.** The stored checkpoint advances even if nothing matches, so that a
/// restart does not scan the log again.
pub async fn a_checkpoint_moves_without_matches(setup: &ProjectionSetup) {
    let env = setup.open().await;
    env.append(40).await;
    let sample = Sample::new("board", 1).of(of_type("Never"));
    let hub = env.hub().await;
    let board = env.start(&hub, &sample, RunOptions::default());
    for _ in 0..2 {
        let cursor = env.append(40).await.cursor;
        let what = "a checkpoint does not advance while nothing matches: after a restart the whole \
                    log is scanned again";
        tasks::soon(what, board.wait_stored(cursor)).await.expect("a projection that continues");
        let stored = env.model(&sample).checkpoint().await.expect("a checkpoint");
        assert!(stored.position() >= cursor.position(), "{what}");
    }
    env.verify(&sample).await;
}
