use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ReplayEvent, Speed};
use crate::day::OPENING;
use crate::{ClockTime, Decider};

/// The airports and airlines of the day: everything that happens to the replay
/// concerns all of them, so a page that follows one still hears of it.
const EVERYBODY: [&str; 17] = [
    "airport:EWR",
    "airport:JFK",
    "airport:LGA",
    "airline:9E",
    "airline:AA",
    "airline:AS",
    "airline:B6",
    "airline:DL",
    "airline:EV",
    "airline:F9",
    "airline:FL",
    "airline:HA",
    "airline:MQ",
    "airline:UA",
    "airline:US",
    "airline:VX",
    "airline:WN",
];

/// The replay as its events tell it.
///
/// The default is the hall before it opens: no program has started the day yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayState {
    clock: ClockTime,
    speed: Speed,
    paused: bool,
    finished: bool,
}

/// What is asked of the replay, and what its clock shows then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReplayCommand {
    /// The minute that the clock shows.
    pub clock: ClockTime,
    /// What is asked for.
    pub action: ReplayAction,
}

/// What can be asked of the replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReplayAction {
    /// Begin, or go on after the program was started again.
    Start {
        /// How fast, if it should not stay as it was.
        speed: Option<Speed>,
    },
    /// Do as a person wishes.
    Control(Control),
    /// Stop, because the program ends.
    Stop,
    /// End, after the last flight.
    Finish,
}

/// What somebody wants of the replay; what is left out stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Whether it should stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// How fast it should go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
}

/// The day is over: there is nothing to pause, to resume or to hurry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayIsOver;

impl fmt::Display for DayIsOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the day is over: start the program with --fresh to see it again")
    }
}

impl std::error::Error for DayIsOver {}

impl Default for ReplayState {
    fn default() -> Self {
        Self { clock: OPENING, speed: Speed::default(), paused: false, finished: false }
    }
}

impl ReplayState {
    /// What the clock showed at the last event.
    #[must_use]
    pub fn clock(&self) -> ClockTime {
        self.clock
    }

    /// How fast the day goes by.
    #[must_use]
    pub fn speed(&self) -> Speed {
        self.speed
    }

    /// Whether somebody stopped the clock.
    #[must_use]
    pub fn paused(&self) -> bool {
        self.paused
    }

    /// Whether the day is over.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// What a wish makes happen; nothing if the replay is already as it should be.
    fn fulfil(&self, clock: ClockTime, wish: Control) -> Vec<ReplayEvent> {
        let speed = wish.speed.filter(|speed| *speed != self.speed);
        let speed = speed.map(|speed| ReplayEvent::ReplaySpeedChanged { clock, speed });
        let paused = wish.paused.filter(|paused| *paused != self.paused);
        let paused = paused.map(|paused| {
            if paused {
                ReplayEvent::ReplayPaused { clock }
            } else {
                ReplayEvent::ReplayResumed { clock }
            }
        });
        speed.into_iter().chain(paused).collect()
    }
}

impl Decider for ReplayState {
    type Command = ReplayCommand;
    type Event = ReplayEvent;
    type Refused = DayIsOver;

    fn evolve(self, event: &ReplayEvent) -> Self {
        match *event {
            ReplayEvent::ReplayStarted { clock, speed, paused } => {
                Self { clock, speed, paused, ..self }
            }
            ReplayEvent::ReplayStopped { clock } => Self { clock, ..self },
            ReplayEvent::ReplayPaused { clock } => Self { clock, paused: true, ..self },
            ReplayEvent::ReplayResumed { clock } => Self { clock, paused: false, ..self },
            ReplayEvent::ReplaySpeedChanged { clock, speed } => Self { clock, speed, ..self },
            ReplayEvent::ReplayFinished { clock } => Self { clock, finished: true, ..self },
        }
    }

    fn decide(&self, command: ReplayCommand) -> Result<Vec<ReplayEvent>, DayIsOver> {
        let ReplayCommand { clock, action } = command;
        match action {
            _ if self.finished => Err(DayIsOver),
            ReplayAction::Start { speed } => {
                let (speed, paused) = (speed.unwrap_or(self.speed), self.paused);
                Ok(vec![ReplayEvent::ReplayStarted { clock, speed, paused }])
            }
            ReplayAction::Control(wish) => Ok(self.fulfil(clock, wish)),
            ReplayAction::Stop => Ok(vec![ReplayEvent::ReplayStopped { clock }]),
            ReplayAction::Finish => Ok(vec![ReplayEvent::ReplayFinished { clock }]),
        }
    }

    fn tags(&self) -> Vec<String> {
        EVERYBODY.map(str::to_owned).into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::day::Day;
    use crate::flight::Action;

    const NOON: ClockTime = ClockTime::new(12, 0);

    fn control(state: &ReplayState, wish: Control) -> Result<Vec<ReplayEvent>, DayIsOver> {
        state.decide(ReplayCommand { clock: NOON, action: ReplayAction::Control(wish) })
    }

    fn after(wish: Control) -> ReplayState {
        let state = ReplayState::default();
        let events = control(&state, wish).expect("a day that is not over");
        events.iter().fold(state, ReplayState::evolve)
    }

    fn wish(paused: impl Into<Option<bool>>, speed: Option<Speed>) -> Control {
        Control { paused: paused.into(), speed }
    }

    #[test]
    fn pausing_and_resuming_are_events() {
        let paused = after(wish(true, None));
        assert!(paused.paused());
        assert_eq!(paused.clock(), NOON);
        let resumed = control(&paused, wish(false, None));
        assert_eq!(resumed, Ok(vec![ReplayEvent::ReplayResumed { clock: NOON }]));
    }

    #[test]
    fn a_wish_that_is_fulfilled_is_no_event() {
        let state = after(wish(true, Some(Speed::FASTEST)));
        assert_eq!(control(&state, wish(true, Some(Speed::FASTEST))), Ok(vec![]));
        assert_eq!(control(&state, Control::default()), Ok(vec![]));
    }

    #[test]
    fn nothing_is_possible_after_the_last_flight() {
        let over = ReplayState::default().evolve(&ReplayEvent::ReplayFinished { clock: NOON });
        assert_eq!(control(&over, wish(true, None)), Err(DayIsOver));
    }

    #[test]
    fn a_restart_keeps_the_pace_unless_told_otherwise() {
        let start = |speed| {
            let action = ReplayAction::Start { speed };
            let state = after(wish(true, Some(Speed::FASTEST)));
            state.decide(ReplayCommand { clock: NOON, action }).unwrap().remove(0)
        };
        let started = |speed| ReplayEvent::ReplayStarted { clock: NOON, speed, paused: true };
        assert_eq!(start(None), started(Speed::FASTEST));
        assert_eq!(start(Some(Speed::SLOWEST)), started(Speed::SLOWEST));
    }

    #[test]
    fn everybody_is_everybody_of_the_day() {
        let day = Day::recorded();
        let tags = day.flights().iter().flat_map(|plan| match &plan.commands[0].action {
            Action::Schedule(timetable) => timetable.tags(),
            other => panic!("{other:?}"),
        });
        let tags: BTreeSet<_> = tags.filter(|tag| !tag.starts_with("dest:")).collect();
        assert_eq!(tags, EVERYBODY.map(str::to_owned).into());
    }
}
