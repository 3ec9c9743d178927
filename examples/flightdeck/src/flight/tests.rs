use super::*;
use crate::{ClockTime, Decider};

const SCHEDULED: ClockTime = ClockTime::new(3, 15);
const DEPARTURE: ClockTime = ClockTime::new(5, 15);

fn timetable() -> Timetable {
    Timetable {
        flight: "UA1545".parse().unwrap(),
        airline: "UA".into(),
        from: "EWR".into(),
        to: "IAH".into(),
        city: "Houston IAH".into(),
        aircraft: Some("N14228".into()),
        departs: DEPARTURE,
        arrives: ClockTime::new(9, 19),
    }
}

/// A flight that went through these commands, each at its minute.
fn after(actions: impl IntoIterator<Item = (ClockTime, Action)>) -> Flight {
    actions.into_iter().fold(Flight::default(), |flight, (at, action)| {
        let events =
            flight.decide(FlightCommand { at, action }).expect("a command that is allowed");
        events.iter().fold(flight, Flight::evolve)
    })
}

fn scheduled() -> Flight {
    after([(SCHEDULED, Action::Schedule(timetable()))])
}

fn departed() -> Flight {
    after([
        (SCHEDULED, Action::Schedule(timetable())),
        (ClockTime::new(4, 45), Action::Board),
        (ClockTime::new(5, 17), Action::Depart),
    ])
}

fn refusal(flight: &Flight, at: ClockTime, action: Action) -> Refused {
    flight.decide(FlightCommand { at, action }).expect_err("a command that is not allowed")
}

fn delay(minutes: u32, by: Party) -> Action {
    Action::Delay { minutes, reason: None, by }
}

fn cancel() -> Action {
    Action::Cancel { reason: None, by: Party::Visitor }
}

#[test]
fn an_unknown_flight_can_only_be_scheduled() {
    let flight = Flight::default();
    for action in [Action::Board, Action::Depart, Action::Land, Action::Divert, cancel()] {
        assert_eq!(refusal(&flight, DEPARTURE, action), Refused::NotOnTheBoard);
    }
    assert!(scheduled().timetable().is_some());
    let again = refusal(&scheduled(), DEPARTURE, Action::Schedule(timetable()));
    assert_eq!(again, Refused::AlreadyOnTheBoard);
}

#[test]
fn a_flight_boards_departs_and_lands() {
    let mut flight = departed();
    let at = ClockTime::new(9, 30);
    let events = flight.decide(FlightCommand { at, action: Action::Land }).unwrap();
    assert_eq!(events, [FlightEvent::FlightLanded { at }]);
    flight = flight.evolve(&events[0]);
    assert_eq!(refusal(&flight, at, Action::Land), Refused::Landed { at });
}

#[test]
fn nobody_leaves_without_boarding() {
    assert_eq!(refusal(&scheduled(), DEPARTURE, Action::Depart), Refused::NotBoarded);
}

#[test]
fn a_delay_moves_the_announced_departure() {
    let flight = after([
        (SCHEDULED, Action::Schedule(timetable())),
        (ClockTime::new(4, 0), delay(20, Party::Airline)),
        (ClockTime::new(4, 10), delay(25, Party::Airline)),
    ]);
    assert_eq!(flight.departs(), ClockTime::new(6, 0));
}

#[test]
fn a_late_flight_is_delayed_from_now() {
    let flight = after([
        (SCHEDULED, Action::Schedule(timetable())),
        (ClockTime::new(5, 25), delay(10, Party::Visitor)),
    ]);
    assert_eq!(flight.departs(), ClockTime::new(5, 35));
}

#[test]
fn a_visitor_holds_a_flight_but_an_airline_may_be_early() {
    let held = after([
        (SCHEDULED, Action::Schedule(timetable())),
        (ClockTime::new(4, 40), delay(30, Party::Visitor)),
        (ClockTime::new(4, 45), Action::Board),
    ]);
    let until = ClockTime::new(5, 45);
    let refused = refusal(&held, ClockTime::new(5, 17), Action::Depart);
    assert_eq!(refused, Refused::Held { until });
    assert_eq!(refused.not_before(), Some(until));
    assert!(held.decide(FlightCommand { at: until, action: Action::Depart }).is_ok());

    let early = after([
        (SCHEDULED, Action::Schedule(timetable())),
        (ClockTime::new(4, 40), delay(30, Party::Airline)),
        (ClockTime::new(4, 45), Action::Board),
        (ClockTime::new(5, 40), Action::Depart),
    ]);
    assert_eq!(refusal(&early, until, cancel()), Refused::Departed { at: ClockTime::new(5, 40) });
}

#[test]
fn boarding_waits_for_a_flight_that_is_hours_late() {
    let late = after([
        (SCHEDULED, Action::Schedule(timetable())),
        (ClockTime::new(4, 0), delay(180, Party::Visitor)),
    ]);
    let refused = refusal(&late, ClockTime::new(4, 45), Action::Board);
    assert_eq!(refused.not_before(), Some(ClockTime::new(7, 45)));
}

#[test]
fn delays_have_bounds() {
    for minutes in [0, MAX_DELAY + 1] {
        let refused = refusal(&scheduled(), SCHEDULED, delay(minutes, Party::Visitor));
        assert_eq!(refused, Refused::DelayOutOfRange { most: MAX_DELAY });
    }
    let twice = after([
        (SCHEDULED, Action::Schedule(timetable())),
        (SCHEDULED, delay(MAX_DELAY, Party::Visitor)),
        (SCHEDULED, delay(MAX_DELAY, Party::Visitor)),
    ]);
    let refused = refusal(&twice, SCHEDULED, delay(1, Party::Visitor));
    assert_eq!(refused, Refused::HeldTooLong { left: 0 });
}

#[test]
fn a_flight_in_the_air_can_neither_wait_nor_be_cancelled() {
    let at = ClockTime::new(5, 17);
    for action in [cancel(), delay(5, Party::Visitor), Action::Depart, Action::Board] {
        assert_eq!(refusal(&departed(), at, action), Refused::Departed { at });
    }
}

#[test]
fn a_cancelled_flight_stays_cancelled() {
    let at = ClockTime::new(4, 50);
    let flight = after([(SCHEDULED, Action::Schedule(timetable())), (at, cancel())]);
    for action in [cancel(), delay(5, Party::Visitor), Action::Board, Action::Depart, Action::Land]
    {
        assert_eq!(refusal(&flight, DEPARTURE, action), Refused::Cancelled { at });
    }
}

#[test]
fn a_diverted_flight_may_still_reach_its_destination() {
    let diverted = departed().evolve(&FlightEvent::FlightDiverted { at: ClockTime::new(9, 0) });
    let again = refusal(&diverted, ClockTime::new(9, 1), Action::Divert);
    assert_eq!(again, Refused::AlreadyDiverted);
    let at = ClockTime::new(10, 0);
    assert!(diverted.decide(FlightCommand { at, action: Action::Land }).is_ok());
}

#[test]
fn reasons_are_trimmed_and_short() {
    let reason = |text: &str| Action::Cancel { reason: Some(text.into()), by: Party::Visitor };
    let said = |text| {
        let command = FlightCommand { at: SCHEDULED, action: reason(text) };
        match scheduled().decide(command).unwrap().remove(0) {
            FlightEvent::FlightCancelled { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(said("  snow  "), Some("snow".to_owned()));
    assert_eq!(said("   "), None);
    let refused = refusal(&scheduled(), SCHEDULED, reason(&"x".repeat(81)));
    assert_eq!(refused, Refused::ReasonTooLong { most: 80 });
}

#[test]
fn every_event_of_a_flight_is_found_by_airport_airline_and_destination() {
    assert_eq!(timetable().tags(), ["airport:EWR", "airline:UA", "dest:IAH"]);
}
