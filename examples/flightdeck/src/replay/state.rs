use std::fmt;

use downlink_transports::command::CommandRefusal;
use serde::{Deserialize, Serialize};

use super::{ReplayEvent, Speed};
use crate::day::OPENING;
use crate::flight::ClockTime;

/// The state of the replay, folded from its events.
///
/// The default is a replay that no program has started yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayState {
    clock: ClockTime,
    speed: Speed,
    running: bool,
    paused: bool,
    finished: bool,
}

/// A command for the replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReplayCommand {
    /// The time of the clock.
    pub clock: ClockTime,
    /// The action.
    pub action: ReplayAction,
}

/// The actions of commands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReplayAction {
    /// Start, or resume after a restart of the program.
    Start {
        /// The speed; `None` keeps the current one.
        speed: Option<Speed>,
    },
    /// Change it as a visitor requests.
    Control(Control),
    /// Stop, because the program ends.
    Stop,
    /// Finish, after the last flight.
    Finish,
}

/// The changes that a visitor requests; `None` leaves a setting unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(rename = "ReplayControl", optional_fields))]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Whether to pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// The speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
}

/// The day is over, so the replay cannot change any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayIsOver;

impl fmt::Display for DayIsOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the day is over: start the program with --fresh to replay it again")
    }
}

impl std::error::Error for DayIsOver {}

impl CommandRefusal for DayIsOver {
    const NAMESPACE: &'static str = "urn:flightdeck:problem:";

    fn code(&self) -> &'static str {
        "refused"
    }
}

impl Default for ReplayState {
    fn default() -> Self {
        let (clock, speed) = (OPENING, Speed::default());
        Self { clock, speed, running: false, paused: false, finished: false }
    }
}

impl ReplayState {
    /// The time of the clock at the last event.
    #[must_use]
    pub fn clock(&self) -> ClockTime {
        self.clock
    }

    /// The speed.
    #[must_use]
    pub fn speed(&self) -> Speed {
        self.speed
    }

    /// Whether a program runs it.
    #[must_use]
    pub fn running(&self) -> bool {
        self.running
    }

    /// Whether it is paused.
    #[must_use]
    pub fn paused(&self) -> bool {
        self.paused
    }

    /// Whether the day is over.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// The state after an event.
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

    /// Decides a command.
    pub(super) fn decide(&self, command: ReplayCommand) -> Result<Vec<ReplayEvent>, DayIsOver> {
        let ReplayCommand { clock, action } = command;
        match action {
            _ if self.finished => Err(DayIsOver),
            ReplayAction::Start { speed } => {
                let (speed, paused) = (speed.unwrap_or(self.speed), self.paused);
                Ok(vec![ReplayEvent::ReplayStarted { clock, speed, paused }])
            }
            ReplayAction::Control(control) => Ok(self.control_events(clock, control)),
            ReplayAction::Stop => Ok(vec![ReplayEvent::ReplayStopped { clock }]),
            ReplayAction::Finish => Ok(vec![ReplayEvent::ReplayFinished { clock }]),
        }
    }

    /// Whether the clock does not move.
    pub(super) fn is_stopped(&self) -> bool {
        self.paused || self.finished || !self.running
    }

    /// The state with its clock at this minute or later.
    pub(super) fn at_least(self, clock: ClockTime) -> Self {
        Self { clock: self.clock.max(clock), ..self }
    }

    /// The events of a control command; none if it changes nothing.
    fn control_events(&self, clock: ClockTime, control: Control) -> Vec<ReplayEvent> {
        let speed = control.speed.filter(|speed| *speed != self.speed);
        let speed = speed.map(|speed| ReplayEvent::ReplaySpeedChanged { clock, speed });
        let paused = control.paused.filter(|paused| *paused != self.paused);
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
    use crate::replay::ReplayDecider;
    use crate::replay::replay_decider::ALL_TAGS;

    const NOON: ClockTime = ClockTime::new(12, 0);

    fn control(paused: impl Into<Option<bool>>, speed: Option<Speed>) -> ReplayCommand {
        let action = ReplayAction::Control(Control { paused: paused.into(), speed });
        ReplayCommand { clock: NOON, action }
    }

    fn new() -> DeciderTest<ReplayDecider> {
        testing::decider(ReplayDecider)
    }

    #[test]
    fn pause_and_resume_make_events() {
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
    fn a_control_without_a_change_makes_no_event() {
        let fastest = control(true, Some(Speed::FASTEST));
        new().given_command(&fastest).when(fastest).then_nothing();
        new().given_command(&fastest).when(control(None, None)).then_nothing();
    }

    #[test]
    fn every_command_is_refused_after_the_last_flight() {
        let over = new().given([ReplayEvent::ReplayFinished { clock: NOON }]);
        over.when(control(true, None)).then_refused(&DayIsOver);
    }

    #[test]
    fn a_restart_keeps_the_speed_by_default() {
        for (requested, speed) in [(None, Speed::FASTEST), (Some(Speed::SLOWEST), Speed::SLOWEST)] {
            let action = ReplayAction::Start { speed: requested };
            new()
                .given_command(&control(true, Some(Speed::FASTEST)))
                .when(ReplayCommand { clock: NOON, action })
                .then([ReplayEvent::ReplayStarted { clock: NOON, speed, paused: true }]);
        }
    }

    #[test]
    fn all_tags_are_those_of_the_day() {
        let day = Day::recorded();
        let tags = day.flights().iter().flat_map(|plan| match &plan.commands[0].action {
            Action::Schedule(timetable) => timetable.tags(),
            other => panic!("{other:?}"),
        });
        let tags: BTreeSet<_> = tags.filter(|tag| !tag.starts_with("dest:")).collect();
        assert_eq!(tags, ALL_TAGS.map(str::to_owned).into());
    }
}
