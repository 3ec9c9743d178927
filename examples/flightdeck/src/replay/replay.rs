use std::time::Instant;

use downlink::{
    Cursor, ExecuteError, Executed, Executor, Filter, FilterItem, Hub, Result, Subscribe,
};
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
use crate::clock_time::ClockTime;
use crate::day::Day;

/// The replay of a day: its clock, and its buttons.
///
/// The replay is its stream. Whoever runs it does as the events say, and so do
/// those who only follow it, in this process or in another one.
///
/// Clones are the same replay.
#[derive(Clone, Debug)]
pub struct Replay {
    executor: Executor<ReplayDecider>,
    snapshot: watch::Receiver<Snapshot>,
    /// Up to where the task that runs it here has applied.
    applied: watch::Receiver<Cursor>,
}

/// What the replay is doing, as `GET /replay` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Whether a program runs it.
    pub running: bool,
    /// Whether somebody stopped the clock.
    pub paused: bool,
    /// How fast the day goes by.
    pub speed: Speed,
    /// What the clock shows.
    pub clock: ClockTime,
    /// Whether the last flight has landed.
    pub finished: bool,
}

/// A control that came true, or did not.
pub type ControlResult = Result<Executed<ReplayState, ReplayEvent>, ExecuteError<DayIsOver>>;

impl Replay {
    /// Starts the replay of a day, or goes on with it where the log says that
    /// it is. It ends when `stop` is cancelled, and the task returned with it.
    ///
    /// Two programs may run the same day: their commands have the same ids, so
    /// everything happens once.
    ///
    /// # Errors
    ///
    /// Those of the log.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, it may have noted a start in the log and not started.
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
        let (applies, applied) = watch::channel(Cursor::START);
        replay.applied = applied;
        let task = Task::new(hub, day, &history, run, (replay.snapshot.clone(), applies));
        let replaying = tokio::spawn(async move {
            task.run(stop).await;
            // It ends by the same token, and a panic in it was told.
            let _ = following.await;
        });
        Ok((replay, replaying))
    }

    /// Follows the replay that another program runs. It ends as above.
    ///
    /// # Errors
    ///
    /// Those of the log.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn follow(hub: &Hub, stop: CancellationToken) -> Result<(Self, JoinHandle<()>)> {
        Self::from(hub, snapshot::look(hub).await?, stop).await
    }

    async fn from(
        hub: &Hub,
        known: Snapshot,
        stop: CancellationToken,
    ) -> Result<(Self, JoinHandle<()>)> {
        let events: Filter = FilterItem::new().with_stream(REPLAY)?.into();
        let subscribe = Subscribe::new().after(known.cursor).filter(events);
        let subscription = hub.subscribe(subscribe).await?;
        let (told, snapshot) = watch::channel(known);
        let following = tokio::spawn(snapshot::follow(subscription, told, stop));
        // Nobody applies here, so nobody is waited for.
        let (_, applied) = watch::channel(Cursor::START);
        Ok((Self { executor: Executor::new(hub, ReplayDecider), snapshot, applied }, following))
    }

    /// What the replay is doing at this moment.
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

    /// Waits for the end of the day.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn finished(&self) {
        // Nobody follows any more only when the program ends.
        let _ = self.snapshot.clone().wait_for(|snapshot| snapshot.state.finished()).await;
    }

    #[cfg(test)]
    pub(super) fn snapshot(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.clone()
    }

    /// Pauses the replay, lets it go on, or changes its speed. When this
    /// returns, the status has it and, if the replay runs in this process,
    /// nothing is under way any more that was begun before.
    ///
    /// # Errors
    ///
    /// [`DayIsOver`] after the last flight; those of the log.
    ///
    /// # Cancel safety
    ///
    /// The control may be fulfilled all the same.
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
        // The task ends only when the program does.
        let _ = self.applied.clone().wait_for(is_applied).await;
    }
}

/// Notes the start in the log, unless the day is over.
async fn begin(hub: &Hub, history: &History, speed: Option<Speed>) -> Result<Snapshot> {
    let Snapshot { state, cursor, .. } = snapshot::look(hub).await?;
    let clock = state.clock().max(history.clock());
    let command = ReplayCommand { clock, action: ReplayAction::Start { speed } };
    match hub.execute(&ReplayDecider, REPLAY, command).await {
        Ok(done) => Ok(Snapshot::new(done.state, done.cursor)),
        Err(ExecuteError::Refused(DayIsOver)) => Ok(Snapshot::new(state, cursor)),
        Err(ExecuteError::Store(error) | ExecuteError::Undecodable(error)) => Err(error),
    }
}
