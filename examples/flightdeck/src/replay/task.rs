use std::time::{Duration, Instant};

use downlink::{Error, EventId, Result};
use futures::{StreamExt, stream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::history::{History, id_of};
use super::{
    Agenda, Control, DayIsOver, Due, Pace, REPLAY, ReplayAction, ReplayCommand, ReplayEvent,
    ReplayState,
};
use crate::flight::{Flight, Refused};
use crate::{Decider, Done, NotDone, Processor};

/// The commands that are carried out at the same time; the log commits what
/// comes together in one transaction.
const AT_ONCE: usize = 64;
/// The pause after the log refused to work.
const TROUBLE: Duration = Duration::from_secs(1);

pub(super) type Answer = Result<Done<ReplayEvent>, NotDone<DayIsOver>>;

/// Somebody's wish, and where the answer goes.
pub(super) struct Wish {
    pub(super) control: Control,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// What everybody may know of the replay at any moment.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) pace: Pace,
    pub(super) state: ReplayState,
}

/// Gives the day's commands when their time has come, and fulfils wishes in
/// between.
pub(super) struct Task {
    processor: Processor,
    agenda: Agenda,
    run: EventId,
    seen: watch::Sender<Seen>,
}

impl Task {
    /// A task that goes on where the log says that the replay is.
    pub(super) fn new(
        processor: Processor,
        day: &crate::day::Day,
        history: &History,
        run: EventId,
        seen: watch::Sender<Seen>,
    ) -> Self {
        let agenda = Agenda::new(day, |flight, number| history.done(id_of(run, flight, number)));
        Self { processor, agenda, run, seen }
    }

    /// Runs until it is told to stop, also after the day is over: there are
    /// still wishes to be refused.
    pub(super) async fn run(mut self, mut wishes: mpsc::Receiver<Wish>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(wish) = wishes.recv() => self.fulfil(wish).await,
                () = self.something_is_due() => self.step().await,
            }
        }
        // So that the next program does not go back to the last event. Without it, it does.
        let _ = self.command(ReplayAction::Stop).await;
    }

    async fn something_is_due(&self) {
        let Seen { pace, state } = self.seen.borrow().clone();
        let wait = match self.agenda.next() {
            _ if state.finished() => None,
            None => Some(Duration::ZERO),
            Some(due) => pace.wait(due, Instant::now()),
        };
        match wait {
            Some(wait) => tokio::time::sleep(wait).await,
            None => std::future::pending().await,
        }
    }

    async fn step(&mut self) {
        if self.agenda.next().is_none() {
            let finished = self.command(ReplayAction::Finish).await;
            return self.note(finished.err().and_then(trouble)).await;
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

    async fn give(&self, due: Due) -> (Due, Result<(), NotDone<Refused>>) {
        let stream = due.flight.stream();
        let id = id_of(self.run, &due.flight, due.number);
        let done = self.processor.execute::<Flight>(&stream, due.command.clone(), id).await;
        (due, done.map(drop))
    }

    fn settle(&mut self, due: Due, outcome: Result<(), NotDone<Refused>>) -> Option<Error> {
        match outcome {
            Ok(()) => self.agenda.done(&due),
            Err(NotDone::Refused(refused)) => match refused.not_before() {
                Some(until) => self.agenda.postpone(due, until),
                // A person was faster: the flight goes its own way now.
                None => self.agenda.done(&due),
            },
            Err(NotDone::Log(error)) => {
                self.agenda.again(due);
                return Some(error);
            }
        }
        None
    }

    async fn fulfil(&mut self, wish: Wish) {
        let answer = self.command(ReplayAction::Control(wish.control)).await;
        // Whoever asked may have gone.
        let _ = wish.answer.send(answer);
    }

    async fn command(&mut self, action: ReplayAction) -> Answer {
        let now = Instant::now();
        let Seen { pace, state } = self.seen.borrow().clone();
        let command = ReplayCommand { clock: pace.minute(now), action };
        let done = self.processor.execute::<ReplayState>(REPLAY, command, EventId::now()).await?;
        let state = done.events.iter().fold(state, ReplayState::evolve);
        let stopped = state.paused() || state.finished();
        let pace = pace.changed(now, state.speed(), stopped);
        self.seen.send_replace(Seen { pace, state });
        Ok(done)
    }

    /// Tells of a log that does not work, and gives it time.
    async fn note(&self, failed: Option<Error>) {
        if let Some(error) = failed {
            tracing::warn!(%error, kind = ?error.kind(), "the replay waits for the log");
            tokio::time::sleep(TROUBLE).await;
        }
    }
}

fn trouble<R>(not_done: NotDone<R>) -> Option<Error> {
    match not_done {
        NotDone::Log(error) => Some(error),
        NotDone::Refused(_) => None,
    }
}
