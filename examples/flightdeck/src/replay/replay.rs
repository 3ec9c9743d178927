use std::time::Instant;

use downlink::decider::{ExecuteError, Executed};
use downlink::{Cursor, Executor, Filter, FilterItem, Hub, Result, Subscribe};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::history::{self, History};
use super::snapshot::{self, Snapshot};
use super::task::Task;
use super::{
    Control, DayIsOver, REPLAY, ReplayAction, ReplayCommand, ReplayDecider, ReplayEvent,
    ReplayState, Speed,
};
use crate::day::Day;
use crate::flight::ClockTime;

/// A handle to the replay of a day, which runs in this process or in another one.
///
/// The state of the replay is a stream, which the running replay and all handles follow.
///
/// Clones share the replay.
#[derive(Clone, Debug)]
pub struct Replay {
    executor: Executor<ReplayDecider>,
    snapshot: watch::Receiver<Snapshot>,
    /// The cursor up to which the task in this process has applied the stream.
    applied: watch::Receiver<Cursor>,
}

/// The state of the replay, as `GET /replay` returns it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "ReplayStatus"))]
pub struct Status {
    /// Whether a program runs it.
    pub running: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// The speed.
    pub speed: Speed,
    /// The time of the clock.
    pub clock: ClockTime,
    /// Whether the last flight has landed.
    pub finished: bool,
}

/// The outcome of a control command.
pub type ControlResult = Result<Executed<ReplayState, ReplayEvent>, ExecuteError<DayIsOver>>;

impl Replay {
    /// Starts the replay of a day, or resumes it from the log. It runs in the returned task,
    /// until `stop` is cancelled.
    ///
    /// Two programs can replay the same day: their commands have the same ids, so each is
    /// executed once.
    ///
    /// # Errors
    ///
    /// Those of the log.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the log may have a start without a running replay.
    pub async fn start(
        hub: &Hub,
        day: &Day,
        speed: Option<Speed>,
        stop: CancellationToken,
    ) -> Result<(Self, JoinHandle<()>)> {
        let history = History::read(hub).await?;
        let begun = begin(hub, &history, speed).await?;
        let run = history::run_id(hub).await?;
        let (mut replay, following) = Self::from(hub, begun, stop.clone()).await?;
        let (sender, applied) = watch::channel(Cursor::START);
        replay.applied = applied;
        let task = Task::new(hub, day, &history, run, (replay.snapshot.clone(), sender));
        let replaying = tokio::spawn(async move {
            task.run(stop).await;
            // It ends with the same token, and a panic in it was already reported.
            let _ = following.await;
        });
        Ok((replay, replaying))
    }

    /// Follows a replay that another program runs, until `stop` is cancelled.
    ///
    /// # Errors
    ///
    /// Those of the log.
    ///
    /// # Cancel safety
    ///
    /// Has no side effects.
    pub async fn follow(hub: &Hub, stop: CancellationToken) -> Result<(Self, JoinHandle<()>)> {
        Self::from(hub, snapshot::load(hub).await?, stop).await
    }

    async fn from(
        hub: &Hub,
        known: Snapshot,
        stop: CancellationToken,
    ) -> Result<(Self, JoinHandle<()>)> {
        let events: Filter = FilterItem::new().with_stream(REPLAY)?.into();
        let subscribe = Subscribe::new().with_after(known.cursor).with_filter(events);
        let subscription = hub.subscribe(subscribe).await?;
        let (sender, snapshot) = watch::channel(known);
        let following = tokio::spawn(snapshot::follow(subscription, sender, stop));
        // No task runs in this process, so there is nothing to wait for.
        let (_, applied) = watch::channel(Cursor::START);
        Ok((Self { executor: Executor::new(hub, ReplayDecider), snapshot, applied }, following))
    }

    /// The current state of the replay.
    #[must_use]
    pub fn status(&self) -> Status {
        let Snapshot { clock, state, .. } = &*self.snapshot.borrow();
        Status {
            running: state.running(),
            paused: state.paused(),
            speed: state.speed(),
            clock: clock.minute(Instant::now()),
            finished: state.finished(),
        }
    }

    /// Waits until the day is over.
    ///
    /// # Cancel safety
    ///
    /// Has no side effects.
    pub async fn finished(&self) {
        // The sender is only dropped when the program ends.
        let _ = self.snapshot.clone().wait_for(|snapshot| snapshot.state.finished()).await;
    }

    #[cfg(test)]
    pub(super) fn snapshot(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.clone()
    }

    /// Pauses the replay, resumes it, or changes its speed. When this returns, the status
    /// has changed. If the replay runs in this process, all earlier commands are finished.
    ///
    /// # Errors
    ///
    /// [`DayIsOver`] after the last flight; those of the log.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the replay may or may not change.
    pub async fn control(&self, control: Control) -> ControlResult {
        let action = ReplayAction::Control(control);
        let command = ReplayCommand { clock: self.status().clock, action };
        let done = self.executor.execute(REPLAY, command).await?;
        if done.written.is_some() {
            snapshot::wait_for(&self.snapshot, done.cursor).await;
            self.wait_until_applied(done.cursor).await;
        }
        Ok(done)
    }

    pub(super) async fn wait_until_applied(&self, cursor: Cursor) {
        let is_applied = |applied: &Cursor| applied.position() >= cursor.position();
        // The task only ends when the program does.
        let _ = self.applied.clone().wait_for(is_applied).await;
    }
}

/// Appends the start to the log, unless the day is over.
async fn begin(hub: &Hub, history: &History, speed: Option<Speed>) -> Result<Snapshot> {
    let Snapshot { state, cursor, .. } = snapshot::load(hub).await?;
    let clock = state.clock().max(history.clock());
    let command = ReplayCommand { clock, action: ReplayAction::Start { speed } };
    match hub.execute(&ReplayDecider, REPLAY, command).await {
        Ok(done) => Ok(Snapshot::new(done.state, done.cursor)),
        Err(ExecuteError::Refused(DayIsOver)) => Ok(Snapshot::new(state, cursor)),
        Err(ExecuteError::Store(error) | ExecuteError::Undecodable(error)) => Err(error),
    }
}
