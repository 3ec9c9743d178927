use std::time::Duration;

use downlink::projection::{Lease, Status};
use downlink::{Cursor, Event, ProjectionHandle};
use futures::StreamExt;

use super::ProjectionSetup;
use super::announcing::Announced;
use super::sample::Sample;
use super::setup::Environment;
use crate::faults::ProjectionFaults;
use crate::tasks;

/// Short enough to wait for, and long enough that a busy machine prolongs it in time.
const SHORT: Duration = Duration::from_secs(2);

/// **Law.** Of two workers with a lease one makes all steps. The other reports that it stands by,
/// shows the progress of the stored model, and takes over as soon as the first is paused or shut
/// down.
pub async fn one_worker_works_while_others_stand_by(setup: &ProjectionSetup) {
    let env = setup.open().await;
    env.append(10).await;
    let sample = Sample::new("board", 1);
    let (hub, other_hub) = (env.hub().await, env.hub().await);
    let start = |hub| {
        let builder = env.model(&sample).project(hub).with_lease(Lease::LONGEST);
        builder.start().expect("a projection to start")
    };
    let first = start(&hub);
    soon("a worker with the lease never completes the model", first.wait_live()).await;
    let second = start(&other_hub);
    until_standby(&second).await;
    soon("a worker that stands by does not know that the model is live", second.wait_live()).await;
    let cursor = env.append(5).await.cursor;
    for worker in [&first, &second] {
        wait_for(worker, cursor).await;
    }
    expect_applied(&second, 0);
    expect_applied(&first, 15);

    first.pause().await.expect("a pause");
    wait_for(&second, env.append(3).await.cursor).await;
    expect_applied(&second, 3);
    first.resume().await.expect("a worker that continues");
    until_standby(&first).await;
    second.shutdown().await;
    wait_for(&first, env.append(2).await.cursor).await;
    expect_applied(&first, 17);
    expect_applied(&second, 3);
    env.verify(&sample).await;
}

fn expect_applied(worker: &ProjectionHandle, count: u64) {
    let progress = worker.progress();
    assert!(
        progress.applied == count,
        "a worker has applied {} events instead of {count}: only the one with the lease may work",
        progress.applied
    );
}

pub(super) async fn until_standby(worker: &ProjectionHandle) {
    let mut changes = worker.changes();
    let what = "a worker does not stand by while another has the lease";
    let standby = async {
        while let Some(progress) = changes.next().await {
            if matches!(progress.status, Status::Standby) {
                return;
            }
        }
    };
    tasks::soon(what, standby).await;
}

pub(super) async fn wait_for(worker: &ProjectionHandle, cursor: Cursor) {
    let what = "a worker neither follows the one with the lease nor takes over from it after it \
                was given up";
    soon(what, worker.wait_for(cursor)).await;
}

async fn soon(what: &str, waits: impl Future<Output = downlink::Result<()>>) {
    tasks::soon(what, waits).await.expect("a projection that continues");
}

/// **Law.** A worker that is stalled in the middle of a step, without notice, is replaced when its
/// lease expires. When it continues, its step is refused: no event is in the model twice, none is
/// announced twice, and none is missed.
pub async fn a_stalled_worker_is_replaced(setup: &ProjectionSetup) {
    let env = setup.open().await;
    let sample = Sample::new("board", 1);
    let told = Announced::default();
    let (hub, other_hub) = (env.hub().await, env.hub().await);
    let faults = [ProjectionFaults::none(), ProjectionFaults::none()];
    let start = |hub, faults| {
        let builder = env.faulty_model(&sample, faults).project(hub).with_lease(SHORT);
        told.record(builder).start().expect("a projection to start")
    };
    let workers = [start(&hub, &faults[0]), start(&other_hub, &faults[1])];
    for worker in &workers {
        soon("a model never becomes live", worker.wait_live()).await;
    }
    for _ in 0..2 {
        let (held, other) = if is_standby(&workers[0]) { (1, 0) } else { (0, 1) };
        wait_for(&workers[held], env.append(4).await.cursor).await;
        faults[held].stall();
        let cursor = env.append(3).await.cursor;
        tasks::soon("a worker makes no step", faults[held].until_stalled()).await;
        wait_for(&workers[other], cursor).await;
        faults[held].go_on();
        wait_for(&workers[held], env.append(2).await.cursor).await;
    }
    let log = env.log().await;
    told.until(log.len()).await;
    for worker in &workers {
        worker.shutdown().await;
    }
    env.verify(&sample).await;
    let expected: Vec<_> = log.iter().map(Event::position).collect();
    assert_eq!(told.positions(), expected, "an event was announced twice after a stall, or not");
    expect_lines(&env, &sample, &log).await;
}

async fn expect_lines(env: &Environment, sample: &Sample, log: &[Event]) {
    assert!(
        env.model(sample).lines().await == sample.fold(log),
        "after a stall, events are missing from the read model or in it twice"
    );
}

fn is_standby(worker: &ProjectionHandle) -> bool {
    matches!(worker.progress().status, Status::Standby)
}
