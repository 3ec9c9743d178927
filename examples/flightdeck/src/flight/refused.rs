use std::fmt;

use crate::clock_time::ClockTime;

/// Why a command was not carried out, in a sentence that helps whoever gave it.
///
/// Nothing was written. [`not_before`](Self::not_before) tells a command that
/// came too early from one that will never do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such flight, or not yet.
    NotOnTheBoard,
    /// It was scheduled before.
    AlreadyOnTheBoard,
    /// Its passengers were called before.
    AlreadyBoarding,
    /// Boarding begins an hour before departure at the earliest.
    TooEarlyToBoard {
        /// When it may begin.
        from: ClockTime,
    },
    /// It was held back by a person.
    Held {
        /// When it may leave.
        until: ClockTime,
    },
    /// Nobody has boarded yet.
    NotBoarded,
    /// It has not left.
    NotDeparted,
    /// It has left.
    Departed {
        /// When.
        at: ClockTime,
    },
    /// It was sent elsewhere before.
    AlreadyDiverted,
    /// Its journey is over.
    Landed {
        /// When.
        at: ClockTime,
    },
    /// It was taken off.
    Cancelled {
        /// When.
        at: ClockTime,
    },
    /// The minutes of a delay are out of bounds.
    DelayOutOfRange {
        /// The most that one delay can be.
        most: u32,
    },
    /// All delays by persons together would hold the flight for more than a day.
    HeldTooLong {
        /// The minutes that are left.
        left: u32,
    },
    /// It is boarded there already.
    AtThatGate,
    /// The reason is too long for a board.
    ReasonTooLong {
        /// The most characters it can have.
        most: usize,
    },
}

impl Refused {
    /// The time from which the same command may succeed, if it only came early.
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
                "this flight is not on the board: flights appear two hours before they leave",
            ),
            Self::AlreadyOnTheBoard => f.write_str("this flight is on the board already"),
            Self::AlreadyBoarding => f.write_str("its passengers are boarding already"),
            Self::TooEarlyToBoard { from } => {
                write!(f, "it is too early: boarding can begin at {}", from.short())
            }
            Self::Held { until } => {
                write!(f, "a visitor holds it back until {}: it cannot leave before", until.short())
            }
            Self::NotBoarded => f.write_str("nobody has boarded yet: start boarding first"),
            Self::NotDeparted => f.write_str("it has not left yet"),
            Self::Departed { at } => write!(
                f,
                "it left at {}: a flight in the air can neither wait nor be cancelled",
                at.short()
            ),
            Self::AlreadyDiverted => f.write_str("it was diverted already"),
            Self::Landed { at } => {
                write!(f, "it landed at {}: nothing more can happen to it", at.short())
            }
            Self::Cancelled { at } => {
                write!(f, "it was cancelled at {}: nothing more can happen to it", at.short())
            }
            Self::DelayOutOfRange { most } => {
                write!(f, "a delay is between 1 and {most} minutes: choose a number within that")
            }
            Self::HeldTooLong { left: 0 } => {
                f.write_str("visitors have held it back for a whole day: cancel it instead")
            }
            Self::HeldTooLong { left } => write!(
                f,
                "visitors cannot hold a flight for more than a day: at most {left} minutes are left"
            ),
            Self::AtThatGate => f.write_str("that is its gate already: choose another"),
            Self::ReasonTooLong { most } => {
                write!(f, "the reason has to fit on the board: {most} characters at most")
            }
        }
    }
}

impl std::error::Error for Refused {}
