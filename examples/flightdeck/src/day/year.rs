use std::collections::BTreeMap;
use std::io;

use super::airport::{self, Airports};
use super::row::{self, Row};
use super::{AIRPORTS, Day, FlightDataError, OPENING};
use crate::flight::ClockTime;
use crate::flight::Date;

/// No year has more flights, so a larger file is something else.
const MAX_FLIGHTS: usize = 2_000_000;

/// The flights of a file: an iterator over its days in order.
///
/// All flights are in memory, about 250 bytes each, because the file is not ordered by
/// date. The iterator frees the flights of each day that it yields.
#[derive(Debug)]
pub struct Year {
    days: BTreeMap<Date, Vec<Row>>,
    airports: Airports,
    flights: usize,
}

impl Year {
    /// Reads a file of flights.
    ///
    /// # Errors
    ///
    /// [`FlightDataError`], which names the line.
    ///
    /// # Panics
    ///
    /// Never with the built-in list of airports; a test reads it.
    pub fn read(csv: impl io::Read) -> Result<Self, FlightDataError> {
        let airports = airport::read(AIRPORTS).expect("the built-in list of airports is valid");
        let mut year = Self { days: BTreeMap::new(), airports, flights: 0 };
        for row in row::read(csv)? {
            let row = row?;
            year.flights += 1;
            if year.flights > MAX_FLIGHTS {
                return Err(FlightDataError::TooLarge(MAX_FLIGHTS));
            }
            year.days.entry(row.date).or_default().push(row);
        }
        if year.flights == 0 { Err(FlightDataError::Empty) } else { Ok(year) }
    }

    /// The number of flights of all days, also of those already yielded.
    #[must_use]
    pub fn flights(&self) -> usize {
        self.flights
    }

    /// The first minute of the next day: no command of its flights, or of later days, is
    /// earlier.
    #[must_use]
    pub fn next_opening(&self) -> Option<ClockTime> {
        self.days.keys().next().map(|date| OPENING.on(*date))
    }
}

impl Iterator for Year {
    type Item = Result<Day, FlightDataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (_, rows) = self.days.pop_first()?;
        Some(Day::of(&rows, &self.airports))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flight::Action;

    const RECORDED: &str = include_str!("../../data/flights-2013-01-01.csv");
    const HEADER: &str = "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,\
        arr_delay,carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour";

    fn read(lines: &str) -> Result<Year, FlightDataError> {
        Year::read(format!("{HEADER}\n{lines}").as_bytes())
    }

    fn days(year: Year) -> Vec<Day> {
        year.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn the_first_day_of_the_year_is_the_replayed_day() {
        let year = Year::read(RECORDED.as_bytes()).unwrap();
        assert_eq!((year.flights(), year.next_opening()), (842, Some(OPENING)));
        assert_eq!(days(year), [Day::recorded()]);
    }

    #[test]
    fn days_are_sorted_and_their_flights_keep_their_order() {
        let line = |month, day, flight| {
            format!(
                "2013,{month},{day},517,515,2,830,819,11,UA,{flight},NA,EWR,IAH,227,1400,5,15,x\n"
            )
        };
        let lines = [line(10, 2, 1), line(2, 1, 3), line(2, 1, 2), line(1, 31, 4)].concat();
        let days = days(read(&lines).unwrap());
        let names: Vec<Vec<_>> = days
            .iter()
            .map(|day| day.flights().iter().map(|plan| plan.flight.as_str()).collect())
            .collect();
        assert_eq!(names, [vec!["UA4-0131"], vec!["UA3-0201", "UA2-0201"], vec!["UA1-1002"]]);
    }

    #[test]
    fn phoenix_has_no_daylight_saving_time() {
        let landing = |month| {
            let line =
                format!("2013,{month},2,800,800,0,1000,1000,0,US,1,NA,EWR,PHX,300,2000,8,0,x\n");
            let day = days(read(&line).unwrap()).remove(0);
            day.flights()[0].commands.last().unwrap().at.short()
        };
        assert_eq!((landing(1).as_str(), landing(7).as_str()), ("12:00", "13:00"));
    }

    #[test]
    fn boarding_starts_at_most_an_hour_before_the_scheduled_departure() {
        let line = "2013,5,2,717,800,-43,1000,1000,0,UA,1,NA,EWR,IAH,200,1400,8,0,x\n";
        let day = days(read(line).unwrap()).remove(0);
        let commands = &day.flights()[0].commands;
        let boarding = commands.iter().find(|command| command.action == Action::Board).unwrap();
        assert_eq!(boarding.at.to_string(), "2013-05-02T07:00");
    }

    #[test]
    fn errors_of_invalid_files_name_the_problem() {
        fn message(lines: &str) -> String {
            read(lines).map(days).unwrap_err().to_string()
        }
        assert!(message("").contains("no flights"));
        let flight = "517,515,2,830,819,11,UA,1545,NA,EWR,IAH,227,1400,5,15,x\n";
        assert!(message(&format!("2013,2,29,{flight}")).contains("2013-02-29"));
        assert!(message(&format!("2014,1,1,{flight}")).contains("2014-01-01"));
        let error = Year::read("carrier,flight\nUA,1545\n".as_bytes()).unwrap_err().to_string();
        assert!(error.contains("sched_dep_time") && !error.contains("carrier"), "{error}");
    }
}
