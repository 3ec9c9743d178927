//! Departures by airport as a table, through sqlx.

use async_trait::async_trait;
use downlink::{BoxError, Cursor, Event, Filter, Projection, Result};
use downlink_sqlx::{SqlxStore, Tx};
use futures::FutureExt;

use crate::flight::FlightEvent;

/// Counts the departures of each airport.
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

    // ANCHOR: apply
    async fn prepare(&self, tx: &mut Tx) -> Result<(), BoxError> {
        sqlx::query("DROP TABLE IF EXISTS by_airport_1").execute(&mut *tx).await?;
        let create =
            "CREATE TABLE by_airport_1 (airport TEXT PRIMARY KEY, departed INTEGER NOT NULL)";
        sqlx::query(create).execute(&mut *tx).await?;
        Ok(())
    }

    async fn apply(&self, events: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
        let add = "INSERT INTO by_airport_1 VALUES (?1, 1) \
             ON CONFLICT (airport) DO UPDATE SET departed = departed + 1";
        for event in events {
            if let FlightEvent::FlightDeparted { from, .. } = event.decode_raw()? {
                sqlx::query(add).bind(from).execute(&mut *tx).await?;
            }
        }
        Ok(())
    }
    // ANCHOR_END: apply
}

/// The rows of the table, and the cursor of the last event in them.
///
/// # Errors
///
/// Those of [`SqlxStore::query`].
///
/// # Cancel safety
///
/// Has no side effects.
// ANCHOR: query
pub async fn departed(store: &SqlxStore) -> Result<(Vec<(String, u32)>, Cursor)> {
    store
        .query("by_airport", |mut tx| {
            async move {
                let query = "SELECT airport, departed FROM by_airport_1 ORDER BY airport";
                Ok(sqlx::query_as(query).fetch_all(&mut *tx).await?)
            }
            .boxed()
        })
        .await
}
// ANCHOR_END: query
