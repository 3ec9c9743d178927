//! The decider of flights, tested without a log.

use departures::flight::{Command, Flight, FlightEvent, Flights, Refused, SCHEMA};
use downlink::event::Timestamp;
use downlink::testing::{self, DeciderTest};
use downlink::{Decider, Event, NewEvent, Position, Tag, Version};

fn scheduled() -> DeciderTest<Flights> {
    let event = FlightEvent::FlightScheduled { from: "EWR".into(), to: "IAH".into() };
    testing::decider(Flights).given([event])
}

// ANCHOR: given_when_then
#[test]
fn delays_add_up() {
    let waiting = Flight::Waiting { from: "EWR".into(), late: 22 };
    scheduled()
        .given([FlightEvent::FlightDelayed { minutes: 20 }])
        .when(Command::Delay { minutes: 2 })
        .then([FlightEvent::FlightDelayed { minutes: 2 }])
        .then_state(&waiting);
}

#[test]
fn a_delay_of_more_than_twelve_hours_is_refused() {
    scheduled()
        .given([FlightEvent::FlightDelayed { minutes: 720 }])
        .when(Command::Delay { minutes: 133 })
        .then_refused(&Refused::TooLate);
}
// ANCHOR_END: given_when_then

// ANCHOR: given_command
#[test]
fn a_flight_departs_once() {
    scheduled().given_command(&Command::Depart).when(Command::Depart).then_nothing();
}
// ANCHOR_END: given_command

#[test]
fn commands_are_refused_in_the_wrong_state() {
    let unknown = || testing::decider(Flights);
    unknown().when(Command::Depart).then_refused(&Refused::NotOnTheBoard);
    let schedule = Command::Schedule { from: "EWR".into(), to: "IAH".into() };
    scheduled().when(schedule).then_refused(&Refused::AlreadyOnTheBoard);
    let departed = scheduled().given_command(&Command::Depart);
    departed.when(Command::Delay { minutes: 5 }).then_refused(&Refused::Departed);
}

#[test]
fn every_event_has_its_airport_as_a_tag() {
    let departed = FlightEvent::FlightDeparted { from: "EWR".into(), late: 0 };
    let waiting = Flight::Waiting { from: "EWR".into(), late: 20 };
    for (flight, event) in
        [(waiting, FlightEvent::FlightDelayed { minutes: 20 }), (Flight::Departed, departed)]
    {
        let tags = Flights.tags(&flight, &event).unwrap();
        assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["airport:EWR"]);
    }
}

#[test]
fn version_1_of_a_delay_is_upcast() {
    let old = NewEvent::json("FlightDelayed", r#"{"hours":2}"#).unwrap();
    let stream = "flight-UA1545".try_into().unwrap();
    let old = Event::new(Position::ZERO.next(), stream, Version::FIRST, Timestamp::EPOCH, old);
    let read = SCHEMA.decode(&old).unwrap();
    assert_eq!(read, Some(FlightEvent::FlightDelayed { minutes: 120 }));
}

/// The book shows this message.
#[test]
fn a_failure_shows_the_expected_and_the_actual_events() {
    let failing = || {
        // ANCHOR: fails
        scheduled()
            .given([FlightEvent::FlightDelayed { minutes: 20 }])
            .when(Command::Delay { minutes: 2 })
            .then([FlightEvent::FlightDelayed { minutes: 22 }]);
        // ANCHOR_END: fails
    };
    let panic = std::panic::catch_unwind(failing).unwrap_err();
    let printed: &String = panic.downcast_ref().unwrap();
    assert_eq!(printed.trim_end(), include_str!("failure.txt").trim_end());
}
