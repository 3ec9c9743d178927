use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use downlink::projection::{DeadLetter, Step, StepOutcome};
use downlink::{
    After, BoxError, Cursor, Error, ErrorKind, Event, Hub, Item, Position, Result, Subscribe,
};
use downlink_conformance_tests::projection::{
    ReadModel, RunOptions, RunnerFixture, RunningProjection,
};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::runner_bug::RunnerBug;

/// Runs projections correctly except for this bug.
pub(crate) struct BrokenRunner(pub(crate) Option<RunnerBug>);

impl RunnerFixture for BrokenRunner {
    fn start(
        &self,
        hub: &Hub,
        model: Arc<dyn ReadModel>,
        drive: RunOptions,
    ) -> Result<Box<dyn RunningProjection>> {
        let driver = Arc::new(Driver {
            bug: self.0,
            hub: hub.clone(),
            model,
            drive,
            resumed: Notify::new(),
            state: watch::Sender::default(),
        });
        let task = tokio::spawn(run(Arc::clone(&driver))).abort_handle();
        Ok(Box::new(Running { driver, task }))
    }
}

struct Driver {
    bug: Option<RunnerBug>,
    hub: Hub,
    model: Arc<dyn ReadModel>,
    drive: RunOptions,
    resumed: Notify,
    state: watch::Sender<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    position: Position,
    stored: Position,
    live: bool,
    stopped: Option<Error>,
}

struct Running {
    driver: Arc<Driver>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    async fn until(&self, holds: impl Fn(&State) -> bool + Send + Sync) -> Result<()> {
        let mut state = self.driver.state.subscribe();
        let reached = state.wait_for(|state| state.stopped.is_some() || holds(state)).await;
        let state = reached.expect("the runner holds the sender").clone();
        if holds(&state) { Ok(()) } else { state.stopped.map_or(Ok(()), Err) }
    }
}

#[async_trait]
impl RunningProjection for Running {
    async fn wait_for(&self, cursor: Cursor) -> Result<()> {
        self.until(|state| state.position >= cursor.position()).await
    }

    async fn wait_live(&self) -> Result<()> {
        self.until(|state| state.live).await
    }

    async fn wait_stored(&self, cursor: Cursor) -> Result<()> {
        self.until(|state| state.stored >= cursor.position()).await
    }

    async fn resume(&self) -> Result<()> {
        self.driver.state.send_modify(|state| state.stopped = None);
        self.driver.resumed.notify_one();
        Ok(())
    }

    async fn dead_letters(&self, after: Position, limit: usize) -> Result<Vec<DeadLetter>> {
        self.driver.model.dead_letters(after, limit).await
    }
}

/// Why a projection does not continue.
enum Halt {
    /// Another worker has moved the checkpoint.
    Elsewhere,
    Stopped(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Stopped(error)
    }
}

async fn run(driver: Arc<Driver>) {
    loop {
        if let Err(Halt::Stopped(error)) = driver.follow().await {
            driver.state.send_modify(|state| state.stopped = Some(error));
            driver.resumed.notified().await;
        }
    }
}

impl Driver {
    fn is(&self, bug: RunnerBug) -> bool {
        self.bug == Some(bug)
    }

    async fn follow(&self) -> Result<(), Halt> {
        let mut at = self.model.checkpoint().await?;
        if at == Cursor::START {
            self.step(Step::new(at, at, Vec::new())).await?.map_err(stopped)?;
        }
        let after = match self.bug {
            Some(RunnerBug::StartsAtTheEnd) if at == Cursor::START => After::Now,
            Some(RunnerBug::ResumesByPosition) => {
                let head = self.hub.head().await?.position();
                After::Position(head.min(at.position()))
            }
            _ => After::Cursor(at),
        };
        let subscribe = Subscribe::new().with_after(after).with_filter(self.model.filter());
        let mut subscription = self.hub.subscribe(subscribe).await?;
        let mut was_live = false;
        while let Some(first) = subscription.next().await {
            let mut items = vec![first?];
            while items.len() < self.drive.batch
                && let Some(item) = subscription.try_next()
            {
                items.push(item);
            }
            was_live |= items.iter().any(|item| matches!(item, Item::Live { .. }));
            self.take(&mut at, items).await?;
            if was_live && at.position() >= self.hub.cached_head().position() {
                self.model.make_live().await?;
                self.state.send_modify(|state| state.live = true);
            }
        }
        std::future::pending().await
    }

    async fn take(&self, at: &mut Cursor, items: Vec<Item>) -> Result<(), Halt> {
        let to = items.last().map_or(*at, Item::cursor);
        let event = |item| if let Item::Event(event) = item { Some(event) } else { None };
        let events: Vec<_> = items.into_iter().filter_map(event).collect();
        if self.is(RunnerBug::ReturnsBeforeTheCommit) {
            self.state.send_modify(|state| state.position = to.position());
        }
        if self.is(RunnerBug::BecomesLiveAtOnce) {
            self.model.make_live().await?;
        }
        if !events.is_empty() || !self.is(RunnerBug::MovesOnlyOnMatches) {
            self.write(at, to, events).await?;
        }
        self.state.send_modify(|state| {
            (state.position, state.stored) = (to.position(), at.position());
        });
        Ok(())
    }

    async fn write(&self, at: &mut Cursor, to: Cursor, events: Vec<Event>) -> Result<(), Halt> {
        let Err(error) = self.step(Step::new(*at, to, events.clone())).await? else {
            *at = to;
            return Ok(());
        };
        match self.bug {
            Some(RunnerBug::DropsTheWholeBatch) => return Err(stopped(error)),
            Some(RunnerBug::SkipsOnError) => {
                let _ = self.step(Step::new(*at, to, Vec::new())).await?;
                *at = to;
                return Ok(());
            }
            Some(RunnerBug::SkipsTheWholeBatch) if self.drive.policy.skips() => {
                let last = events.last().expect("an event that fails");
                let letter = DeadLetter::new(last, &Error::new(ErrorKind::Backend, "a batch"));
                let _ = self.step(Step::skip(*at, letter)).await?;
                *at = last.cursor();
            }
            _ if events.len() == 1 => self.fail(at, &events[0], error).await?,
            _ => self.one_by_one(at, &events).await?,
        }
        if *at != to {
            let _ = self.step(Step::new(*at, to, Vec::new())).await?;
            *at = to;
        }
        Ok(())
    }

    async fn one_by_one(&self, at: &mut Cursor, events: &[Event]) -> Result<(), Halt> {
        for event in events {
            let alone = Step::new(*at, event.cursor(), vec![event.clone()]);
            match self.step(alone).await? {
                Ok(()) => *at = event.cursor(),
                Err(error) => self.fail(at, event, error).await?,
            }
        }
        Ok(())
    }

    /// Applies the policy to an event that fails on its own.
    async fn fail(&self, at: &mut Cursor, event: &Event, mut error: BoxError) -> Result<(), Halt> {
        let more = u32::from(self.is(RunnerBug::RetriesOnceTooOften));
        for _ in 0..self.drive.policy.retries() + more {
            sleep(self.drive.policy.pause()).await;
            let alone = Step::new(*at, event.cursor(), vec![event.clone()]);
            match self.step(alone).await? {
                Ok(()) => {
                    *at = event.cursor();
                    return Ok(());
                }
                Err(again) => error = again,
            }
        }
        if !self.drive.policy.skips() {
            if self.is(RunnerBug::StopsAfterTheEvent) {
                let _ = self.step(Step::new(*at, event.cursor(), Vec::new())).await?;
            }
            return Err(stopped(error));
        }
        let mut skip = Step::skip(*at, DeadLetter::new(event, &*error));
        if self.is(RunnerBug::WritesNoDeadLetters) {
            skip.skipped = None;
        }
        let _ = self.step(skip).await?;
        *at = event.cursor();
        Ok(())
    }

    /// Runs a step. The inner error is that of the projection.
    async fn step(&self, step: Step) -> Result<Result<(), BoxError>, Halt> {
        loop {
            match self.model.step(step.clone()).await {
                Ok(StepOutcome::Applied { .. }) => return Ok(Ok(())),
                Ok(StepOutcome::CheckpointMoved(_) | StepOutcome::LeaseLost) => {
                    return Err(Halt::Elsewhere);
                }
                Ok(StepOutcome::Failed(error)) => return Ok(Err(error)),
                Err(error) if error.is_retryable() && !self.is(RunnerBug::TreatsBusyAsAFailure) => {
                    sleep(Duration::from_millis(1)).await;
                }
                Err(error) => return Err(Halt::Stopped(error)),
            }
        }
    }
}

fn stopped(error: BoxError) -> Halt {
    Halt::Stopped(Error::with_source(ErrorKind::Backend, "the projection failed", error))
}
