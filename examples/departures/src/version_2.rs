//! Version 2 of the table, which also has delays.

use async_trait::async_trait;
use downlink::{BoxError, Cursor, Event, Filter, Projection, Result};
use downlink_rusqlite::{RusqliteStore, Tx};

use crate::flight::FlightEvent;

/// Counts the departures of each airport and sums up their delays.
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
        Filter::types(["FlightDeparted"])
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
            if let FlightEvent::FlightDeparted { from, late } = event.decode_raw()? {
                add.execute((from, late))?;
            }
        }
        Ok(())
    }
}

/// The rows of the table (airport, departures, total delay in minutes), and the cursor of
/// the last event in them. The delay is 0 while version 1 is live.
///
/// # Errors
///
/// Those of [`RusqliteStore::query`].
///
/// # Cancel safety
///
/// Has no side effects.
// ANCHOR: query
pub async fn departed(store: &RusqliteStore) -> Result<(Vec<(String, u32, u32)>, Cursor)> {
    store
        .query("by_airport", |tx| {
            let sql = match tx.version() {
                1 => "SELECT airport, departed, 0 FROM by_airport_1 ORDER BY airport",
                _ => "SELECT airport, departed, late FROM by_airport_2 ORDER BY airport",
            };
            let mut query = tx.prepare(sql)?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
}
// ANCHOR_END: query
