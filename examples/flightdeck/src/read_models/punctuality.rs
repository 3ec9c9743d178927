use super::decoded_event::DecodedEvent;
use super::model::{Model, Write, rows_as};
use super::rows::PunctualityRow;
use crate::flight::FlightEvent;

/// Punctuality by airline: a departure less than fifteen minutes late is on time.
pub(crate) static PUNCTUALITY: Model = Model {
    name: "punctuality",
    version: 1,
    prepare: &[
        "DROP TABLE IF EXISTS punctuality_1",
        "DROP TABLE IF EXISTS punctuality_1_waiting",
        "CREATE TABLE punctuality_1 (
            airline TEXT NOT NULL,
            airport TEXT NOT NULL,
            departed INTEGER NOT NULL DEFAULT 0,
            on_time INTEGER NOT NULL DEFAULT 0,
            minutes_late INTEGER NOT NULL DEFAULT 0,
            cancelled INTEGER NOT NULL DEFAULT 0,
            diverted INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (airline, airport)
        )",
        // Flights that have not departed, and their scheduled departure in minutes.
        "CREATE TABLE punctuality_1_waiting (
            flight TEXT PRIMARY KEY,
            scheduled INTEGER NOT NULL
        )",
    ],
    writes,
    query: "SELECT airline, sum(departed) AS departed, sum(on_time) AS \"onTime\",
            sum(minutes_late) AS \"minutesLate\", sum(cancelled) AS cancelled, sum(diverted) AS diverted
        FROM punctuality_1
        WHERE (?1 IS NULL OR airport = ?1) AND (?2 IS NULL OR airline = ?2)
        GROUP BY airline ORDER BY sum(departed) DESC, airline",
    rows: rows_as::<PunctualityRow>,
    key: "airline",
    affected_by: &["FlightDeparted", "FlightCancelled", "FlightDiverted"],
    affected_everywhere_by: &[],
};

const WAIT: &str = "INSERT INTO punctuality_1_waiting (flight, scheduled) VALUES (?1, ?2)
    ON CONFLICT (flight) DO UPDATE SET scheduled = excluded.scheduled";
const LEAVE: &str = "DELETE FROM punctuality_1_waiting WHERE flight = ?1";
const DEPART: &str = "INSERT INTO punctuality_1 (airline, airport, departed, on_time, minutes_late)
    SELECT ?1, ?2, 1, CASE WHEN ?4 - scheduled < 15 THEN 1 ELSE 0 END,
        CASE WHEN ?4 > scheduled THEN ?4 - scheduled ELSE 0 END
    FROM punctuality_1_waiting WHERE flight = ?3
    ON CONFLICT (airline, airport) DO UPDATE SET departed = punctuality_1.departed + 1,
        on_time = punctuality_1.on_time + excluded.on_time,
        minutes_late = punctuality_1.minutes_late + excluded.minutes_late";
const CANCEL: &str = "INSERT INTO punctuality_1 (airline, airport, cancelled) VALUES (?1, ?2, 1)
    ON CONFLICT (airline, airport) DO UPDATE SET cancelled = punctuality_1.cancelled + 1";
const DIVERT: &str = "INSERT INTO punctuality_1 (airline, airport, diverted) VALUES (?1, ?2, 1)
    ON CONFLICT (airline, airport) DO UPDATE SET diverted = punctuality_1.diverted + 1";

fn writes(decoded: &DecodedEvent<'_>) -> Vec<Write> {
    let DecodedEvent { flight, airline, airport, .. } = *decoded;
    let count = |sql| (sql, vec![airline.into(), airport.into()]);
    let leave = || (LEAVE, vec![flight.into()]);
    match &decoded.event {
        FlightEvent::FlightScheduled { timetable, .. } => {
            vec![(WAIT, vec![flight.into(), timetable.departs.minute().into()])]
        }
        FlightEvent::FlightDeparted { at } => {
            let values = vec![airline.into(), airport.into(), flight.into(), at.minute().into()];
            vec![(DEPART, values), leave()]
        }
        FlightEvent::FlightCancelled { .. } => vec![count(CANCEL), leave()],
        FlightEvent::FlightDiverted { .. } => vec![count(DIVERT)],
        FlightEvent::BoardingStarted { .. }
        | FlightEvent::FlightDelayed { .. }
        | FlightEvent::GateChanged { .. }
        | FlightEvent::FlightLanded { .. } => Vec::new(),
    }
}
