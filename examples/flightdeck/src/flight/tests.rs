use downlink::event::Timestamp;
use downlink::testing::{self, DeciderTest};
use downlink::{Event, NewEvent, Position, StreamId, Version};

use super::*;
use crate::flight::ClockTime;

const SCHEDULED: ClockTime = ClockTime::new(3, 15);
const DEPARTURE: ClockTime = ClockTime::new(5, 15);
const DEPARTED: ClockTime = ClockTime::new(5, 17);

fn timetable() -> Timetable {
    Timetable {
        flight: "UA1545".parse().unwrap(),
        airline: "UA".into(),
        from: "EWR".into(),
        to: "IAH".into(),
        city: "Houston IAH".into(),
        aircraft: Some("N14228".into()),
        gate: gate("C71"),
        departs: DEPARTURE,
        arrives: ClockTime::new(9, 19),
    }
}

fn gate(name: &str) -> Gate {
    name.parse().unwrap()
}

fn at(at: ClockTime, action: Action) -> FlightCommand {
    FlightCommand { at, action }
}

fn unknown() -> DeciderTest<Flights> {
    testing::decider(Flights)
}

fn scheduled() -> DeciderTest<Flights> {
    let timetable = timetable();
    unknown().given([FlightEvent::FlightScheduled { at: SCHEDULED, timetable }])
}

fn boarding() -> DeciderTest<Flights> {
    scheduled().given([FlightEvent::BoardingStarted { at: ClockTime::new(4, 45) }])
}

fn departed() -> DeciderTest<Flights> {
    boarding().given([FlightEvent::FlightDeparted { at: DEPARTED }])
}

fn delay(minutes: u32, by: Party) -> Action {
    Action::Delay { minutes, reason: None, by }
}

fn cancel() -> Action {
    Action::Cancel { reason: None, by: Party::Visitor }
}

fn move_to(name: &str) -> Action {
    Action::ChangeGate { gate: gate(name), by: Party::Visitor }
}

#[test]
fn an_unknown_flight_can_only_be_scheduled() {
    for action in
        [Action::Board, Action::Depart, Action::Land, Action::Divert, cancel(), move_to("C1")]
    {
        unknown().when(at(DEPARTURE, action)).then_refused(&Refused::NotOnTheBoard);
    }
    let schedule = || Action::Schedule(timetable());
    let timetable = timetable();
    unknown()
        .when(at(SCHEDULED, schedule()))
        .then([FlightEvent::FlightScheduled { at: SCHEDULED, timetable }]);
    scheduled().when(at(DEPARTURE, schedule())).then_refused(&Refused::AlreadyOnTheBoard);
}

#[test]
fn a_flight_boards_departs_and_lands() {
    let landing = ClockTime::new(9, 30);
    scheduled()
        .when(at(ClockTime::new(4, 45), Action::Board))
        .then([FlightEvent::BoardingStarted { at: ClockTime::new(4, 45) }]);
    boarding()
        .when(at(DEPARTED, Action::Depart))
        .then([FlightEvent::FlightDeparted { at: DEPARTED }]);
    departed().when(at(landing, Action::Land)).then([FlightEvent::FlightLanded { at: landing }]);
    departed()
        .given([FlightEvent::FlightLanded { at: landing }])
        .when(at(landing, Action::Land))
        .then_refused(&Refused::Landed { at: landing });
}

#[test]
fn a_flight_cannot_depart_without_boarding() {
    scheduled().when(at(DEPARTURE, Action::Depart)).then_refused(&Refused::NotBoarded);
}

#[test]
fn a_delay_moves_the_announced_departure() {
    let announced = ClockTime::new(4, 10);
    scheduled()
        .given_command(&at(ClockTime::new(4, 0), delay(20, Party::Airline)))
        .when(at(announced, delay(25, Party::Airline)))
        .then([delayed(announced, 25, ClockTime::new(6, 0), Party::Airline)]);
}

#[test]
fn a_late_flight_is_delayed_from_now() {
    let now = ClockTime::new(5, 25);
    scheduled().when(at(now, delay(10, Party::Visitor))).then([delayed(
        now,
        10,
        ClockTime::new(5, 35),
        Party::Visitor,
    )]);
}

fn delayed(at: ClockTime, minutes: u32, departs: ClockTime, by: Party) -> FlightEvent {
    FlightEvent::FlightDelayed { at, minutes, departs, reason: None, by }
}

#[test]
fn a_flight_can_depart_early_unless_a_visitor_delayed_it() {
    let until = ClockTime::new(5, 45);
    let late = |by| {
        scheduled()
            .given_command(&at(ClockTime::new(4, 40), delay(30, by)))
            .given_command(&at(ClockTime::new(4, 45), Action::Board))
    };
    let held = Refused::Held { until };
    assert_eq!(held.not_before(), Some(until));
    late(Party::Visitor).when(at(DEPARTED, Action::Depart)).then_refused(&held);
    late(Party::Visitor)
        .when(at(until, Action::Depart))
        .then([FlightEvent::FlightDeparted { at: until }]);
    late(Party::Airline)
        .when(at(DEPARTED, Action::Depart))
        .then([FlightEvent::FlightDeparted { at: DEPARTED }]);
}

#[test]
fn boarding_of_a_late_flight_starts_later() {
    let refused = Refused::TooEarlyToBoard { from: ClockTime::new(7, 45) };
    assert_eq!(refused.not_before(), Some(ClockTime::new(7, 45)));
    scheduled()
        .given_command(&at(ClockTime::new(4, 0), delay(180, Party::Visitor)))
        .when(at(ClockTime::new(4, 45), Action::Board))
        .then_refused(&refused);
}

#[test]
fn delays_are_limited() {
    for minutes in [0, MAX_DELAY + 1] {
        scheduled()
            .when(at(SCHEDULED, delay(minutes, Party::Visitor)))
            .then_refused(&Refused::DelayOutOfRange { most: MAX_DELAY });
    }
    let longest = at(SCHEDULED, delay(MAX_DELAY, Party::Visitor));
    scheduled()
        .given_command(&longest)
        .given_command(&longest)
        .when(at(SCHEDULED, delay(1, Party::Visitor)))
        .then_refused(&Refused::HeldTooLong { left: 0 });
}

#[test]
fn a_gate_can_change_until_departure() {
    let now = ClockTime::new(4, 50);
    let changed = |to, from| FlightEvent::GateChanged {
        at: now,
        gate: gate(to),
        before: gate(from),
        by: Party::Visitor,
    };
    boarding().when(at(now, move_to("C80"))).then([changed("C80", "C71")]);
    boarding()
        .given([changed("C80", "C71")])
        .when(at(now, move_to("C71")))
        .then([changed("C71", "C80")]);
    boarding().when(at(now, move_to("C71"))).then_refused(&Refused::AtThatGate);
    departed().when(at(DEPARTED, move_to("C80"))).then_refused(&Refused::Departed { at: DEPARTED });
}

#[test]
fn a_flight_in_the_air_cannot_be_delayed_or_cancelled() {
    for action in [cancel(), delay(5, Party::Visitor), Action::Depart, Action::Board] {
        departed().when(at(DEPARTED, action)).then_refused(&Refused::Departed { at: DEPARTED });
    }
}

#[test]
fn a_cancelled_flight_stays_cancelled() {
    let now = ClockTime::new(4, 50);
    for action in [cancel(), delay(5, Party::Visitor), Action::Board, Action::Depart, Action::Land]
    {
        scheduled()
            .given_command(&at(now, cancel()))
            .when(at(DEPARTURE, action))
            .then_refused(&Refused::Cancelled { at: now });
    }
}

#[test]
fn a_diverted_flight_may_still_reach_its_destination() {
    let diverted = || departed().given([FlightEvent::FlightDiverted { at: ClockTime::new(9, 0) }]);
    diverted()
        .when(at(ClockTime::new(9, 1), Action::Divert))
        .then_refused(&Refused::AlreadyDiverted);
    let landing = ClockTime::new(10, 0);
    diverted().when(at(landing, Action::Land)).then([FlightEvent::FlightLanded { at: landing }]);
}

#[test]
fn reasons_are_trimmed_and_limited() {
    let cancel = |text: &str| Action::Cancel { reason: Some(text.into()), by: Party::Visitor };
    for (said, reason) in [("  snow  ", Some("snow")), ("   ", None)] {
        let reason = reason.map(str::to_owned);
        let by = Party::Visitor;
        scheduled().when(at(SCHEDULED, cancel(said))).then([FlightEvent::FlightCancelled {
            at: SCHEDULED,
            reason,
            by,
        }]);
    }
    scheduled()
        .when(at(SCHEDULED, cancel(&"x".repeat(81))))
        .then_refused(&Refused::ReasonTooLong { most: 80 });
}

#[test]
fn events_are_tagged_with_airport_airline_and_destination() {
    assert_eq!(timetable().tags(), ["airport:EWR", "airline:UA", "dest:IAH"]);
}

#[test]
fn version_1_of_flight_scheduled_gets_a_gate() {
    let payload = r#"{"at":"2013-01-01T03:15","flight":"UA1545","airline":"UA","from":"EWR","to":"IAH",
        "city":"Houston IAH","departs":"2013-01-01T05:15","arrives":"2013-01-01T09:19"}"#;
    let old = NewEvent::json("FlightScheduled", payload).unwrap();
    let stream = StreamId::new("flight-UA1545").unwrap();
    let old = Event::new(Position::ZERO.next(), stream, Version::FIRST, Timestamp::EPOCH, old);
    let Some(FlightEvent::FlightScheduled { timetable, .. }) = SCHEMA.decode(&old).unwrap() else {
        panic!("it was decoded as another event");
    };
    assert_eq!(timetable.gate, Gate::assigned("EWR", "UA", "UA1545"));
}
