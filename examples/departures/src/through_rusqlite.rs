//! Departures by airport as a table, through rusqlite.

use std::path::Path;

use async_trait::async_trait;
use downlink::{BoxError, Event, Filter, FilterItem, Projection};
use downlink_rusqlite::Tx;
use rusqlite::Connection;

use crate::flight::FlightEvent;

/// How many flights have left each airport.
// ANCHOR: projection
#[derive(Debug)]
pub struct ByAirport;

#[async_trait]
impl Projection for ByAirport {
    type Tx = Tx;

    fn name(&self) -> &'static str {
        "by_airport"
    }

    fn version(&self) -> u32 {
        1
    }

    fn filter(&self) -> Filter {
        FilterItem::new().with_type("FlightDeparted").expect("a name that is valid").into()
    }

    async fn prepare(&self, tx: &mut Tx) -> Result<(), BoxError> {
        tx.execute_batch(
            "DROP TABLE IF EXISTS by_airport_1; \
             CREATE TABLE by_airport_1 (airport TEXT PRIMARY KEY, departed INTEGER NOT NULL)",
        )?;
        Ok(())
    }

    async fn apply(&self, events: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
        let mut add = tx.prepare_cached(
            "INSERT INTO by_airport_1 VALUES (?1, 1) \
             ON CONFLICT (airport) DO UPDATE SET departed = departed + 1",
        )?;
        for event in events {
            if let FlightEvent::FlightDeparted { from, .. } = event.decode()? {
                add.execute([from])?;
            }
        }
        Ok(())
    }
}
// ANCHOR_END: projection

/// The table. Blocks while it reads.
///
/// # Errors
///
/// Those of SQLite.
// ANCHOR: query
pub fn departed(path: &Path) -> rusqlite::Result<Vec<(String, u32)>> {
    let file = Connection::open(path)?;
    let sql = "SELECT airport, departed FROM by_airport_1 ORDER BY airport";
    let mut query = file.prepare(sql)?;
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
// ANCHOR_END: query
