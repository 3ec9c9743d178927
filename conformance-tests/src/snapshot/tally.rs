use downlink::Decider;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

/// What is counted on the streams of flights. Both kinds of state have the same
/// form, so that one can be mistaken for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Tally {
    Minutes,
    Delays,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sum {
    pub(super) sum: u64,
}

/// Delays a flight, unless it would exceed the limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delay {
    minutes: u64,
    limit: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum FlightEvent {
    FlightDelayed { minutes: u64 },
}

/// The refusal of a delay, with the state that it was decided on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TooLate(u64);

impl Tally {
    /// The name of its snapshots.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Minutes => "Minutes",
            Self::Delays => "Delays",
        }
    }

    fn of(self, minutes: u64) -> u64 {
        match self {
            Self::Minutes => minutes,
            Self::Delays => 1,
        }
    }
}

impl Decider for Tally {
    type State = Sum;
    type Command = Delay;
    type Event = FlightEvent;
    type Error = TooLate;

    fn initial(&self) -> Sum {
        Sum { sum: 0 }
    }

    fn decide(&self, state: &Sum, delay: &Delay) -> Result<Vec<FlightEvent>, TooLate> {
        if state.sum + self.of(delay.minutes) > delay.limit {
            return Err(TooLate(state.sum));
        }
        Ok(vec![FlightEvent::FlightDelayed { minutes: delay.minutes }])
    }

    fn evolve(&self, state: Sum, event: &FlightEvent) -> Sum {
        let FlightEvent::FlightDelayed { minutes } = event;
        Sum { sum: state.sum + self.of(*minutes) }
    }
}

pub(super) fn any_tally() -> impl Strategy<Value = Tally> {
    prop_oneof![Just(Tally::Minutes), Just(Tally::Delays)]
}

/// Few of them are refused.
pub(super) fn any_delay() -> impl Strategy<Value = Delay> {
    let limit = prop_oneof![4 => Just(u64::MAX), 1 => 0..200_u64];
    (1..60_u64, limit).prop_map(|(minutes, limit)| Delay { minutes, limit })
}
