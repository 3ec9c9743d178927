use downlink_any::Value;

use super::decoded_event::DecodedEvent;
use super::model::{Model, Write, rows_as};
use super::rows::FlightRow;
use crate::flight::{ClockTime, FlightEvent, Timetable};

/// A flight whose last event is this many minutes old is deleted when another one is
/// scheduled.
const RETENTION: u32 = 24 * 60;

/// The board: a row for each flight.
pub(crate) static BOARD: Model = Model {
    name: "board",
    version: 1,
    prepare: &[
        "DROP TABLE IF EXISTS board_1",
        "CREATE TABLE board_1 (
            flight TEXT PRIMARY KEY,
            version INTEGER NOT NULL,
            airline TEXT NOT NULL,
            airport TEXT NOT NULL,
            dest TEXT NOT NULL,
            city TEXT NOT NULL,
            aircraft TEXT,
            gate TEXT NOT NULL,
            scheduled TEXT NOT NULL,
            arrives TEXT NOT NULL,
            departs TEXT NOT NULL,
            landed TEXT,
            status TEXT NOT NULL,
            diverted INTEGER NOT NULL DEFAULT 0,
            changed TEXT NOT NULL
        )",
        "CREATE INDEX board_1_changed ON board_1 (changed)",
    ],
    writes,
    query: "SELECT flight AS id, version, airline, airport AS \"from\", dest AS \"to\", city, aircraft, gate,
            scheduled, arrives, departs, landed, status, diverted AS \"wasDiverted\", changed FROM board_1
        WHERE (?1 IS NULL OR airport = ?1) AND (?2 IS NULL OR airline = ?2) ORDER BY flight",
    rows: rows_as::<FlightRow>,
    key: "id",
    affected_by: &[],
    // It deletes old flights.
    affected_everywhere_by: &["FlightScheduled"],
};

const REMOVE: &str = "DELETE FROM board_1 WHERE flight = ?1";
const ADD: &str = "INSERT INTO board_1
    (flight, version, airline, airport, dest, city, aircraft, gate, scheduled, arrives, departs, status, changed)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?9, 'scheduled', ?11)";
const DELETE_OLD: &str = "DELETE FROM board_1 WHERE changed < ?1";
const SET_STATUS: &str =
    "UPDATE board_1 SET version = ?2, changed = ?3, status = ?4 WHERE flight = ?1";
const DELAY: &str = "UPDATE board_1 SET version = ?2, changed = ?3, status = 'delayed', departs = ?4 WHERE flight = ?1";
const MOVE: &str = "UPDATE board_1 SET version = ?2, changed = ?3, gate = ?4 WHERE flight = ?1";
const DEPART: &str = "UPDATE board_1 SET version = ?2, changed = ?3, status = 'departed', departs = ?3 WHERE flight = ?1";
const DIVERT: &str = "UPDATE board_1 SET version = ?2, changed = ?3, status = 'diverted', diverted = 1 WHERE flight = ?1";
const LAND: &str = "UPDATE board_1 SET version = ?2, changed = ?3, status = 'landed', landed = ?3 WHERE flight = ?1";

fn writes(decoded: &DecodedEvent<'_>) -> Vec<Write> {
    let at = decoded.event.at();
    let place = || (decoded.flight.into(), decoded.version.into(), text(&at));
    let set = |sql, value: Value| {
        let (flight, version, at) = place();
        vec![(sql, vec![flight, version, at, value])]
    };
    let change = |sql| {
        let (flight, version, at) = place();
        vec![(sql, vec![flight, version, at])]
    };
    match &decoded.event {
        FlightEvent::FlightScheduled { timetable, .. } => {
            vec![
                (DELETE_OLD, vec![text(&at.minus(RETENTION))]),
                (REMOVE, vec![decoded.flight.into()]),
                add(decoded, timetable, at),
            ]
        }
        FlightEvent::BoardingStarted { .. } => set(SET_STATUS, "boarding".into()),
        FlightEvent::FlightDelayed { departs, .. } => set(DELAY, text(departs)),
        FlightEvent::GateChanged { gate, .. } => set(MOVE, text(gate)),
        FlightEvent::FlightDeparted { .. } => change(DEPART),
        FlightEvent::FlightLanded { .. } => change(LAND),
        FlightEvent::FlightCancelled { .. } => set(SET_STATUS, "cancelled".into()),
        FlightEvent::FlightDiverted { .. } => change(DIVERT),
    }
}

fn add(decoded: &DecodedEvent<'_>, timetable: &Timetable, at: ClockTime) -> Write {
    (
        ADD,
        vec![
            decoded.flight.into(),
            decoded.version.into(),
            decoded.airline.into(),
            decoded.airport.into(),
            decoded.to.into(),
            timetable.city.as_str().into(),
            timetable.aircraft.as_deref().into(),
            text(&timetable.gate),
            text(&timetable.departs),
            text(&timetable.arrives),
            text(&at),
        ],
    )
}

fn text(value: &impl ToString) -> Value {
    value.to_string().into()
}
