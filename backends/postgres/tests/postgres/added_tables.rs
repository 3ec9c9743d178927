//! Logs of earlier releases, which had fewer tables.

use downlink::store::ReadLog;
use downlink::{Append, EventStore, Expected, NewEvent};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::server::{Server, fresh_schema, options};

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn tables_that_a_log_lacks_are_added_beside_a_running_server() {
    let (schema, url) = (fresh_schema(), Server::get().url());
    let earlier = options(&schema).connect(&url).await.unwrap();
    let event = || NewEvent::json("FlightDeparted", "{}").unwrap();
    let append = || Append::to("flight-UA1545", Expected::Any, [event()]).unwrap();
    earlier.append(append()).await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let added = ["leases", "snapshots", "moved"];
    for table in added {
        let drop = AssertSqlSafe(format!("DROP TABLE {schema}.{table}"));
        sqlx::raw_sql(drop).execute(&mut connection).await.unwrap();
    }

    let store = options(&schema).connect(&url).await.unwrap();
    for table in added {
        let count = AssertSqlSafe(format!("SELECT count(*) FROM {schema}.{table}"));
        let count: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await.unwrap();
        assert_eq!(count, 0);
    }
    earlier.append(append()).await.unwrap();
    store.append(append()).await.unwrap();
    assert_eq!(earlier.read_log(ReadLog::log()).await.unwrap().events.len(), 3);
}
