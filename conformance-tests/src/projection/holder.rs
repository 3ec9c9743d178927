use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use downlink::Position;
use downlink::projection::Status;
use futures::StreamExt;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::durable::{REPORTED, board};
use super::setup::Environment;
use crate::faults::ProjectionFaults;
use crate::tasks;

/// How long the lease of a worker lasts that is killed. A busy machine prolongs it in time.
pub(super) const LEASE: Duration = Duration::from_secs(2);

/// Begins the address for a worker with a lease.
const LEASED: &str = "leased:";

/// The address that makes a worker work with a lease.
pub(super) fn leased(address: &str) -> String {
    format!("{LEASED}{address}")
}

/// The address of the log, if the worker is to work with a lease.
pub(super) fn of_leased(address: &str) -> Option<&str> {
    address.strip_prefix(LEASED)
}

/// A worker that has the lease of the board.
pub(super) enum Holder {
    Process(Child),
    Task(AbortHandle, ProjectionFaults),
}

impl Holder {
    /// Starts another process, and waits until it works.
    pub(super) async fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the program of this test can be started again");
        let mut lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
        let works = async {
            while let Some(line) = lines.next_line().await.expect("a line") {
                if line.starts_with(REPORTED) {
                    return;
                }
            }
            panic!("the other process ended by itself: its output is above");
        };
        tasks::soon("another process does not get a free lease", works).await;
        // It may write more.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self::Process(child)
    }

    /// Starts a task instead, for tests of the suite itself.
    pub(super) async fn in_this_process(env: Environment) -> Self {
        let (works, faults) = (Arc::new(Notify::new()), ProjectionFaults::none());
        let (told, stalls) = (Arc::clone(&works), faults.clone());
        let work = async move { work_with_lease(&env, &stalls, |_| told.notify_one()).await };
        let task = tokio::spawn(work).abort_handle();
        tasks::soon("a worker does not get a free lease", works.notified()).await;
        Self::Task(task, faults)
    }

    /// Ends the worker without a chance to give up its lease.
    pub(super) async fn kill(self) {
        match self {
            Self::Process(mut child) => child.kill().await.expect("a process that can be killed"),
            Self::Task(task, faults) => {
                faults.stall();
                task.abort();
            }
        }
    }
}

/// Projects with a lease forever, and reports when the model is complete.
pub(super) async fn work_with_lease(
    env: &Environment,
    faults: &ProjectionFaults,
    report: impl Fn(Position),
) {
    let hub = env.hub().await;
    let builder = env.faulty_model(&board(), faults).project(&hub).with_lease(LEASE);
    let worker = builder.start().expect("a projection to start");
    let mut changes = worker.changes();
    while let Some(progress) = changes.next().await {
        if matches!(progress.status, Status::CaughtUp) {
            report(progress.position.position());
        }
    }
}
