use tokio::time::Instant;
use tracing::warn;

use super::Runner;
use super::batch::Batch;
use super::bisect::Bisect;
use super::command::{Interruption, Outcome};
use crate::backoff::Backoff;
use crate::error::{BoxError, Error, ErrorKind};
use crate::event::Event;
use crate::projection::failure_policy::LONGEST_PAUSE;
use crate::projection::{DeadLetter, Status, Step, StepOutcome};

impl<Tx: ?Sized + Send + 'static> Runner<Tx> {
    /// Writes a batch, in one transaction unless something in it fails.
    pub(super) async fn write(&mut self, batch: Batch) -> Outcome<()> {
        let Batch { mut events, to, .. } = batch;
        let mut bisect = Bisect::default();
        while self.checkpoint() != to {
            let tried = bisect.next(events.len());
            let part = events[..tried].to_vec();
            let end = part.last().filter(|_| tried < events.len()).map_or(to, Event::cursor);
            match self.step(Step::new(self.checkpoint(), end, part)).await? {
                Ok(()) => {
                    bisect.applied(tried);
                    events.drain(..tried);
                }
                Err(error) if events.is_empty() => return Err(self.gives_up(None, error)),
                Err(error) => {
                    if bisect.failed(tried) {
                        let failing = events.remove(0);
                        self.handle(failing, error).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Applies the policy to an event that fails on its own.
    async fn handle(&mut self, failing: Event, mut error: BoxError) -> Outcome<()> {
        let mut backoff = Backoff::new(self.policy.pause(), LONGEST_PAUSE);
        for _ in 0..self.policy.retries() {
            let before = self.set_status(Status::Retrying(self.failure(Some(&failing), error)));
            self.wait(backoff.pause()).await?;
            self.set_status(before);
            let alone = Step::new(self.checkpoint(), failing.cursor(), vec![failing.clone()]);
            match self.step(alone).await? {
                Ok(()) => return Ok(()),
                Err(again) => error = again,
            }
        }
        if !self.policy.skips() {
            return Err(self.gives_up(Some(&failing), error));
        }
        warn!(projection = %self.id, event = %failing.cursor(), %error, "a projection skips an event that it cannot apply");
        let skip = Step::skip(self.checkpoint(), DeadLetter::new(&failing, &*error));
        match self.step(skip).await? {
            Ok(()) => {
                self.progress.send_modify(|progress| progress.skipped += 1);
                Ok(())
            }
            Err(error) => Err(self.gives_up(Some(&failing), error)),
        }
    }

    pub(super) fn gives_up(&self, failing: Option<&Event>, error: BoxError) -> Interruption {
        Interruption::Failed(self.failure(failing, error))
    }

    fn failure(&self, failing: Option<&Event>, error: BoxError) -> Error {
        let id = &self.id;
        let Some(event) = failing else { return Error::projection_failed(id, error) };
        let (cursor, event_type) = (event.cursor(), event.event_type());
        let message = format!(
            "projection {id} cannot apply event {cursor} of type '{event_type}': fix it and resume, \
             or skip such events by the failure policy"
        );
        Error::with_source(ErrorKind::Backend, message, error)
    }

    /// Makes a step. The inner error is the projection's own.
    pub(super) async fn step(&mut self, step: Step) -> Outcome<Result<(), BoxError>> {
        let (from, to, count) = (step.from, step.to, step.events.len());
        let events = if self.on_applied.is_some() { step.events.clone() } else { Vec::new() };
        let step = step.with_lease(self.keeper.lease());
        let asked = Instant::now();
        match self.retry(move |runner| runner.store.step(&runner.projection, step.clone())).await? {
            StepOutcome::Failed(error) => Ok(Err(error)),
            StepOutcome::CheckpointMoved(_) => Err(Interruption::Restart),
            StepOutcome::LeaseLost => {
                self.keeper.set_lost();
                Err(Interruption::Restart)
            }
            StepOutcome::Applied { unannounced_after } => {
                self.keeper.set_held_since(asked);
                self.progress.send_modify(|progress| {
                    progress.applied += u64::try_from(count).unwrap_or(u64::MAX);
                });
                self.is_at(to, to);
                self.hub.hint(to.position());
                match unannounced_after {
                    Some(after) if after.position() < from.position() => {
                        self.announce_missing().await?;
                    }
                    Some(after) => {
                        let is_new = |event: &Event| event.position() > after.position();
                        self.announce(events.into_iter().filter(is_new).collect()).await;
                    }
                    // Another version has replaced this one.
                    None if self.live() == Some(self.id.version()) => {
                        self.read_live_version().await?;
                    }
                    None => {}
                }
                Ok(Ok(()))
            }
        }
    }
}
