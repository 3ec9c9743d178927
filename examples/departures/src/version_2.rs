//! The same table in another form: it also knows how late flights were.

use std::path::Path;

use async_trait::async_trait;
use downlink::{BoxError, Event, Filter, FilterItem, Projection};
use downlink_rusqlite::Tx;
use rusqlite::Connection;

use crate::flight::FlightEvent;

/// How many flights have left each airport, and how late.
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
        2
    }
    // ANCHOR_END: projection

    fn filter(&self) -> Filter {
        FilterItem::new().with_type("FlightDeparted").expect("a name that is valid").into()
    }

    async fn prepare(&self, tx: &mut Tx) -> Result<(), BoxError> {
        // ANCHOR: table
        tx.execute_batch(
            "DROP TABLE IF EXISTS by_airport_2; \
             CREATE TABLE by_airport_2 \
                 (airport TEXT PRIMARY KEY, departed INTEGER NOT NULL, late INTEGER NOT NULL)",
        )?;
        // ANCHOR_END: table
        Ok(())
    }

    async fn apply(&self, events: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
        let mut add = tx.prepare_cached(
            "INSERT INTO by_airport_2 VALUES (?1, 1, ?2) \
             ON CONFLICT (airport) DO UPDATE \
                 SET departed = departed + 1, late = late + excluded.late",
        )?;
        for event in events {
            if let FlightEvent::FlightDeparted { from, late } = event.decode()? {
                add.execute((from, late))?;
            }
        }
        Ok(())
    }
}

/// The table: airport, departures, and the minutes that they were late in all.
/// Blocks while it reads.
///
/// # Errors
///
/// Those of SQLite.
pub fn departed(path: &Path) -> rusqlite::Result<Vec<(String, u32, u32)>> {
    let file = Connection::open(path)?;
    let sql = "SELECT airport, departed, late FROM by_airport_2 ORDER BY airport";
    let mut query = file.prepare(sql)?;
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}
