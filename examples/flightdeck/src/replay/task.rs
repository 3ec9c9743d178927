use std::time::{Duration, Instant};

use downlink::{Context, Cursor, Error, EventId, ExecuteError, Executor, Hub};
use futures::{StreamExt, stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::history::{History, id_of};
use super::seen::{self, Seen};
use super::{Agenda, Due, REPLAY, ReplayAction, ReplayCommand, Replays};
use crate::day::Day;
use crate::flight::{Flights, Refused};

/// The commands that are carried out at the same time; the log commits what
/// comes together in one transaction.
const AT_ONCE: usize = 64;
/// The pause after the log refused to work.
const TROUBLE: Duration = Duration::from_secs(1);

/// Gives the day's commands when their time has come, by the clock that the
/// replay's events tell.
pub(super) struct Task {
    flights: Executor<Flights>,
    replay: Executor<Replays>,
    agenda: Agenda,
    run: EventId,
    seen: watch::Receiver<Seen>,
    obeys: watch::Sender<Cursor>,
}

impl Task {
    /// A task that goes on where the log says that the replay is.
    pub(super) fn new(
        hub: &Hub,
        day: &Day,
        history: &History,
        run: EventId,
        (seen, obeys): (watch::Receiver<Seen>, watch::Sender<Cursor>),
    ) -> Self {
        let agenda = Agenda::new(day, |flight, number| history.done(id_of(run, flight, number)));
        let (flights, replay) = (Executor::new(hub, Flights), Executor::new(hub, Replays));
        Self { flights, replay, agenda, run, seen, obeys }
    }

    /// Runs until it is told to stop.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(self.turn()).await.is_some() {}
        // So that the next program does not go back to the last event. Without it, it does.
        let _ = self.command(ReplayAction::Stop).await;
    }

    async fn turn(&mut self) {
        let Seen { pace, state, cursor } = self.seen.borrow_and_update().clone();
        self.obeys.send_replace(cursor);
        let wait = match self.agenda.next() {
            _ if state.finished() => None,
            None => Some(Duration::ZERO),
            Some(due) => pace.wait(due, Instant::now()),
        };
        let is_due = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Nobody follows the replay any more: the program ends.
            changed = self.seen.changed() => if changed.is_err() { std::future::pending().await },
            () = is_due => self.step().await,
        }
    }

    async fn step(&mut self) {
        if self.agenda.next().is_none() {
            return self.note(self.command(ReplayAction::Finish).await.err()).await;
        }
        let now = self.seen.borrow().pace.shown(Instant::now());
        let due = stream::iter(self.agenda.take(now));
        let outcomes: Vec<_> =
            due.map(|due| self.give(due)).buffer_unordered(AT_ONCE).collect().await;
        let mut failed = None;
        for (due, outcome) in outcomes {
            failed = self.settle(due, outcome).or(failed);
        }
        self.note(failed).await;
    }

    async fn give(&self, due: Due) -> (Due, Result<(), ExecuteError<Refused>>) {
        let stream = due.flight.stream();
        let context = Context::of(id_of(self.run, &due.flight, due.number));
        let done = self.flights.execute_in(&context, &stream, due.command.clone()).await;
        (due, done.map(drop))
    }

    fn settle(&mut self, due: Due, outcome: Result<(), ExecuteError<Refused>>) -> Option<Error> {
        match outcome {
            Ok(()) => self.agenda.done(&due),
            Err(ExecuteError::Refused(refused)) => match refused.not_before() {
                Some(until) => self.agenda.postpone(due, until),
                // A person was faster: the flight goes its own way now.
                None => self.agenda.done(&due),
            },
            Err(ExecuteError::Undecodable(error)) => {
                // No later try will read it, and the other flights go on.
                let flight = &due.flight;
                tracing::warn!(%flight, %error, "the flight cannot be read: its command is dropped");
                self.agenda.done(&due);
            }
            Err(ExecuteError::Store(error)) => {
                self.agenda.again(due);
                return Some(error);
            }
        }
        None
    }

    /// Gives a command to the replay itself, and waits until it is obeyed here.
    async fn command(&self, action: ReplayAction) -> downlink::Result<()> {
        let clock = self.seen.borrow().pace.minute(Instant::now());
        match self.replay.execute(REPLAY, ReplayCommand { clock, action }).await {
            Ok(done) => seen::wait_for(&self.seen, done.cursor).await,
            // The day is over: somebody else has noted it.
            Err(ExecuteError::Refused(_)) => {}
            Err(ExecuteError::Store(error) | ExecuteError::Undecodable(error)) => {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Tells of a log that does not work, and gives it time.
    async fn note(&self, failed: Option<Error>) {
        if let Some(error) = failed {
            tracing::warn!(%error, kind = ?error.kind(), "the replay waits for the log");
            tokio::time::sleep(TROUBLE).await;
        }
    }
}
