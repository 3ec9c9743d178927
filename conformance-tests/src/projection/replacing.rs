use std::env;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::DurableProjectionSetup;
use super::durable::board;
use super::holder::LEASE;
use super::standby::{until_standby, wait_for};

/// How often the law kills a worker.
const KILLS: usize = 3;

/// **Law.** A worker that stands by takes over from a worker in another process that is killed,
/// again and again. Each event is applied once.
pub async fn a_killed_worker_is_replaced(setup: &DurableProjectionSetup) {
    replace(setup, KILLS).await;
}

impl DurableProjectionSetup {
    /// Measures what the law `a_killed_worker_is_replaced` observes, and prints how long after a kill
    /// an event was in the read model that was appended then. `DOWNLINK_KILLS` is the number of
    /// kills, 5 by default. To be called from a `#[test]` that returns if it
    /// [runs as a child](Self::runs_as_child).
    ///
    /// # Panics
    ///
    /// As the law, and if `DOWNLINK_KILLS` is not a number from 1.
    pub fn measure_takeovers(&self) {
        let chosen = env::var("DOWNLINK_KILLS").ok();
        let kills = chosen.map_or(5, |kills| kills.parse().expect("DOWNLINK_KILLS is a number"));
        let runtime = Runtime::new().expect("a runtime");
        let mut delays = runtime.block_on(replace(self, kills));
        runtime.shutdown_background();
        delays.sort_unstable();
        let (min, median, max) = (delays[0], delays[delays.len() / 2], delays[delays.len() - 1]);
        println!(
            "{kills} kills, leases of {LEASE:?}: taken over after {min:.2?} to {max:.2?}, \
             median {median:.2?}"
        );
    }
}

/// Kills workers this often, and returns how long after each kill an event was in the model that was
/// appended then.
async fn replace(setup: &DurableProjectionSetup, kills: usize) -> Vec<Duration> {
    let (address, _guard) = setup.create().await;
    let sample = board();
    let mut delays = Vec::new();
    for _ in 0..kills {
        let holder = setup.start_holder(&address).await;
        let env = setup.open(&address).await;
        let hub = env.hub().await;
        let builder = env.model(&sample).project(&hub).with_lease(LEASE);
        let worker = builder.start().expect("a projection to start");
        until_standby(&worker).await;
        wait_for(&worker, env.append(3).await.cursor).await;

        holder.kill().await;
        let killed = Instant::now();
        wait_for(&worker, env.append(2).await.cursor).await;
        delays.push(killed.elapsed());
        assert!(
            worker.progress().applied >= 2,
            "the events were applied by a worker that was killed"
        );
        env.verify(&sample).await;
        worker.shutdown().await;
    }
    let env = setup.open(&address).await;
    assert_eq!(
        env.model(&sample).lines().await,
        sample.fold(&env.log().await),
        "after {kills} kills, events are missing from the read model or in it twice"
    );
    delays
}
