//! Queries of read models.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use downlink::id::ProjectionId;
use downlink::projection::{ProjectionStore, Step, StepOutcome};
use downlink::store::ReadLog;
use downlink::{
    BoxError, Cursor, Error, ErrorKind, Event, EventStore, EventStoreExt, Expected, Filter,
    NewEvent, Projection,
};
use downlink_postgres::PostgresStore;
use futures::FutureExt;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::server::{Server, fresh_schema, options};

/// How many events the log has, in a table of its own for each test.
#[derive(Debug)]
struct Tally(String);

#[async_trait]
impl Projection for Tally {
    type Tx = PgConnection;

    fn name(&self) -> &'static str {
        "tally"
    }

    fn version(&self) -> u32 {
        1
    }

    fn filter(&self) -> Filter {
        Filter::everything()
    }

    async fn prepare(&self, tx: &mut PgConnection) -> Result<(), BoxError> {
        let create = format!("DROP TABLE IF EXISTS {0}; CREATE TABLE {0} (id text)", self.0);
        sqlx::raw_sql(AssertSqlSafe(create)).execute(tx).await?;
        Ok(())
    }

    async fn apply(&self, events: &[Event], tx: &mut PgConnection) -> Result<(), BoxError> {
        let add = format!("INSERT INTO {} VALUES ($1)", self.0);
        for event in events {
            let add = sqlx::query(AssertSqlSafe(add.clone())).bind(event.id().to_string());
            add.execute(&mut *tx).await?;
        }
        Ok(())
    }
}

/// A store with three events and a read model of them, and the table of the model.
async fn tallied() -> (PostgresStore, String) {
    let schema = fresh_schema();
    let options = options(&schema).with_query_limit(Duration::from_secs(2));
    let store = options.connect(&Server::get().url()).await.expect("a read model");
    let table = format!("tally_of_{schema}");
    let events = (0..3).map(|_| NewEvent::json("FlightDeparted", "{}").expect("a read model"));
    store.append_to("flight-UA1545", Expected::Any, events).await.expect("a read model");
    let projection: Arc<dyn Projection<Tx = PgConnection>> = Arc::new(Tally(table.clone()));
    let page = store.read_log(ReadLog::log()).await.expect("a read model");
    let step = Step::new(Cursor::START, page.scanned, page.events);
    let stepped = store.step(&projection, step).await.expect("a read model");
    assert!(matches!(stepped, StepOutcome::Applied { .. }), "{stepped:?}");
    (store, table)
}

async fn live(store: &PostgresStore) {
    store
        .make_live(&ProjectionId::new("tally", 1).expect("a read model"))
        .await
        .expect("a read model");
}

async fn run(store: &PostgresStore, sql: String) -> Result<Cursor, Error> {
    let answer = store.query("tally", move |mut tx| {
        async move {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await?;
            Ok(())
        }
        .boxed()
    });
    Ok(answer.await?.1)
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_query_reads_the_live_version_with_its_cursor() {
    let (store, table) = tallied().await;
    let early = run(&store, "SELECT 1".into()).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::Unavailable, "{early}");
    live(&store).await;
    let count = format!("SELECT count(*) FROM {table}");
    let (counted, cursor) = store
        .query("tally", move |mut tx| {
            async move {
                assert_eq!(tx.version(), 1);
                let count = sqlx::query_scalar::<_, i64>(AssertSqlSafe(count));
                Ok(count.fetch_one(&mut *tx).await?)
            }
            .boxed()
        })
        .await
        .unwrap();
    assert_eq!((counted, cursor), (3, store.head().await.unwrap()));
    let unknown = store.query("talley", |_| async { Ok(()) }.boxed()).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Invalid, "{unknown}");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_query_only_reads_and_has_a_limit() {
    let (store, table) = tallied().await;
    live(&store).await;
    for (sql, kind) in [
        (format!("DELETE FROM {table}"), ErrorKind::Invalid),
        ("COMMIT".into(), ErrorKind::Invalid),
        ("COMMIT; BEGIN".into(), ErrorKind::Invalid),
        ("SELECT no_such_column".into(), ErrorKind::Backend),
        ("SELECT pg_sleep(60)".into(), ErrorKind::TooLarge),
    ] {
        let error = run(&store, sql.clone()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{sql}: {error}");
    }
    let panics = store
        .query("tally", |_| -> futures::future::BoxFuture<'_, Result<(), BoxError>> {
            panic!("no such gate")
        });
    let error = panics.await.unwrap_err();
    assert!(error.to_string().contains("no such gate"), "{error}");
    run(&store, format!("SELECT * FROM {table}")).await.unwrap();
}
