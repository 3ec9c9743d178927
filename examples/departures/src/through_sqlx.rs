//! Departures by airport as a table, through sqlx.

use async_trait::async_trait;
use downlink::{BoxError, Event, Filter, FilterItem, Projection};
use downlink_sqlx::Tx;
use sqlx::SqliteConnection;

use crate::flight::FlightEvent;

/// How many flights have left each airport.
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
            if let FlightEvent::FlightDeparted { from, .. } = event.decode()? {
                sqlx::query(add).bind(from).execute(&mut *tx).await?;
            }
        }
        Ok(())
    }
    // ANCHOR_END: apply
}

/// The table.
///
/// # Errors
///
/// Those of sqlx.
///
/// # Cancel safety
///
/// Has no effects.
pub async fn departed(file: &mut SqliteConnection) -> sqlx::Result<Vec<(String, u32)>> {
    let query = "SELECT airport, departed FROM by_airport_1 ORDER BY airport";
    sqlx::query_as(query).fetch_all(file).await
}
