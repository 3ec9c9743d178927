use super::{Action, FlightCommand, FlightEvent, Gate, Party, Refused, Timetable};
use crate::flight::ClockTime;

/// The longest single delay, in minutes.
pub const MAX_DELAY: u32 = 720;

/// The longest total delay by visitors, in minutes.
const MAX_HOLD: u32 = 24 * 60;

/// How long before departure boarding can start, and how long it usually takes, in minutes.
const EARLIEST_BOARDING: u32 = 60;
const USUAL_BOARDING: u32 = 30;

/// The maximum length of a reason, in characters.
const MAX_REASON: usize = 80;

/// The state of a flight, folded from its events.
///
/// The default is a flight without events, which is not on the board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    timetable: Option<Timetable>,
    gate: Option<Gate>,
    phase: Phase,
    departs: ClockTime,
    held: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Unknown,
    Waiting,
    Boarding,
    Departed(ClockTime),
    Diverted,
    Landed(ClockTime),
    Cancelled(ClockTime),
}

impl Flight {
    /// Decides a command.
    pub(super) fn decide(&self, command: &FlightCommand) -> Result<FlightEvent, Refused> {
        let at = command.at;
        match &command.action {
            Action::Schedule(timetable) => self.schedule(at, timetable),
            Action::Board => self.board(at),
            Action::Delay { minutes, reason, by } => {
                self.delay(at, *minutes, reason.as_deref(), *by)
            }
            Action::ChangeGate { gate, by } => self.change_gate(at, gate, *by),
            Action::Depart => self.depart(at),
            Action::Land => self.land(at),
            Action::Divert => self.divert(at),
            Action::Cancel { reason, by } => self.cancel(at, reason.as_deref(), *by),
        }
    }

    /// The state after an event.
    #[must_use]
    pub(super) fn after(mut self, event: &FlightEvent) -> Self {
        match event {
            FlightEvent::FlightScheduled { timetable, .. } => {
                self.departs = timetable.departs;
                self.gate = Some(timetable.gate.clone());
                self.timetable = Some(timetable.clone());
                self.phase = Phase::Waiting;
            }
            FlightEvent::FlightDelayed { departs, by, .. } => {
                if *by == Party::Visitor {
                    self.held += departs.since(self.departs);
                }
                self.departs = *departs;
            }
            FlightEvent::GateChanged { gate, .. } => self.gate = Some(gate.clone()),
            FlightEvent::BoardingStarted { .. } => self.phase = Phase::Boarding,
            FlightEvent::FlightDeparted { at } => self.phase = Phase::Departed(*at),
            FlightEvent::FlightDiverted { .. } => self.phase = Phase::Diverted,
            FlightEvent::FlightLanded { at } => self.phase = Phase::Landed(*at),
            FlightEvent::FlightCancelled { at, .. } => self.phase = Phase::Cancelled(*at),
        }
        self
    }

    /// The line on the board; `None` before the flight was scheduled.
    #[must_use]
    pub fn timetable(&self) -> Option<&Timetable> {
        self.timetable.as_ref()
    }

    /// The gate; `None` before the flight was scheduled.
    #[must_use]
    pub fn gate(&self) -> Option<&Gate> {
        self.gate.as_ref()
    }

    /// The last announced departure.
    #[must_use]
    pub fn departs(&self) -> ClockTime {
        self.departs
    }

    fn schedule(&self, at: ClockTime, timetable: &Timetable) -> Result<FlightEvent, Refused> {
        match self.phase {
            Phase::Unknown => Ok(FlightEvent::FlightScheduled { at, timetable: timetable.clone() }),
            _ => Err(Refused::AlreadyOnTheBoard),
        }
    }

    fn board(&self, at: ClockTime) -> Result<FlightEvent, Refused> {
        self.check_not_departed()?;
        if self.phase == Phase::Boarding {
            return Err(Refused::AlreadyBoarding);
        }
        if at < self.departs.minus(EARLIEST_BOARDING) {
            return Err(Refused::TooEarlyToBoard { from: self.departs.minus(USUAL_BOARDING) });
        }
        Ok(FlightEvent::BoardingStarted { at })
    }

    fn delay(
        &self,
        at: ClockTime,
        minutes: u32,
        reason: Option<&str>,
        by: Party,
    ) -> Result<FlightEvent, Refused> {
        self.check_not_departed()?;
        if !(1..=MAX_DELAY).contains(&minutes) {
            return Err(Refused::DelayOutOfRange { most: MAX_DELAY });
        }
        // If the announced departure has passed, the delay counts from now.
        let departs = self.departs.max(at).plus(minutes);
        let left = MAX_HOLD.saturating_sub(self.held);
        if by == Party::Visitor && departs.since(self.departs) > left {
            return Err(Refused::HeldTooLong { left });
        }
        Ok(FlightEvent::FlightDelayed { at, minutes, departs, reason: trimmed(reason)?, by })
    }

    fn change_gate(&self, at: ClockTime, gate: &Gate, by: Party) -> Result<FlightEvent, Refused> {
        self.check_not_departed()?;
        match &self.gate {
            Some(before) if before != gate => {
                let (gate, before) = (gate.clone(), before.clone());
                Ok(FlightEvent::GateChanged { at, gate, before, by })
            }
            _ => Err(Refused::AtThatGate),
        }
    }

    fn depart(&self, at: ClockTime) -> Result<FlightEvent, Refused> {
        self.check_not_departed()?;
        if self.held > 0 && at < self.departs {
            return Err(Refused::Held { until: self.departs });
        }
        match self.phase {
            Phase::Boarding => Ok(FlightEvent::FlightDeparted { at }),
            _ => Err(Refused::NotBoarded),
        }
    }

    fn land(&self, at: ClockTime) -> Result<FlightEvent, Refused> {
        self.check_in_the_air()?;
        Ok(FlightEvent::FlightLanded { at })
    }

    fn divert(&self, at: ClockTime) -> Result<FlightEvent, Refused> {
        self.check_in_the_air()?;
        match self.phase {
            Phase::Diverted => Err(Refused::AlreadyDiverted),
            _ => Ok(FlightEvent::FlightDiverted { at }),
        }
    }

    fn cancel(
        &self,
        at: ClockTime,
        reason: Option<&str>,
        by: Party,
    ) -> Result<FlightEvent, Refused> {
        self.check_not_departed()?;
        Ok(FlightEvent::FlightCancelled { at, reason: trimmed(reason)?, by })
    }

    fn check_not_departed(&self) -> Result<(), Refused> {
        match self.phase {
            Phase::Unknown => Err(Refused::NotOnTheBoard),
            Phase::Waiting | Phase::Boarding => Ok(()),
            Phase::Departed(at) => Err(Refused::Departed { at }),
            Phase::Diverted => Err(Refused::AlreadyDiverted),
            Phase::Landed(at) => Err(Refused::Landed { at }),
            Phase::Cancelled(at) => Err(Refused::Cancelled { at }),
        }
    }

    fn check_in_the_air(&self) -> Result<(), Refused> {
        match self.phase {
            Phase::Departed(_) | Phase::Diverted => Ok(()),
            Phase::Waiting | Phase::Boarding => Err(Refused::NotDeparted),
            _ => self.check_not_departed(),
        }
    }
}

/// Trims the reason; `None` if it is empty.
fn trimmed(reason: Option<&str>) -> Result<Option<String>, Refused> {
    let Some(reason) = reason else { return Ok(None) };
    let reason = reason.trim();
    if reason.chars().count() > MAX_REASON {
        return Err(Refused::ReasonTooLong { most: MAX_REASON });
    }
    Ok((!reason.is_empty()).then(|| reason.to_owned()))
}
