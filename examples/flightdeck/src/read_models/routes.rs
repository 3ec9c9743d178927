use super::decoded_event::DecodedEvent;
use super::model::{Model, Write, rows_as};
use super::rows::RouteRow;
use crate::flight::FlightEvent;

/// The busiest routes: the departures for each destination.
pub(crate) static ROUTES: Model = Model {
    name: "routes",
    version: 1,
    prepare: &[
        "DROP TABLE IF EXISTS routes_1",
        "CREATE TABLE routes_1 (
            airport TEXT NOT NULL,
            dest TEXT NOT NULL,
            airline TEXT NOT NULL,
            city TEXT NOT NULL,
            departed INTEGER NOT NULL,
            PRIMARY KEY (airport, dest, airline)
        )",
    ],
    writes,
    query: "SELECT airport || '-' || dest AS id, airport AS \"from\", dest AS \"to\", max(city) AS city,
            sum(departed) AS departed
        FROM routes_1
        WHERE (?1 IS NULL OR airport = ?1) AND (?2 IS NULL OR airline = ?2) AND departed > 0
        GROUP BY airport, dest ORDER BY sum(departed) DESC, airport, dest LIMIT 10",
    rows: rows_as::<RouteRow>,
    key: "id",
    affected_by: &["FlightScheduled", "FlightDeparted"],
    affected_everywhere_by: &[],
};

const ADD_ROUTE: &str = "INSERT INTO routes_1 (airport, dest, airline, city, departed)
    VALUES (?1, ?2, ?3, ?4, 0) ON CONFLICT DO NOTHING";
const COUNT: &str = "UPDATE routes_1 SET departed = departed + 1
    WHERE airport = ?1 AND dest = ?2 AND airline = ?3";

fn writes(decoded: &DecodedEvent<'_>) -> Vec<Write> {
    let DecodedEvent { airport, to, airline, .. } = *decoded;
    match &decoded.event {
        FlightEvent::FlightScheduled { timetable, .. } => {
            let city = timetable.city.as_str().into();
            vec![(ADD_ROUTE, vec![airport.into(), to.into(), airline.into(), city])]
        }
        FlightEvent::FlightDeparted { .. } => {
            vec![(COUNT, vec![airport.into(), to.into(), airline.into()])]
        }
        FlightEvent::BoardingStarted { .. }
        | FlightEvent::FlightDelayed { .. }
        | FlightEvent::GateChanged { .. }
        | FlightEvent::FlightLanded { .. }
        | FlightEvent::FlightCancelled { .. }
        | FlightEvent::FlightDiverted { .. } => Vec::new(),
    }
}
