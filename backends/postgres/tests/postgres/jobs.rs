//! What a transaction of the application may not do.

use downlink::commit::Transacted;
use downlink::store::ReadLog;
use downlink::{Append, BoxError, Error, ErrorKind, EventStore, Expected, NewEvent};
use downlink_postgres::{PostgresStore, Transaction};
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::{AssertSqlSafe, Connection};

use crate::server::{Server, fresh_schema, options};

async fn store() -> (String, PostgresStore) {
    let schema = fresh_schema();
    let store = options(&schema).connect(&Server::get().url()).await.expect("a log");
    (schema, store)
}

fn departed() -> Append {
    let event = NewEvent::json("FlightDeparted", "{}").expect("an event");
    Append::to("flight-UA1545", Expected::Any, [event]).expect("an append")
}

/// Runs the work after an append, and returns the error.
async fn refused<F>(store: &PostgresStore, work: F) -> Error
where
    F: for<'a> FnOnce(&'a mut Transaction<'_>) -> BoxFuture<'a, Result<(), BoxError>>
        + Send
        + 'static,
{
    let done: Result<Transacted<()>, BoxError> = store
        .transact(|tx| {
            async move {
                tx.append(departed()).await?;
                work(tx).await
            }
            .boxed()
        })
        .await;
    *done.expect_err("it may not do that").downcast::<Error>().expect("an error of the store")
}

async fn running(store: &PostgresStore, sql: String) -> Error {
    refused(store, |tx| {
        async move {
            // Careless code: the error is ignored.
            let _ = sqlx::raw_sql(AssertSqlSafe(sql)).execute(tx.rows().await?).await;
            Ok(())
        }
        .boxed()
    })
    .await
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn it_leaves_nothing_if_it_fails_or_writes_to_the_log() {
    let (schema, store) = store().await;
    store.append(departed()).await.unwrap();
    let head = store.head().await.unwrap();
    for sql in [
        "SELECT no_such_column".into(),
        format!("DELETE FROM {schema}.events"),
        format!("UPDATE {schema}.log SET format = 9"),
        format!("INSERT INTO {schema}.projections VALUES (DEFAULT, 'x', 1, '', false, '')"),
        format!("INSERT INTO {schema}.leases VALUES ('x', 1, gen_random_uuid(), 0)"),
        format!("INSERT INTO {schema}.snapshots VALUES ('x', 'x', 1, 1, gen_random_uuid(), 0, '')"),
        format!("INSERT INTO {schema}.moved VALUES ('x', 1, 1, 1)"),
    ] {
        let error = running(&store, sql.clone()).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
    }
    let error = refused(&store, |tx| {
        async move {
            std::mem::forget(tx.rows().await?.begin().await?);
            Ok(())
        }
        .boxed()
    })
    .await;
    assert!(error.to_string().contains("nested"), "{error}");
    assert_eq!(store.head().await.unwrap(), head);
    store.append(departed()).await.unwrap();
}

/// PostgreSQL does not refuse it, so what was written before is stored, and the caller is told.
#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn it_is_told_if_it_ends_itself() {
    let (_, store) = store().await;
    for (sql, stored) in [("ROLLBACK", 0), ("COMMIT", 1), ("COMMIT; BEGIN", 1)] {
        let before = store.head().await.unwrap().position().get();
        let error = running(&store, sql.into()).await;
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{sql}: {error}");
        let page = store.read_log(ReadLog::log()).await.unwrap();
        let new = page.events.iter().filter(|event| event.position().get() > before);
        assert_eq!(new.count(), stored, "{sql}");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn a_nested_transaction_that_ends_is_fine() {
    let (_, store) = store().await;
    let done: Result<Transacted<()>, BoxError> = store
        .transact(|tx| {
            async move {
                let mut nested = tx.rows().await?.begin().await?;
                sqlx::raw_sql("CREATE TABLE IF NOT EXISTS gates (gate text)")
                    .execute(&mut *nested)
                    .await?;
                nested.commit().await?;
                tx.append(departed()).await?;
                Ok(())
            }
            .boxed()
        })
        .await;
    assert_eq!(done.unwrap(), Transacted::Committed(()));
    assert_eq!(store.head().await.unwrap().position().get(), 1);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: ./check postgres"]
async fn what_it_sets_for_the_session_ends_with_it() {
    let (_, store) = store().await;
    let setting = async |sql: &'static str| {
        let read: Result<Transacted<String>, BoxError> = store
            .transact(move |tx| {
                async move {
                    let connection = tx.rows().await?;
                    sqlx::raw_sql(sql).execute(&mut *connection).await?;
                    let read =
                        "SELECT current_setting('work_mem') || current_setting('enable_seqscan')";
                    Ok(sqlx::query_scalar(read).fetch_one(connection).await?)
                }
                .boxed()
            })
            .await;
        match read.unwrap() {
            Transacted::Committed(setting) => setting,
            Transacted::Duplicate(_) => unreachable!("nothing was appended"),
        }
    };
    let before = setting("SELECT 1").await;
    assert_eq!(setting("SET work_mem = '77MB'; SET enable_seqscan = on").await, "77MBon");
    assert_eq!(setting("SELECT 1").await, before);
}
