use std::fmt::Debug;

use super::text::{difference, lines};
use crate::decider::Decider;
use crate::event::{Event, Timestamp};
use crate::id::{Position, StreamId, Version};

/// Begins a test of a decider. Without given events, it starts with a new
/// stream.
///
/// # Examples
///
/// ```
/// # use downlink::Decider;
/// # use serde::{Deserialize, Serialize};
/// # struct Flights;
/// # #[derive(Clone, Debug, Default, PartialEq)]
/// # struct Flight { minutes: u32 }
/// # #[derive(Debug)]
/// # enum Command { Delay { minutes: u32 } }
/// # #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// # enum FlightEvent { FlightDelayed { minutes: u32 } }
/// # #[derive(Debug, PartialEq)]
/// # enum Refused { TooLate }
/// # impl Decider for Flights {
/// #     type State = Flight;
/// #     type Command = Command;
/// #     type Event = FlightEvent;
/// #     type Error = Refused;
/// #     fn initial(&self) -> Flight { Flight::default() }
/// #     fn decide(&self, flight: &Flight, command: &Command) -> Result<Vec<FlightEvent>, Refused> {
/// #         let Command::Delay { minutes } = *command;
/// #         if flight.minutes + minutes > 60 { return Err(Refused::TooLate) }
/// #         Ok(vec![FlightEvent::FlightDelayed { minutes }])
/// #     }
/// #     fn evolve(&self, flight: Flight, event: &FlightEvent) -> Flight {
/// #         let FlightEvent::FlightDelayed { minutes } = event;
/// #         Flight { minutes: flight.minutes + minutes }
/// #     }
/// # }
/// use downlink::testing;
///
/// testing::decider(Flights)
///     .given([FlightEvent::FlightDelayed { minutes: 20 }])
///     .when(Command::Delay { minutes: 25 })
///     .then([FlightEvent::FlightDelayed { minutes: 25 }])
///     .then_state(&Flight { minutes: 45 });
///
/// testing::decider(Flights)
///     .given([FlightEvent::FlightDelayed { minutes: 20 }])
///     .when(Command::Delay { minutes: 45 })
///     .then_refused(&Refused::TooLate);
/// ```
#[must_use = "nothing is tested without a command"]
pub fn decider<D: Decider>(decider: D) -> DeciderTest<D> {
    DeciderTest { decider, given: Vec::new() }
}

/// A test of a decider: the decider and the events so far.
#[derive(Debug)]
#[must_use = "nothing is tested without a command"]
pub struct DeciderTest<D: Decider> {
    decider: D,
    given: Vec<D::Event>,
}

impl<D: Decider> DeciderTest<D> {
    /// Adds events that have happened before the command, after those given
    /// already.
    pub fn given(mut self, events: impl IntoIterator<Item = D::Event>) -> Self {
        self.given.extend(events);
        self
    }

    /// Adds the events of a command that has to succeed, as if it was executed
    /// before.
    ///
    /// # Panics
    ///
    /// Panics if it is refused.
    #[track_caller]
    pub fn given_command(mut self, command: &D::Command) -> Self
    where
        D::Command: Debug,
        D::Error: Debug,
    {
        match self.decider.decide(&self.state(), command) {
            Ok(events) => self.given.extend(events),
            Err(refusal) => {
                panic!(
                    "{command:?} has to succeed before the test, but it was refused: {refusal:?}"
                )
            }
        }
        self
    }

    /// Executes the command under test.
    #[must_use = "nothing is tested without an expectation"]
    pub fn when(self, command: D::Command) -> Decided<D> {
        let outcome = self.decider.decide(&self.state(), &command);
        Decided { test: self, command, outcome }
    }

    fn state(&self) -> D::State {
        let initial = self.decider.initial();
        self.given.iter().fold(initial, |state, event| self.decider.evolve(state, event))
    }
}

/// The outcome of a command under test.
#[derive(Debug)]
#[must_use = "nothing is tested without an expectation"]
pub struct Decided<D: Decider> {
    test: DeciderTest<D>,
    command: D::Command,
    outcome: Result<Vec<D::Event>, D::Error>,
}

impl<D: Decider<Command: Debug, Event: Debug + PartialEq, Error: Debug>> Decided<D> {
    /// Expects exactly these events, each of which has to decode to the same
    /// event after encoding.
    ///
    /// # Panics
    ///
    /// Panics with both lists if they differ.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = D::Event>) -> Then<D::State> {
        let expected: Vec<_> = expected.into_iter().collect();
        let Ok(actual) = &self.outcome else {
            panic!("{}", self.failure(&lines(&expected), ""));
        };
        let same = *actual == expected;
        assert!(same, "{}", self.failure(&lines(&expected), &difference(&expected, actual)));
        for event in actual {
            self.assert_round_trip(event);
        }
        let decider = &self.test.decider;
        let before = self.test.state();
        Then { state: actual.iter().fold(before, |state, event| decider.evolve(state, event)) }
    }

    /// Expects that the command succeeds without events.
    ///
    /// # Panics
    ///
    /// Panics with both outcomes if they differ.
    #[track_caller]
    pub fn then_nothing(self) {
        self.then([]);
    }

    /// Expects that the command is refused with this error.
    ///
    /// # Panics
    ///
    /// Panics with both outcomes if they differ.
    #[track_caller]
    pub fn then_refused(self, expected: &D::Error)
    where
        D::Error: PartialEq,
    {
        let same = self.outcome.as_ref().is_err_and(|refusal| refusal == expected);
        assert!(same, "{}", self.failure(&format!("    the refusal {expected:?}\n"), ""));
    }

    #[track_caller]
    fn assert_round_trip(&self, event: &D::Event) {
        let schema = self.test.decider.schema();
        let read = schema.encode(event).and_then(|new| {
            let stream = StreamId::new("under-test")?;
            let place = Position::ZERO.next();
            schema.decode::<D::Event>(&Event::new(
                place,
                stream,
                Version::FIRST,
                Timestamp::EPOCH,
                new,
            ))
        });
        match read {
            Ok(Some(read)) if read == *event => {}
            Ok(Some(read)) => panic!("{event:?} is stored, but read again as {read:?}"),
            Ok(None) => panic!("{event:?} is stored, but ignored when it is read again"),
            Err(error) => panic!("{event:?} cannot be stored and read again: {error}"),
        }
    }

    fn failure(&self, expected: &str, difference: &str) -> String {
        let happened = match &self.outcome {
            Ok(events) => lines(events),
            Err(refusal) => format!("    the refusal {refusal:?}\n"),
        };
        format!(
            "the outcome is not the expected one\n  given\n{}  when\n    {:?}\n  then expected\n{expected}  but was\n{happened}{difference}",
            lines(&self.test.given),
            self.command,
        )
    }
}

/// The state after the expected events.
#[derive(Debug)]
pub struct Then<S> {
    state: S,
}

impl<S: Debug + PartialEq> Then<S> {
    /// Expects this state after the events.
    ///
    /// # Panics
    ///
    /// Panics with both states if they differ.
    #[track_caller]
    pub fn then_state(self, expected: &S) {
        assert!(
            self.state == *expected,
            "the state is not the expected one\n  expected\n    {expected:?}\n  but was\n    {:?}",
            self.state
        );
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use serde::{Deserialize, Serialize};

    use super::*;

    struct Flights;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum FlightEvent {
        FlightDelayed {
            minutes: u32,
        },
        /// Loses its gate when it is stored.
        FlightLanded {
            #[serde(skip)]
            gate: u32,
        },
    }

    #[derive(Clone, Copy, Debug)]
    enum Command {
        Delay(u32),
        Land,
    }

    #[derive(Debug, PartialEq)]
    struct TooLate(u32);

    impl Decider for Flights {
        type State = u32;
        type Command = Command;
        type Event = FlightEvent;
        type Error = TooLate;

        fn initial(&self) -> u32 {
            0
        }

        fn decide(&self, late: &u32, command: &Command) -> Result<Vec<FlightEvent>, TooLate> {
            match *command {
                Command::Delay(minutes) if late + minutes > 60 => Err(TooLate(late + minutes)),
                Command::Delay(0) => Ok(vec![]),
                Command::Delay(minutes) => Ok(vec![FlightEvent::FlightDelayed { minutes }]),
                Command::Land => Ok(vec![FlightEvent::FlightLanded { gate: 12 }]),
            }
        }

        fn evolve(&self, late: u32, event: &FlightEvent) -> u32 {
            match event {
                FlightEvent::FlightDelayed { minutes } => late + minutes,
                FlightEvent::FlightLanded { .. } => late,
            }
        }
    }

    fn delayed(minutes: u32) -> FlightEvent {
        FlightEvent::FlightDelayed { minutes }
    }

    fn failure(test: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("a test that fails");
        panic.downcast_ref::<String>().cloned().expect("a message")
    }

    #[test]
    fn expected_outcomes_pass() {
        let case = || decider(Flights).given([delayed(20)]).given_command(&Command::Delay(30));
        case().when(Command::Delay(5)).then([delayed(5)]).then_state(&55);
        case().when(Command::Delay(0)).then_nothing();
        case().when(Command::Delay(11)).then_refused(&TooLate(61));
    }

    #[test]
    fn a_failure_prints_both_sides() {
        let case = || decider(Flights).given([delayed(20)]).when(Command::Delay(5));
        let text = failure(|| {
            case().then([delayed(5), delayed(6)]);
        });
        for line in [
            "  given\n    FlightDelayed { minutes: 20 }\n",
            "  when\n    Delay(5)\n",
            "  then expected\n    FlightDelayed { minutes: 5 }\n    FlightDelayed { minutes: 6 }\n",
            "  but was\n    FlightDelayed { minutes: 5 }\n",
            "1 expected events did not happen",
        ] {
            assert!(text.contains(line), "no {line:?} in {text}");
        }
        let text = failure(|| {
            case().then([delayed(6)]);
        });
        assert!(text.contains("they differ from number 1 on"), "{text}");
        let text = failure(|| case().then_nothing());
        assert!(text.contains("expected\n    nothing\n"), "{text}");
        let text = failure(|| case().then_refused(&TooLate(7)));
        assert!(text.contains("the refusal TooLate(7)"), "{text}");
        let text = failure(|| case().then([delayed(5)]).then_state(&7));
        assert!(text.contains("    25"), "{text}");
    }

    #[test]
    fn an_unexpected_refusal_fails_the_test() {
        let case = || decider(Flights).given([delayed(60)]);
        let text = failure(|| {
            case().when(Command::Delay(5)).then([delayed(5)]);
        });
        assert!(text.contains("but was\n    the refusal TooLate(65)"), "{text}");
        let text = failure(|| case().when(Command::Delay(5)).then_refused(&TooLate(66)));
        assert!(text.contains("TooLate(65)") && text.contains("TooLate(66)"), "{text}");
        let text = failure(|| {
            let _ = case().given_command(&Command::Delay(5));
        });
        assert!(text.contains("before the test"), "{text}");
    }

    #[test]
    fn events_have_to_survive_being_stored() {
        let landed = FlightEvent::FlightLanded { gate: 12 };
        let text = failure(|| {
            decider(Flights).when(Command::Land).then([landed]);
        });
        assert!(text.contains("read again as FlightLanded { gate: 0 }"), "{text}");
    }
}
