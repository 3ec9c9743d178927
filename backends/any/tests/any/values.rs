//! Values that go into a table and come back are the same, whatever the driver.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use async_trait::async_trait;
use downlink::live::Work;
use downlink::{BoxError, Event, Expected, NewEvent, Projection};
use downlink_any::{Dialect, Log, Tx, Value};
use futures::FutureExt;
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_mins(1);

/// A table with a column of each type.
#[derive(Debug)]
struct Values;

#[async_trait]
impl Projection for Values {
    type Tx = Tx;

    fn name(&self) -> &'static str {
        "values"
    }

    async fn prepare(&self, tx: &mut Tx) -> Result<(), BoxError> {
        let blob = match tx.dialect() {
            Dialect::Sqlite => "BLOB",
            Dialect::Postgres => "bytea",
        };
        let create = format!(
            "CREATE TABLE all_values (flight text, minutes bigint, ratio double precision, raw {blob}, late integer)"
        );
        tx.execute("DROP TABLE IF EXISTS all_values", Vec::new()).await?;
        tx.execute(&create, Vec::new()).await?;
        Ok(())
    }

    async fn apply(&self, events: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
        let add = "INSERT INTO all_values VALUES (?1, ?2, ?3, ?4, ?5)";
        for event in events {
            let flight = event.stream().as_str();
            let some =
                vec![flight.into(), 17_u32.into(), 0.5.into(), vec![0, 255].into(), 1_i64.into()];
            tx.execute(add, some).await?;
            // The same statement, with parameters of other types.
            tx.execute(add, vec![Value::Null; 5]).await?;
            tx.execute(
                add,
                vec![flight.into(), Value::Null, 2.0.into(), Value::Null, 0_i64.into()],
            )
            .await?;
        }
        Ok(())
    }
}

#[derive(Debug, Deserialize, PartialEq)]
struct Decoded {
    flight: Option<String>,
    minutes: Option<u8>,
    late: Option<bool>,
}

/// Builds the table from one event, and reads it.
pub(crate) async fn values_come_back(log: &Log) {
    let hub = log.hub().await.unwrap();
    let projection = hub.project(Values, log.models()).start().unwrap();
    let departed = NewEvent::json("FlightDeparted", "{}").unwrap();
    let appended = hub.append_to("flight-UA1545", Expected::NoStream, [departed]).await.unwrap();
    timeout(DEADLINE, projection.wait_for(appended.cursor)).await.expect("in time").unwrap();
    timeout(DEADLINE, projection.wait_live()).await.expect("in time").unwrap();

    let (send, found) = oneshot::channel();
    let read: Work<Tx> = Box::new(|mut tx| {
        async move {
            let all = tx.fetch("SELECT * FROM all_values ORDER BY ratio", Vec::new()).await?;
            let select = "SELECT flight, minutes, late FROM all_values WHERE (?1 IS NULL OR flight = ?1) \
                          AND (?2 IS NULL OR minutes = ?2) ORDER BY ratio";
            let all_decoded = tx.fetch_as::<Decoded>(select, vec![Value::Null; 2]).await?;
            let one = tx.fetch_as::<Decoded>(select, vec!["flight-UA1545".into(), 17_u32.into()]).await?;
            drop(send.send((all, all_decoded, one)));
            Ok(())
        }
        .boxed()
    });
    log.models().evaluate("values", DEADLINE, read).await.unwrap();
    let (mut all, mut all_decoded, one) = found.await.unwrap();
    // Databases do not agree on where NULL is.
    all.sort_by_key(|row| row.values()[2] == Value::Null);
    all_decoded.sort_by_key(|row| row.flight.is_none());

    let flight = Value::from("flight-UA1545");
    let values: Vec<_> = all.iter().map(|row| row.values().to_vec()).collect();
    let some = [flight.clone(), 17_i64.into(), 0.5.into(), vec![0, 255].into(), 1_i64.into()];
    let other = [flight, Value::Null, 2.0.into(), Value::Null, 0_i64.into()];
    assert_eq!(values, [some.to_vec(), other.to_vec(), vec![Value::Null; 5]]);
    let decoded = |flight: Option<&str>, minutes, late| Decoded {
        flight: flight.map(str::to_owned),
        minutes,
        late,
    };
    let first = decoded(Some("flight-UA1545"), Some(17), Some(true));
    assert_eq!(one, [first]);
    let [_, second, third] = &all_decoded[..] else { panic!("{all_decoded:?}") };
    assert_eq!(second, &decoded(Some("flight-UA1545"), None, Some(false)));
    assert_eq!(third, &decoded(None, None, None));
    let wrong = all.remove(0).decode::<Decoded>().map(|row| row.late);
    assert_eq!(wrong.unwrap(), Some(true), "other columns are ignored");
    let refused = all.remove(0).decode::<(String,)>().unwrap_err();
    assert!(refused.to_string().contains("minutes"), "{refused}");
    hub.shutdown().await;
    log.close().await;
}

#[tokio::test]
async fn values_come_back_from_a_file() {
    for driver in ["rusqlite", "sqlx"] {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&format!("{driver}:{}/log.db", folder.path().display())).await.unwrap();
        values_come_back(&log).await;
    }
}
