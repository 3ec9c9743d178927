use std::time::Instant;

use downlink::{Error, ErrorKind, EventId, Hub, Result};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::history::History;
use super::task::{Answer, Seen, Task, Wish};
use super::{Control, Pace, REPLAY, ReplayAction, ReplayCommand, ReplayState, Speed};
use crate::day::Day;
use crate::{ClockTime, Decider, NotDone, Processor};

/// The replay of a day, running: its clock, and its buttons.
///
/// Clones are the same replay.
#[derive(Clone, Debug)]
pub struct Replay {
    wishes: mpsc::Sender<Wish>,
    seen: watch::Receiver<Seen>,
}

/// What the replay is doing, as `GET /replay` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Whether somebody stopped the clock.
    pub paused: bool,
    /// How fast the day goes by.
    pub speed: Speed,
    /// What the clock shows.
    pub clock: ClockTime,
    /// Whether the last flight has landed.
    pub finished: bool,
}

impl Replay {
    /// Starts the replay of a day, or goes on with it where the log says that
    /// it is. It ends when `stop` is cancelled, and the task returned with it.
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
        let processor = Processor::new(hub.clone());
        let history = History::read(hub).await?;
        let fresh = EventId::now();
        let state = begin(hub, &processor, &history, speed, fresh).await?;
        let run = history.run().unwrap_or(fresh);
        let stopped = state.paused() || state.finished();
        let pace = Pace::new(state.clock(), Instant::now(), state.speed(), stopped);
        let (seen_by_all, seen) = watch::channel(Seen { pace, state });
        let (wishes, taken) = mpsc::channel(16);
        let task = Task::new(processor, day, &history, run, seen_by_all);
        Ok((Self { wishes, seen }, tokio::spawn(task.run(taken, stop))))
    }

    /// What the replay is doing at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        let Seen { pace, state } = &*self.seen.borrow();
        Status {
            paused: state.paused(),
            speed: state.speed(),
            clock: pace.minute(Instant::now()),
            finished: state.finished(),
        }
    }

    /// Pauses the replay, lets it go on, or changes its speed.
    ///
    /// # Errors
    ///
    /// [`DayIsOver`](super::DayIsOver) after the last flight; those of the log;
    /// `Unavailable` if the replay was stopped.
    ///
    /// # Cancel safety
    ///
    /// A wish that was heard is fulfilled.
    pub async fn wish(&self, control: Control) -> Answer {
        let (answer, heard) = oneshot::channel();
        let gone =
            || NotDone::Log(Error::new(ErrorKind::Unavailable, "the replay is shutting down"));
        self.wishes.send(Wish { control, answer }).await.map_err(|_| gone())?;
        heard.await.map_err(|_| gone())?
    }
}

/// Notes the start in the log, unless the day is over.
async fn begin(
    hub: &Hub,
    processor: &Processor,
    history: &History,
    speed: Option<Speed>,
    id: EventId,
) -> Result<ReplayState> {
    let fold = |state: ReplayState, event: &downlink::Event| Ok(state.evolve(&event.decode()?));
    let (state, _) = hub.load(REPLAY, ReplayState::default(), fold).await?;
    let clock = state.clock().max(history.clock());
    let command = ReplayCommand { clock, action: ReplayAction::Start { speed } };
    match processor.execute::<ReplayState>(REPLAY, command, id).await {
        Ok(done) => Ok(done.events.iter().fold(state, ReplayState::evolve)),
        Err(NotDone::Refused(_)) => Ok(state),
        Err(NotDone::Log(error)) => Err(error),
    }
}
