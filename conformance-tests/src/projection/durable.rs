use std::fmt;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use downlink::{Expected, Position};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::task::yield_now;

use super::runner::RunOptions;
use super::sample::Sample;
use super::setup::{Environment, OpenedModels, TypedModels};
use super::{DurableProjectionFixture, ProjectionFixture};
use crate::cross_process::Respawn;
use crate::faults::drop_after;
use crate::sample::append;
use crate::{Guard, tasks};

/// Begins the lines in which a worker tells how far it is.
const TOLD: &str = "told:";

/// So much later in each round: two dozen of them are longer than an append and
/// a step take on a slow disk.
const STEP_OF_DEATH: Duration = Duration::from_micros(300);

/// Read models that outlive whoever makes them.
pub struct DurableProjectionSetup {
    places: Arc<dyn Places>,
    death: Death,
}

/// How a worker ends.
enum Death {
    /// By a signal that no process can handle.
    Killed(Respawn),
    /// By being dropped at one of its awaits.
    Dropped,
}

impl fmt::Debug for DurableProjectionSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DurableProjectionSetup")
    }
}

impl DurableProjectionSetup {
    /// Read models of this fixture, and how a process that is going to be
    /// killed comes to the same.
    #[must_use]
    pub fn new(fixture: impl DurableProjectionFixture, reentry: Respawn) -> Self {
        Self { places: Arc::new(Fixture(Arc::new(fixture))), death: Death::Killed(reentry) }
    }

    /// Read models that live in this process, whose workers are dropped instead
    /// of killed: for tests of the suite.
    #[must_use]
    pub fn in_this_process(fixture: impl DurableProjectionFixture) -> Self {
        Self { places: Arc::new(Fixture(Arc::new(fixture))), death: Death::Dropped }
    }

    /// If a law in another process has started this one: works until it is
    /// killed, and returns `true` if nobody does.
    ///
    /// # Panics
    ///
    /// Panics if the place cannot be opened.
    #[must_use]
    pub fn runs_as_child(&self) -> bool {
        let Some(address) = Respawn::address() else { return false };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let env = self.open(&address).await;
            let mut orders = Vec::new();
            tokio::select! {
                () = work(&env, |position| println!("\n{TOLD}{position}")) => {}
                // Whoever was to kill it is gone.
                _ = async { tokio::io::stdin().read_to_end(&mut orders).await } => {}
            }
        });
        runtime.shutdown_background();
        true
    }

    pub(super) async fn create(&self) -> (String, Guard) {
        self.places.create().await
    }

    pub(super) async fn open(&self, address: &str) -> Environment {
        Environment::at(self.places.open_at(address).await)
    }

    /// How often a worker is killed.
    pub(super) fn rounds(&self) -> usize {
        match self.death {
            Death::Killed(_) => 24,
            Death::Dropped => 80,
        }
    }

    /// Lets somebody append and project, and ends that at a moment that is
    /// another one in each round. Returns the last position that was told to be
    /// in the read model.
    pub(super) async fn work_and_die(&self, address: &str, round: usize) -> Position {
        match &self.death {
            Death::Killed(reentry) => kill(reentry, address, round).await,
            Death::Dropped => self.drop_worker(address, 1 + round * 2).await,
        }
    }

    async fn drop_worker(&self, address: &str, polls: usize) -> Position {
        let env = self.open(address).await;
        let told = AtomicU64::new(0);
        let work = work(&env, |position| told.store(position.get(), Ordering::SeqCst));
        let _ = drop_after(polls, work).await;
        for _ in 0..50 {
            // What it had started ends, too.
            yield_now().await;
        }
        Position::new(told.into_inner()).expect("a position that was told")
    }
}

/// **Law.** Whenever the process that builds a read model is killed, the model
/// is the fold of the log up to its checkpoint, nothing is missing that was
/// reported to be in it, and the next process continues from there.
pub async fn a_killed_projection_resumes_exactly(setup: &DurableProjectionSetup) {
    let (address, _guard) = setup.create().await;
    let sample = board();
    let mut told = Position::ZERO;
    for round in 0..setup.rounds() {
        told = told.max(setup.work_and_die(&address, round).await);
        let env = setup.open(&address).await;
        env.verify(&sample).await;
        let checkpoint = env.model(&sample).checkpoint().await.expect("a checkpoint");
        assert!(
            checkpoint.position() >= told,
            "after a crash the checkpoint is at {}, although {told} was told to be in the read \
             model: a step is durable when it returns",
            checkpoint.position()
        );
    }
    let env = setup.open(&address).await;
    let hub = env.hub().await;
    let board = env.start(&hub, &sample, RunOptions::default());
    let head = hub.head().await.expect("a head");
    let complete = tasks::soon("a projection never catches up", board.wait_for(head)).await;
    complete.expect("a projection that goes on after a crash");
    assert_eq!(
        env.model(&sample).lines().await,
        sample.fold(&env.log().await),
        "after {} crashes events are missing in the read model, or are in it twice",
        setup.rounds()
    );
}

/// Starts another process, hears it tell something, and kills it a little later,
/// so that in some round it is in the midst of everything that it does.
async fn kill(reentry: &Respawn, address: &str, round: usize) -> Position {
    let often = 1 + round * 5 % 7;
    let later = STEP_OF_DEATH * u32::try_from(round).expect("a few rounds");
    let mut command = reentry.command(address);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("the program of this test can be started again");
    let mut lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
    let (mut heard, mut last) = (0, Position::ZERO);
    let listening = async {
        while let Some(line) = lines.next_line().await.expect("a line") {
            let Some(position) = line.strip_prefix(TOLD) else { continue };
            last = position.parse().ok().and_then(Position::new).expect("a whole line");
            heard += 1;
            if heard == often {
                let told = Instant::now();
                while told.elapsed() < later {
                    yield_now().await;
                }
                child.kill().await.expect("a process that can be killed");
            }
        }
    };
    tasks::soon("the other process tells nothing, or does not die", listening).await;
    assert!(heard >= often, "the other process ended by itself: see above what it says");
    last
}

/// Appends and projects without end, and tells what is in the read model.
async fn work(env: &Environment, tell: impl Fn(Position)) {
    let hub = env.hub().await;
    let board = env.start(&hub, &board(), RunOptions { batch: 7, ..RunOptions::default() });
    for turn in 1.. {
        let offered = append("flight-UA1545", Expected::Any, 1 + turn % 9);
        let appended = hub.append_all(offered).await.expect("an append");
        if turn % 3 == 0 {
            board.wait_for(appended.cursor).await.expect("a projection that goes on");
            tell(appended.last());
        }
    }
}

/// The read model that is made meanwhile.
pub(super) fn board() -> Sample {
    Sample::new("board", 1)
}

/// A fixture, whatever its transactions are.
#[async_trait]
trait Places: Send + Sync {
    async fn create(&self) -> (String, Guard);
    async fn open_at(&self, address: &str) -> Arc<dyn OpenedModels>;
}

struct Fixture<F>(Arc<F>);

#[async_trait]
impl<F: DurableProjectionFixture + ProjectionFixture> Places for Fixture<F> {
    async fn create(&self) -> (String, Guard) {
        self.0.create().await.expect("a place for a log and its read models")
    }

    async fn open_at(&self, address: &str) -> Arc<dyn OpenedModels> {
        let opened = self.0.open_at(address).await.expect("a log and its read models");
        Arc::new(TypedModels::new(Arc::clone(&self.0), opened))
    }
}
