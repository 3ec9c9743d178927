use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use downlink::{Event, Hub, LocalBus, Result};
use downlink_conformance_tests::cross_process::Respawn;
use downlink_conformance_tests::projection::{DurableProjectionFixture, Opened};
use downlink_conformance_tests::sample;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::batch;
use crate::board::{self, Board, line};
use crate::heard::Heard;
use crate::worker::SAID;

/// The most lines that a worker says before it is killed.
const LINES: usize = 120;
/// How long a round may take.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// A log and read models that outlive a process, in a file that can be
/// verified.
#[async_trait]
pub(crate) trait Killable: DurableProjectionFixture {
    /// What is wrong with the file.
    async fn problems(&self, address: &str) -> Result<Vec<String>>;
}

/// Workers that are killed one after another, all on the same file.
pub(crate) struct Trial<F> {
    fixture: Arc<F>,
    reentry: Respawn,
}

impl<F: Killable> Trial<F> {
    pub(crate) fn new(fixture: F, reentry: Respawn) -> Self {
        Self { fixture: Arc::new(fixture), reentry }
    }

    /// Kills this many workers, and checks what is left after each.
    pub(crate) fn run(&self, kills: usize) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(self.kill_all(kills));
    }

    async fn kill_all(&self, kills: usize) {
        let mut rng = StdRng::seed_from_u64(seed());
        let (address, _guard) = self.fixture.create().await.expect("a place");
        let mut heard = Heard::default();
        for kill in 1..=kills {
            // Some are killed while they open the file and recover what the previous one left.
            let lines = if rng.random_ratio(1, 5) { 1..=3 } else { 4..=LINES };
            let round = async {
                // Every second worker finds the file open, so that its write-ahead log is not checkpointed.
                let kept = self.open(&address).await;
                let kept = (kill % 2 == 0).then_some(kept);
                kill_one(&self.reentry, &address, rng.random_range(lines), &mut heard).await;
                drop(kept);
                self.look(&address, &heard).await;
            };
            let in_time = tokio::time::timeout(DEADLINE, round).await;
            in_time.unwrap_or_else(|_| panic!("kill {kill} takes longer than {DEADLINE:?}"));
        }
        self.go_on(&address).await;
        println!("{kills} kills, {} appends were acknowledged", heard.stored.len());
    }

    async fn open(&self, address: &str) -> Opened<F::Tx> {
        self.fixture.open_at(address).await.expect("what a kill left can be opened")
    }

    /// Compares what is stored with what workers reported.
    async fn look(&self, address: &str, heard: &Heard) {
        let opened = self.open(address).await;
        let log = sample::log(&*opened.log).await;
        let batches = batch::all(&log);
        for (batch, last) in &heard.stored {
            assert_eq!(batches.get(batch), Some(last), "an acknowledged append is lost");
        }
        assert!(batch::versions_are_dense(&log), "versions of a stream have a gap");
        let problems = self.fixture.problems(address).await.expect("a verification of the file");
        assert!(problems.is_empty(), "the file is damaged: {problems:?}");

        let checkpoint = opened.models.checkpoint(&board::id()).await.expect("a checkpoint");
        assert!(checkpoint.position() >= heard.shown, "the read model lost an event that it had");
        let shown = log.partition_point(|event| event.position() <= checkpoint.position());
        self.compare(&opened, &log[..shown]).await;
    }

    /// Checks that the read model has a line for each of these events.
    async fn compare(&self, opened: &Opened<F::Tx>, log: &[Event]) {
        let lines = self.fixture.lines(opened, board::NAME).await.expect("the read model");
        let expected: Vec<_> = log.iter().map(line).collect();
        let common = lines.iter().zip(&expected).take_while(|(line, wanted)| line == wanted);
        let common = common.count();
        assert!(
            lines == expected,
            "the read model is not the fold of the log up to its checkpoint: after {common} lines \
             it has {:?} where {:?} comes next",
            lines.get(common),
            expected.get(common)
        );
    }

    /// Finally checks, without a kill, that the projection reaches the end of
    /// the log.
    async fn go_on(&self, address: &str) {
        let opened = self.open(address).await;
        let bus = Arc::new(LocalBus::new());
        let hub = Hub::builder(Arc::clone(&opened.log), bus).start().await.expect("a hub");
        let board = Arc::new(Board(Arc::clone(&self.fixture)));
        let board = hub.project(board, Arc::clone(&opened.models)).start().expect("a projection");
        let head = hub.head().await.expect("a head");
        let caught_up = tokio::time::timeout(DEADLINE, board.wait_for(head)).await;
        caught_up.expect("a projection that continues").expect("a projection that does not stop");
        self.compare(&opened, &sample::log(&*opened.log).await).await;
    }
}

/// Starts a worker, kills it after this many lines, and reads the remaining
/// lines.
pub(crate) async fn kill_one(reentry: &Respawn, address: &str, lines: usize, heard: &mut Heard) {
    let mut command = reentry.command(address);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut worker = command.spawn().expect("this program can be started again");
    let stdout = BufReader::new(worker.stdout.take().expect("stdout was piped"));
    let mut said = stdout.lines();
    let mut count = 0;
    while let Some(line) = said.next_line().await.expect("a line") {
        let Some(line) = line.strip_prefix(SAID) else { continue };
        heard.note(line);
        count += 1;
        if count == lines {
            worker.start_kill().expect("a worker that can be killed");
        }
    }
    worker.wait().await.expect("a worker that has ended");
    assert!(count >= lines, "the worker ended by itself: its output is above");
}

pub(crate) fn seed() -> u64 {
    let chosen = std::env::var("DOWNLINK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = chosen.unwrap_or_else(rand::random);
    println!("DOWNLINK_SEED={seed}");
    seed
}
