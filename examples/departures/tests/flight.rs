//! The rules of flights, without a log.

use departures::flight::{Command, Flight, FlightEvent, Flights, Refused, SCHEMA};
use downlink::testing::{self, DeciderTest};
use downlink::{Decider, Event, NewEvent, Position, Tag, Timestamp, Version};

fn scheduled() -> DeciderTest<Flights> {
    let event = FlightEvent::FlightScheduled { from: "EWR".into(), to: "IAH".into() };
    testing::decider(Flights).given([event])
}

// ANCHOR: given_when_then
#[test]
fn a_flight_leaves_as_late_as_it_was_delayed() {
    let waiting = Flight::Waiting { from: "EWR".into(), late: 22 };
    scheduled()
        .given([FlightEvent::FlightDelayed { minutes: 20 }])
        .when(Command::Delay { minutes: 2 })
        .then([FlightEvent::FlightDelayed { minutes: 2 }])
        .then_state(&waiting);
}

#[test]
fn a_flight_that_is_half_a_day_late_does_not_wait_longer() {
    scheduled()
        .given([FlightEvent::FlightDelayed { minutes: 720 }])
        .when(Command::Delay { minutes: 133 })
        .then_refused(&Refused::TooLate);
}
// ANCHOR_END: given_when_then

// ANCHOR: given_command
#[test]
fn a_flight_leaves_once() {
    scheduled().given_command(&Command::Depart).when(Command::Depart).then_nothing();
}
// ANCHOR_END: given_command

#[test]
fn commands_need_a_flight_that_is_there_to_obey() {
    let unknown = || testing::decider(Flights);
    unknown().when(Command::Depart).then_refused(&Refused::NotOnTheBoard);
    let schedule = Command::Schedule { from: "EWR".into(), to: "IAH".into() };
    scheduled().when(schedule).then_refused(&Refused::AlreadyOnTheBoard);
    let departed = scheduled().given_command(&Command::Depart);
    departed.when(Command::Delay { minutes: 5 }).then_refused(&Refused::Departed);
}

#[test]
fn every_event_is_found_by_its_airport() {
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
fn delays_of_the_first_release_are_still_read() {
    let old = NewEvent::with_json("FlightDelayed", r#"{"hours":2}"#).unwrap();
    let stream = "flight-UA1545".try_into().unwrap();
    let old = Event::new(Position::ZERO.next(), stream, Version::FIRST, Timestamp::EPOCH, old);
    let read = SCHEMA.decode(&old).unwrap();
    assert_eq!(read, Some(FlightEvent::FlightDelayed { minutes: 120 }));
}

/// What the book shows is what is printed.
#[test]
fn a_failure_shows_both_sides() {
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
