use downlink::Position;

use super::driver::Drive;
use super::killing::{DurableProjections, board};
use crate::tasks;

/// **Law P1,** after a crash. Whenever whoever makes a read model is killed, the
/// model is the fold of the log up to its checkpoint, nothing is gone that was
/// told to be in it, and the next one goes on from there.
pub async fn a_killed_projection_resumes_exactly(stage: &DurableProjections) {
    let (address, _guard) = stage.make().await;
    let sample = board();
    let mut told = Position::ZERO;
    for round in 0..stage.rounds() {
        told = told.max(stage.work_and_die(&address, round).await);
        let scene = stage.open(&address).await;
        scene.verify(&sample).await;
        let checkpoint = scene.model(&sample).checkpoint().await.expect("a checkpoint");
        assert!(
            checkpoint.position() >= told,
            "after a crash the checkpoint is at {}, although {told} was told to be in the read \
             model: a step is durable when it returns",
            checkpoint.position()
        );
    }
    let scene = stage.open(&address).await;
    let hub = scene.hub().await;
    let board = scene.start(&hub, &sample, Drive::default());
    let head = hub.head().await.expect("a head");
    let complete = tasks::soon("a projection never catches up", board.wait_for(head)).await;
    complete.expect("a projection that goes on after a crash");
    assert_eq!(
        scene.model(&sample).lines().await,
        sample.fold(&scene.log().await),
        "after {} crashes events are missing in the read model, or are in it twice",
        stage.rounds()
    );
}
