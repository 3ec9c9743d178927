//! Departures by airport as a table, through rusqlite.

use async_trait::async_trait;
use downlink::{BoxError, Cursor, Event, Filter, Projection, Result};
use downlink_rusqlite::{RusqliteStore, Tx};

use crate::flight::FlightEvent;

/// Counts the departures of each airport.
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
        Filter::types(["FlightDeparted"])
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
            if let FlightEvent::FlightDeparted { from, .. } = event.decode_raw()? {
                add.execute([from])?;
            }
        }
        Ok(())
    }
}
// ANCHOR_END: projection

/// The rows of the table, and the cursor of the last event in them.
///
/// # Errors
///
/// Those of [`RusqliteStore::query`].
///
/// # Cancel safety
///
/// Has no side effects.
// ANCHOR: query
pub async fn departed(store: &RusqliteStore) -> Result<(Vec<(String, u32)>, Cursor)> {
    store
        .query("by_airport", |tx| {
            let sql = "SELECT airport, departed FROM by_airport_1 ORDER BY airport";
            let mut query = tx.prepare(sql)?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
}
// ANCHOR_END: query
