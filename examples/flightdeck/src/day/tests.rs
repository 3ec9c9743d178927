use std::collections::HashSet;

use downlink::testing;

use super::*;
use crate::flight::{Action, Flights};

const HEADER: &str = "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,\
    arr_delay,carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour";
const AIRPORTS: &str =
    "code,city,utc_offset,summer_time\nIAH,Houston IAH,-6,yes\nHNL,Honolulu,-10,no\n";

fn read(lines: &str) -> Result<Day, FlightDataError> {
    Day::read(&format!("{HEADER}\n{lines}"), AIRPORTS)
}

fn times(plan: &FlightPlan) -> Vec<(String, &'static str)> {
    plan.commands.iter().map(|command| (command.at.short(), name(&command.action))).collect()
}

fn name(action: &Action) -> &'static str {
    match action {
        Action::Schedule(_) => "schedule",
        Action::Board => "board",
        Action::Delay { .. } => "delay",
        Action::ChangeGate { .. } => "move",
        Action::Depart => "depart",
        Action::Land => "land",
        Action::Divert => "divert",
        Action::Cancel { .. } => "cancel",
    }
}

fn owned(expected: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    expected.iter().map(|(time, name)| ((*time).to_owned(), *name)).collect()
}

fn plan<'a>(day: &'a Day, flight: &str) -> &'a FlightPlan {
    day.flights().iter().find(|plan| plan.flight.as_str() == flight).expect("a flight of the day")
}

#[test]
fn all_flights_of_the_day_are_read() {
    let day = Day::recorded();
    assert_eq!(day.flights().len(), 842);
    let names: HashSet<_> = day.flights().iter().map(|plan| &plan.flight).collect();
    assert_eq!(names.len(), 842, "two flights have the same stream");
}

#[test]
fn arrivals_are_in_new_york_time() {
    let day = Day::recorded();
    let expected =
        [("04:45", "schedule"), ("04:47", "board"), ("05:17", "depart"), ("09:30", "land")];
    assert_eq!(times(plan(&day, "UA1545")), owned(&expected));
}

#[test]
fn flight_times_are_plausible() {
    let day = Day::recorded();
    for plan in day.flights() {
        let at = |wanted| plan.commands.iter().find(|c| name(&c.action) == wanted).map(|c| c.at);
        let (Some(departure), Some(landing)) = (at("depart"), at("land")) else { continue };
        let flying = landing.since(departure);
        assert!((20..=720).contains(&flying), "{} flew {flying} minutes", plan.flight);
    }
}

#[test]
fn a_long_delay_is_announced_in_steps() {
    let day = Day::recorded();
    let delays = times(plan(&day, "EV4644")).into_iter().filter(|(_, name)| *name == "delay");
    let expected = [("16:00", "delay"), ("17:10", "delay"), ("18:10", "delay"), ("19:10", "delay")];
    assert_eq!(delays.collect::<Vec<_>>(), owned(&expected));
}

#[test]
fn a_flight_that_is_an_hour_late_changes_its_gate() {
    let day = Day::recorded();
    let late = times(plan(&day, "EV4644"));
    assert_eq!(late[1..3], owned(&[("16:00", "delay"), ("16:10", "move")]));
    let moved = |plan: &&FlightPlan| times(plan).iter().any(|(_, name)| *name == "move");
    let (moved, others): (Vec<_>, Vec<_>) = day.flights().iter().partition(moved);
    let delay = |plan: &FlightPlan| {
        let at = |wanted| plan.commands.iter().find(|c| name(&c.action) == wanted).map(|c| c.at);
        let Action::Schedule(timetable) = &plan.commands[0].action else { panic!() };
        at("depart").map_or(0, |departure| departure.since(timetable.departs))
    };
    assert!(!moved.is_empty() && moved.iter().all(|plan| delay(plan) >= 60));
    assert!(others.iter().all(|plan| delay(plan) < 60));
}

#[test]
fn the_delay_determines_the_day_of_departure() {
    let day = Day::recorded();
    let departure = plan(&day, "MQ3944").commands.iter().find(|c| c.action == Action::Depart);
    assert_eq!(departure.map(|c| c.at.to_string()).as_deref(), Some("2013-01-02T08:48"));
}

#[test]
fn flights_can_land_after_midnight() {
    let day =
        read("2013,1,1,2209,2155,14,2400,2337,23,B6,1109,N216JB,JFK,IAH,86,427,21,55,x\n").unwrap();
    let landing = day.flights()[0].commands.last().unwrap();
    // Midnight in Houston is 01:00 in New York.
    assert_eq!(landing.at.to_string(), "2013-01-02T01:00");
}

#[test]
fn na_in_dep_time_is_a_cancellation() {
    let day = Day::recorded();
    assert_eq!(times(plan(&day, "B6125")), owned(&[("04:50", "schedule"), ("05:30", "cancel")]));
}

#[test]
fn na_in_air_time_is_a_diversion() {
    let day = Day::recorded();
    let end = |flight| times(plan(&day, flight)).split_off(3).into_iter().map(|(_, name)| name);
    assert!(end("EV4204").eq(["depart", "divert"]), "it never reached Oklahoma City");
    assert!(end("MQ4525").eq(["divert", "land"]), "it reached Northwest Arkansas later");
}

#[test]
fn a_repeated_flight_number_has_two_names() {
    let line = "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,x\n";
    let day = read(&line.repeat(2)).unwrap();
    let names: Vec<_> = day.flights().iter().map(|plan| plan.flight.as_str()).collect();
    assert_eq!(names, ["UA1545", "UA1545-2"]);
}

#[test]
fn errors_name_the_line_and_the_value() {
    let unknown = "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,QQQ,227,1400,5,15,x\n";
    assert!(read(unknown).unwrap_err().to_string().contains("'QQQ'"));
    let time = "2013,1,1,517,575,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,x\n";
    let error = read(time).unwrap_err().to_string();
    assert!(error.contains("'575'") && error.contains("line: 2"), "{error}");
}

#[test]
fn every_command_of_the_day_is_accepted() {
    for plan in Day::recorded().flights() {
        assert!(plan.commands.is_sorted_by_key(|command| command.at), "{}", plan.flight);
        let _ = plan
            .commands
            .iter()
            .fold(testing::decider(Flights), testing::DeciderTest::given_command);
    }
}

#[test]
fn the_board_fills_in_the_first_minutes() {
    let day = Day::recorded();
    let seen = |minute| {
        let first = day.flights().iter().map(|plan| plan.commands[0].at);
        first.filter(|at| *at <= OPENING.plus(minute)).count()
    };
    assert_eq!(day.flights()[0].commands[0].at, OPENING);
    let counts = [0, 5, 10, 15, 20].map(seen);
    assert!(counts.is_sorted() && counts[0] < 10 && counts[4] > 50, "{counts:?}");
}
