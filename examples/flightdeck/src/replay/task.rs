use std::time::{Duration, Instant};

use downlink::decider::{CommandContext, ExecuteError};
use downlink::{Cursor, Error, EventId, Executor, Hub};
use futures::{StreamExt, stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::history::{History, id_of};
use super::snapshot::{self, Snapshot};
use super::{Agenda, Due, REPLAY, ReplayAction, ReplayCommand, ReplayDecider};
use crate::day::Day;
use crate::flight::{Flights, Refused};

/// The number of concurrent commands; the log commits them in groups.
const MAX_CONCURRENT: usize = 64;
/// The pause after an error of the log.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Executes the day's commands when they are due by the replay's clock.
pub(super) struct Task {
    flights: Executor<Flights>,
    replay: Executor<ReplayDecider>,
    agenda: Agenda,
    run: EventId,
    snapshot: watch::Receiver<Snapshot>,
    applied: watch::Sender<Cursor>,
}

impl Task {
    /// A task that resumes the replay from its history.
    pub(super) fn new(
        hub: &Hub,
        day: &Day,
        history: &History,
        run: EventId,
        (snapshot, applied): (watch::Receiver<Snapshot>, watch::Sender<Cursor>),
    ) -> Self {
        let agenda = Agenda::new(day, |flight, number| history.done(id_of(run, flight, number)));
        let (flights, replay) = (Executor::new(hub, Flights), Executor::new(hub, ReplayDecider));
        Self { flights, replay, agenda, run, snapshot, applied }
    }

    /// Runs until `stop` is cancelled.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(self.tick()).await.is_some() {}
        // With it, the next program resumes at this time and not at the last event.
        let _ = self.command(ReplayAction::Stop).await;
    }

    async fn tick(&mut self) {
        let Snapshot { clock, state, cursor } = self.snapshot.borrow_and_update().clone();
        self.applied.send_replace(cursor);
        let wait = match self.agenda.next() {
            _ if state.finished() => None,
            None => Some(Duration::ZERO),
            Some(due) => clock.wait(due, Instant::now()),
        };
        let is_due = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The sender is only dropped when the program ends.
            changed = self.snapshot.changed() => if changed.is_err() { std::future::pending().await },
            () = is_due => self.step().await,
        }
    }

    async fn step(&mut self) {
        if self.agenda.next().is_none() {
            return self.report(self.command(ReplayAction::Finish).await.err()).await;
        }
        let now = self.snapshot.borrow().clock.shown(Instant::now());
        let due = stream::iter(self.agenda.take(now));
        let outcomes: Vec<_> =
            due.map(|due| self.execute(due)).buffer_unordered(MAX_CONCURRENT).collect().await;
        let mut failed = None;
        for (due, outcome) in outcomes {
            failed = self.finish(due, outcome).or(failed);
        }
        self.report(failed).await;
    }

    async fn execute(&self, due: Due) -> (Due, Result<(), ExecuteError<Refused>>) {
        let stream = due.flight.stream();
        let context = CommandContext::of(id_of(self.run, &due.flight, due.number));
        let done = self.flights.execute_with(&context, &stream, due.command.clone()).await;
        (due, done.map(drop))
    }

    fn finish(&mut self, due: Due, outcome: Result<(), ExecuteError<Refused>>) -> Option<Error> {
        match outcome {
            Ok(()) => self.agenda.done(&due),
            Err(ExecuteError::Refused(refused)) => match refused.not_before() {
                Some(until) => self.agenda.postpone(due, until),
                // A visitor has changed the flight: this command is not possible any more.
                None => self.agenda.done(&due),
            },
            Err(ExecuteError::Undecodable(error)) => {
                // A retry cannot succeed; the other flights continue.
                let flight = &due.flight;
                tracing::warn!(%flight, %error, "cannot decode the flight: its command is dropped");
                self.agenda.done(&due);
            }
            Err(ExecuteError::Store(error)) => {
                self.agenda.retry(due);
                return Some(error);
            }
        }
        None
    }

    /// Executes a command of the replay itself, and waits until the snapshot includes it.
    async fn command(&self, action: ReplayAction) -> downlink::Result<()> {
        let clock = self.snapshot.borrow().clock.minute(Instant::now());
        match self.replay.execute(REPLAY, ReplayCommand { clock, action }).await {
            Ok(done) => snapshot::wait_for(&self.snapshot, done.cursor).await,
            // The day is over: another program has finished it.
            Err(ExecuteError::Refused(_)) => {}
            Err(ExecuteError::Store(error) | ExecuteError::Undecodable(error)) => {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Logs an error of the log, and waits.
    async fn report(&self, failed: Option<Error>) {
        if let Some(error) = failed {
            tracing::warn!(%error, kind = ?error.kind(), "the replay waits for the log");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}
