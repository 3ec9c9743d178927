use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ReplayEvent, Speed};
use crate::ClockTime;
use crate::day::OPENING;

/// The replay as its events tell it.
///
/// The default is the hall before it opens: no program has started the day yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayState {
    clock: ClockTime,
    speed: Speed,
    running: bool,
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
        let (clock, speed) = (OPENING, Speed::default());
        Self { clock, speed, running: false, paused: false, finished: false }
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

    /// Whether a program runs it.
    #[must_use]
    pub fn running(&self) -> bool {
        self.running
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

    /// This replay after something happened to it.
    #[must_use]
    pub(super) fn after(self, event: &ReplayEvent) -> Self {
        match *event {
            ReplayEvent::ReplayStarted { clock, speed, paused } => {
                Self { clock, speed, running: true, paused, ..self }
            }
            ReplayEvent::ReplayStopped { clock } => Self { clock, running: false, ..self },
            ReplayEvent::ReplayPaused { clock } => Self { clock, paused: true, ..self },
            ReplayEvent::ReplayResumed { clock } => Self { clock, paused: false, ..self },
            ReplayEvent::ReplaySpeedChanged { clock, speed } => Self { clock, speed, ..self },
            ReplayEvent::ReplayFinished { clock } => Self { clock, finished: true, ..self },
        }
    }

    /// What a command makes happen to this replay.
    pub(super) fn decide(&self, command: ReplayCommand) -> Result<Vec<ReplayEvent>, DayIsOver> {
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

    /// Whether the clock stands still, for whatever reason.
    pub(super) fn stands(&self) -> bool {
        self.paused || self.finished || !self.running
    }

    /// The replay with its clock at this minute, unless that is later already.
    pub(super) fn at_least(self, clock: ClockTime) -> Self {
        Self { clock: self.clock.max(clock), ..self }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use downlink::testing::{self, DeciderTest};

    use super::*;
    use crate::day::Day;
    use crate::flight::Action;
    use crate::replay::Replays;
    use crate::replay::replays::EVERYBODY;

    const NOON: ClockTime = ClockTime::new(12, 0);

    fn control(paused: impl Into<Option<bool>>, speed: Option<Speed>) -> ReplayCommand {
        let action = ReplayAction::Control(Control { paused: paused.into(), speed });
        ReplayCommand { clock: NOON, action }
    }

    fn new() -> DeciderTest<Replays> {
        testing::decider(Replays)
    }

    #[test]
    fn pausing_and_resuming_are_events() {
        new()
            .when(control(true, None))
            .then([ReplayEvent::ReplayPaused { clock: NOON }])
            .then_state(&ReplayState { clock: NOON, paused: true, ..ReplayState::default() });
        new()
            .given_command(&control(true, None))
            .when(control(false, None))
            .then([ReplayEvent::ReplayResumed { clock: NOON }]);
    }

    #[test]
    fn a_wish_that_is_fulfilled_is_no_event() {
        let fastest = control(true, Some(Speed::FASTEST));
        new().given_command(&fastest).when(fastest).then_nothing();
        new().given_command(&fastest).when(control(None, None)).then_nothing();
    }

    #[test]
    fn nothing_is_possible_after_the_last_flight() {
        let over = new().given([ReplayEvent::ReplayFinished { clock: NOON }]);
        over.when(control(true, None)).then_refused(&DayIsOver);
    }

    #[test]
    fn a_restart_keeps_the_pace_unless_told_otherwise() {
        for (wished, speed) in [(None, Speed::FASTEST), (Some(Speed::SLOWEST), Speed::SLOWEST)] {
            let action = ReplayAction::Start { speed: wished };
            new()
                .given_command(&control(true, Some(Speed::FASTEST)))
                .when(ReplayCommand { clock: NOON, action })
                .then([ReplayEvent::ReplayStarted { clock: NOON, speed, paused: true }]);
        }
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
