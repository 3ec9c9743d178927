use std::fmt;

use downlink_transports::command::CommandRefusal;

use crate::flight::ClockTime;

/// Why a command was refused. The message says what to do.
///
/// No event was stored. If the command only came too early,
/// [`not_before`](Self::not_before) returns when to repeat it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The flight is not scheduled, or not yet.
    NotOnTheBoard,
    /// The flight was already scheduled.
    AlreadyOnTheBoard,
    /// Boarding has already started.
    AlreadyBoarding,
    /// Boarding cannot start more than an hour before departure.
    TooEarlyToBoard {
        /// When it can start.
        from: ClockTime,
    },
    /// A visitor has delayed it.
    Held {
        /// When it can depart.
        until: ClockTime,
    },
    /// Boarding has not started.
    NotBoarded,
    /// It has not departed.
    NotDeparted,
    /// It has departed.
    Departed {
        /// When.
        at: ClockTime,
    },
    /// It was already diverted.
    AlreadyDiverted,
    /// It has landed.
    Landed {
        /// When.
        at: ClockTime,
    },
    /// It was cancelled.
    Cancelled {
        /// When.
        at: ClockTime,
    },
    /// The delay is out of range.
    DelayOutOfRange {
        /// The maximum.
        most: u32,
    },
    /// The delays by visitors would exceed a day.
    HeldTooLong {
        /// The remaining minutes.
        left: u32,
    },
    /// It already has that gate.
    AtThatGate,
    /// The reason is too long.
    ReasonTooLong {
        /// The maximum number of characters.
        most: usize,
    },
}

impl Refused {
    /// When the same command can succeed, if it only came too early.
    #[must_use]
    pub fn not_before(&self) -> Option<ClockTime> {
        match self {
            Self::TooEarlyToBoard { from: time } | Self::Held { until: time } => Some(*time),
            _ => None,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOnTheBoard => f.write_str(
                "this flight is not on the board: flights appear two hours before departure",
            ),
            Self::AlreadyOnTheBoard => f.write_str("this flight is already on the board"),
            Self::AlreadyBoarding => f.write_str("boarding has already started"),
            Self::TooEarlyToBoard { from } => {
                write!(f, "it is too early: boarding can start at {}", from.short())
            }
            Self::Held { until } => {
                write!(
                    f,
                    "a visitor has delayed it until {}: it cannot depart before",
                    until.short()
                )
            }
            Self::NotBoarded => f.write_str("boarding has not started: start boarding first"),
            Self::NotDeparted => f.write_str("it has not departed yet"),
            Self::Departed { at } => write!(
                f,
                "it departed at {}: a flight in the air cannot be delayed or cancelled",
                at.short()
            ),
            Self::AlreadyDiverted => f.write_str("it was already diverted"),
            Self::Landed { at } => {
                write!(f, "it landed at {}: no more commands are possible", at.short())
            }
            Self::Cancelled { at } => {
                write!(f, "it was cancelled at {}: no more commands are possible", at.short())
            }
            Self::DelayOutOfRange { most } => {
                write!(f, "a delay must be between 1 and {most} minutes")
            }
            Self::HeldTooLong { left: 0 } => {
                f.write_str("visitors have delayed it by a whole day: cancel it instead")
            }
            Self::HeldTooLong { left } => write!(
                f,
                "visitors cannot delay a flight by more than a day: {left} minutes remain"
            ),
            Self::AtThatGate => f.write_str("it already has that gate: choose another"),
            Self::ReasonTooLong { most } => {
                write!(f, "the reason is too long: use at most {most} characters")
            }
        }
    }
}

impl std::error::Error for Refused {}

impl CommandRefusal for Refused {
    const NAMESPACE: &'static str = "urn:flightdeck:problem:";

    fn code(&self) -> &'static str {
        "refused"
    }
}
