use std::fmt;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use downlink::{Expected, Position};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::task::yield_now;

use super::holder::{Holder, leased, of_leased, work_with_lease};
use super::runner::RunOptions;
use super::sample::Sample;
use super::setup::{Environment, OpenedModels, TypedModels};
use super::{DurableProjectionFixture, ProjectionFixture};
use crate::cross_process::Respawn;
use crate::faults::{ProjectionFaults, drop_after};
use crate::fixture::Guard;
use crate::sample::append;
use crate::tasks;

/// Begins the lines in which a worker reports what is in the read model.
pub(super) const REPORTED: &str = "reported:";

/// How much later the worker is killed in each round: two dozen of these are
/// longer than an append and a step take on a slow disk.
const KILL_DELAY_STEP: Duration = Duration::from_micros(300);

/// Read models that outlive the process that builds them.
pub struct DurableProjectionSetup {
    addresses: Arc<dyn Addresses>,
    ending: Ending,
}

/// How a worker is ended.
enum Ending {
    /// By a signal that no process can handle.
    Killed(Respawn),
    /// By dropping its future at one of its awaits.
    Dropped,
}

impl fmt::Debug for DurableProjectionSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DurableProjectionSetup")
    }
}

impl DurableProjectionSetup {
    /// Tests read models of this fixture, with worker processes that are
    /// started as `respawn` says.
    #[must_use]
    pub fn new(fixture: impl DurableProjectionFixture, respawn: Respawn) -> Self {
        Self { addresses: Arc::new(Fixture(Arc::new(fixture))), ending: Ending::Killed(respawn) }
    }

    /// Tests read models in this process, whose workers are dropped instead of
    /// killed: for tests of the suite itself.
    #[must_use]
    pub fn in_this_process(fixture: impl DurableProjectionFixture) -> Self {
        Self { addresses: Arc::new(Fixture(Arc::new(fixture))), ending: Ending::Dropped }
    }

    /// If a law in another process has started this one: works until it is
    /// killed or its parent ends, and returns `true` in the latter case.
    ///
    /// # Panics
    ///
    /// Panics if the log cannot be opened.
    #[must_use]
    pub fn runs_as_child(&self) -> bool {
        let Some(address) = Respawn::address() else { return false };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let report = |position| println!("\n{REPORTED}{position}");
            let mut orders = Vec::new();
            tokio::select! {
                () = self.work_at(&address, report) => {}
                // The parent process is gone.
                _ = async { tokio::io::stdin().read_to_end(&mut orders).await } => {}
            }
        });
        runtime.shutdown_background();
        true
    }

    async fn work_at(&self, address: &str, report: impl Fn(Position)) {
        match of_leased(address) {
            Some(address) => {
                let env = self.open(address).await;
                work_with_lease(&env, &ProjectionFaults::none(), report).await;
            }
            None => work(&self.open(address).await, report).await,
        }
    }

    pub(super) async fn create(&self) -> (String, Guard) {
        self.addresses.create().await
    }

    pub(super) async fn open(&self, address: &str) -> Environment {
        Environment::at(self.addresses.open_at(address).await)
    }

    /// How often a worker is ended.
    pub(super) fn rounds(&self) -> usize {
        match self.ending {
            Ending::Killed(_) => 24,
            Ending::Dropped => 80,
        }
    }

    /// Starts a worker with a lease. Returns when it works.
    pub(super) async fn start_holder(&self, address: &str) -> Holder {
        match &self.ending {
            Ending::Killed(respawn) => Holder::start(respawn.command(&leased(address))).await,
            Ending::Dropped => Holder::in_this_process(self.open(address).await).await,
        }
    }

    /// Lets a worker append and project, and ends it at another moment in each
    /// round. Returns the last position that it reported to be in the read
    /// model.
    pub(super) async fn work_and_end(&self, address: &str, round: usize) -> Position {
        match &self.ending {
            Ending::Killed(respawn) => kill(respawn, address, round).await,
            Ending::Dropped => self.drop_worker(address, 1 + round * 2).await,
        }
    }

    async fn drop_worker(&self, address: &str, polls: usize) -> Position {
        let env = self.open(address).await;
        let reported = AtomicU64::new(0);
        let work = work(&env, |position| reported.store(position.get(), Ordering::SeqCst));
        let _ = drop_after(polls, work).await;
        for _ in 0..50 {
            // Lets the tasks that it had started end, too.
            yield_now().await;
        }
        Position::new(reported.into_inner()).expect("a position that was reported")
    }
}

/// **Law.** Whenever the process that builds a read model is killed, the model
/// is the fold of the log up to its checkpoint, nothing is missing that was
/// reported to be in it, and the next process continues from there.
pub async fn a_killed_projection_resumes_exactly(setup: &DurableProjectionSetup) {
    let (address, _guard) = setup.create().await;
    let sample = board();
    let mut reported = Position::ZERO;
    for round in 0..setup.rounds() {
        reported = reported.max(setup.work_and_end(&address, round).await);
        let env = setup.open(&address).await;
        env.verify(&sample).await;
        let checkpoint = env.model(&sample).checkpoint().await.expect("a checkpoint");
        assert!(
            checkpoint.position() >= reported,
            "after a crash the checkpoint is at {}, although {reported} was reported to be in the \
             read model: a step has to be durable when it returns",
            checkpoint.position()
        );
    }
    let env = setup.open(&address).await;
    let hub = env.hub().await;
    let board = env.start(&hub, &sample, RunOptions::default());
    let head = hub.head().await.expect("a head");
    let complete = tasks::soon("a projection never catches up", board.wait_for(head)).await;
    complete.expect("a projection that continues after a crash");
    assert_eq!(
        env.model(&sample).lines().await,
        sample.fold(&env.log().await),
        "after {} crashes, events are missing from the read model or in it twice",
        setup.rounds()
    );
}

/// Starts another process, waits until it reports something, and kills it a
/// little later, so that over the rounds it is killed in the middle of
/// everything it does.
async fn kill(respawn: &Respawn, address: &str, round: usize) -> Position {
    let often = 1 + round * 5 % 7;
    let later = KILL_DELAY_STEP * u32::try_from(round).expect("a few rounds");
    let mut command = respawn.command(address);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("the program of this test can be started again");
    let mut lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
    let (mut count, mut last) = (0, Position::ZERO);
    let listening = async {
        while let Some(line) = lines.next_line().await.expect("a line") {
            let Some(position) = line.strip_prefix(REPORTED) else { continue };
            last = position.parse().ok().and_then(Position::new).expect("a whole line");
            count += 1;
            if count == often {
                let reported = Instant::now();
                while reported.elapsed() < later {
                    yield_now().await;
                }
                child.kill().await.expect("a process that can be killed");
            }
        }
    };
    tasks::soon("the other process reports nothing, or does not end when it is killed", listening)
        .await;
    assert!(count >= often, "the other process ended by itself: its output is above");
    last
}

/// Appends and projects forever, and reports what is in the read model.
async fn work(env: &Environment, report: impl Fn(Position)) {
    let hub = env.hub().await;
    let board = env.start(&hub, &board(), RunOptions { batch: 7, ..RunOptions::default() });
    for turn in 1.. {
        let offered = append("flight-UA1545", Expected::Any, 1 + turn % 9);
        let appended = hub.append(offered).await.expect("an append");
        if turn % 3 == 0 {
            board.wait_for(appended.cursor).await.expect("a projection that continues");
            report(appended.last());
        }
    }
}

/// The read model that the worker builds.
pub(super) fn board() -> Sample {
    Sample::new("board", 1)
}

/// A fixture, independent of its transaction type.
#[async_trait]
trait Addresses: Send + Sync {
    async fn create(&self) -> (String, Guard);
    async fn open_at(&self, address: &str) -> Arc<dyn OpenedModels>;
}

struct Fixture<F>(Arc<F>);

#[async_trait]
impl<F: DurableProjectionFixture + ProjectionFixture> Addresses for Fixture<F> {
    async fn create(&self) -> (String, Guard) {
        self.0.create().await.expect("an address for a log and its read models")
    }

    async fn open_at(&self, address: &str) -> Arc<dyn OpenedModels> {
        let opened = self.0.open_at(address).await.expect("a log and its read models");
        Arc::new(TypedModels::new(Arc::clone(&self.0), opened))
    }
}
