use std::sync::Arc;

use downlink::{Hub, LocalBus, ProjectionHandle, Result};
use downlink_conformance_tests::projection::{DurableProjectionFixture, Opened};
use futures::future::try_join_all;

use crate::batch;
use crate::board::Board;

/// Begins the lines for the parent process; the test harness prints other
/// lines.
pub(crate) const SAID: &str = "said:";

/// How many appends are in progress at a time.
const APPENDERS: usize = 8;
/// How many events a step of the projection has; few, so that there are many
/// steps.
const STEP: usize = 10;
/// After how many appends an appender waits for the read model.
const LOOKS: usize = 3;

/// Works until it is killed.
///
/// # Panics
///
/// Panics if anything fails: the parent process notices that.
pub(crate) fn run<F: DurableProjectionFixture>(fixture: F, address: &str) {
    let worked = runtime().block_on(work(Arc::new(fixture), address));
    panic!("the worker ended by itself: {worked:?}");
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().expect("a runtime")
}

async fn work<F: DurableProjectionFixture>(fixture: Arc<F>, address: &str) -> Result<()> {
    say("opening");
    let Opened { log, models, guard: _guard } = fixture.open_at(address).await?;
    let hub = Hub::builder(log, Arc::new(LocalBus::new())).start().await?;
    let board =
        hub.project(Arc::new(Board(fixture)), models).with_batch(STEP, usize::MAX).start()?;
    say("open");
    try_join_all((0..APPENDERS).map(|_| tokio::spawn(append(hub.clone(), board.clone()))))
        .await
        .expect("an appender that does not panic")
        .into_iter()
        .collect()
}

async fn append(hub: Hub, board: ProjectionHandle) -> Result<()> {
    for turn in 1.. {
        let (batch, append) = batch::any(&mut rand::rng());
        let appended = hub.append(append).await?;
        say(&format!("stored {batch} {}", appended.last()));
        if turn % LOOKS == 0 {
            board.wait_for(appended.cursor).await?;
            say(&format!("shown {}", appended.last()));
        }
    }
    Ok(())
}

/// Writes each line at once, so that the parent never reads half a line.
pub(crate) fn say(line: &str) {
    println!("\n{SAID}{line}");
}
