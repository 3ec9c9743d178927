use std::sync::Arc;

use downlink::Expected;
use futures::FutureExt;
use proptest::collection::vec;
use proptest::prelude::*;

use super::sample::Sample;
use super::{Drive, Driven, Projections};
use crate::sample::{append, of_type};
use crate::{Run, tasks};

/// **Law P1,** of projections that run. Whatever is appended while they run,
/// and also if two workers run the same one, the read model is the fold of the
/// log up to its checkpoint, and at rest of all of it.
pub fn a_running_projection_is_exact(run: &Run, stage: &Projections) {
    let bursts = vec((1_usize..30, any::<bool>()), 1..8);
    run.cases(10, (0_usize..60, bursts, 1_usize..25), async |(history, bursts, batch)| {
        let scene = stage.open().await;
        if history > 0 {
            scene.append(history).await;
        }
        let sample = Sample::new("board", 1).of(of_type("FlightDelayed"));
        let drive = Drive { batch, ..Drive::default() };
        let hub = scene.hub().await;
        let mut workers = vec![scene.start(&hub, &sample, drive)];
        let mut last = None;
        for (count, joins) in bursts {
            if joins && workers.len() < 2 {
                workers.push(scene.start(&hub, &sample, drive));
            }
            let burst = append("flight-AA1141", Expected::Any, count);
            hub.append_all(burst).await.expect("an append");
            last = Some(scene.append_types(&["GateChanged", "FlightDelayed"]).await.cursor);
            scene.verify(&sample).await;
        }
        let last = last.expect("one burst at least");
        for worker in &workers {
            let waited = tasks::soon("a projection never catches up", worker.wait_for(last)).await;
            waited.unwrap_or_else(|error| panic!("a projection has stopped by itself: {error}"));
        }
        scene.verify(&sample).await;
        let (lines, log) = (scene.model(&sample).lines().await, scene.log().await);
        assert!(
            lines == sample.fold(&log),
            "a projection that has caught up has {} of {} lines",
            lines.len(),
            sample.fold(&log).len()
        );
    });
}

/// **Law P6.** `wait_for` returns when the read model has the event, and not
/// before.
pub async fn wait_for_returns_when_the_model_has_it(stage: &Projections) {
    let scene = stage.open().await;
    let sample = Sample::new("board", 1);
    let hub = scene.hub().await;
    let board: Arc<dyn Driven> = scene.start(&hub, &sample, Drive::default()).into();
    tasks::soon("a projection of an empty log is complete", board.wait_live())
        .await
        .expect("a complete read model");
    for turn in 1..=5 {
        scene.faults().hold_after(0, &sample.id);
        let offered = append("flight-UA1545", Expected::Any, turn);
        let cursor = hub.append_all(offered).await.expect("an append").cursor;
        let waiting = tokio::spawn({
            let board = Arc::clone(&board);
            async move { board.wait_for(cursor).await }
        });
        tasks::soon("a projection makes no step", scene.faults().somebody_waits()).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert!(
            !waiting.is_finished(),
            "`wait_for` returned before the step was committed: who queries then does not find \
             what was appended"
        );
        scene.faults().release();
        let waited = tasks::soon("`wait_for` never returns", tasks::join([waiting])).await;
        for outcome in waited {
            outcome.expect("a projection that goes on");
        }
        let lines = scene.model(&sample).lines().await;
        assert!(
            lines == sample.fold(&scene.log().await),
            "`wait_for` returned, and a query does not find what was appended"
        );
    }
}

/// **Law P7.** A new version is built beside the live one, which goes on and is
/// what queries read until the new one has caught up.
pub async fn a_new_version_is_built_beside_the_live_one(stage: &Projections) {
    let scene = stage.open().await;
    scene.append(150).await;
    let (old, new) = (Sample::new("board", 1), Sample::new("board", 2));
    let hub = scene.hub().await;
    let (first, model) = (scene.start(&hub, &old, Drive::default()), scene.model(&old));
    tasks::soon("the first version is never complete", first.wait_live())
        .await
        .expect("a complete read model");
    assert_eq!(model.live().await.ok(), Some(Some(1)), "the first version becomes live");

    // It prepares, makes one step, and waits with the next.
    scene.faults().hold_after(2, &new.id);
    let second = scene.start(&hub, &new, Drive { batch: 40, ..Drive::default() });
    tasks::soon("the new version makes no step", scene.faults().somebody_waits()).await;
    let cursor = scene.append(10).await.cursor;
    let went_on = tasks::soon(
        "the live version does not go on while a new one is built",
        first.wait_for(cursor),
    );
    went_on.await.expect("the live version to go on");
    assert!(
        model.lines().await == old.fold(&scene.log().await),
        "the live version is not what it was without the new one"
    );
    let too_early = "a version became live before it had caught up";
    assert_eq!(model.live().await.ok(), Some(Some(1)), "{too_early}");
    assert!(second.wait_live().now_or_never().is_none(), "{too_early}");

    scene.faults().release();
    tasks::soon("the new version is never complete", second.wait_live())
        .await
        .expect("a complete read model");
    assert_eq!(model.live().await.ok(), Some(Some(2)), "the new version becomes live");
    let lines = scene.model(&new).lines().await;
    assert!(lines == new.fold(&scene.log().await), "{too_early}");
    let cursor = scene.append(3).await.cursor;
    for handle in [&first, &second] {
        let went_on = tasks::soon("a version does not go on", handle.wait_for(cursor)).await;
        went_on.expect("both versions to go on");
    }
    for sample in [&old, &new] {
        scene.verify(sample).await;
    }
}

/// **Law P5,** of what does not match. The stored checkpoint moves on, although
/// nothing matches, so that a restart does not look through the log again.
pub async fn a_checkpoint_moves_without_matches(stage: &Projections) {
    let scene = stage.open().await;
    scene.append(40).await;
    let sample = Sample::new("board", 1).of(of_type("Never"));
    let hub = scene.hub().await;
    let board = scene.start(&hub, &sample, Drive::default());
    for _ in 0..2 {
        let cursor = scene.append(40).await.cursor;
        let what = "a checkpoint does not move while nothing matches: after a restart the whole \
                    log is looked through again";
        tasks::soon(what, board.wait_stored(cursor)).await.expect("a projection that goes on");
        let stored = scene.model(&sample).checkpoint().await.expect("a checkpoint");
        assert!(stored.position() >= cursor.position(), "{what}");
    }
    scene.verify(&sample).await;
}
