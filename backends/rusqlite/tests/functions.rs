//! Functions of an application that are used in its schema.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use downlink::BoxError;
use downlink_rusqlite::{OnConnect, Options};
use rusqlite::functions::FunctionFlags;
use support::{TempLog, stored};

#[tokio::test]
async fn an_index_of_the_application_can_use_its_own_function() {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let fold: OnConnect = Arc::new(move |connection| {
        connection.execute_batch("PRAGMA busy_timeout = 0")?;
        connection.create_scalar_function("fold", 1, flags, |context| {
            Ok(context.get::<String>(0)?.to_lowercase())
        })
    });
    let temp = TempLog::new();
    let own = temp.sql();
    fold(&own).unwrap();
    let tables = "CREATE TABLE gates (name TEXT); \
         CREATE UNIQUE INDEX folded ON gates (fold(name))";
    own.execute_batch(tables).unwrap();
    let options = Options::new().with_application_database().with_on_connect(fold);
    let store = options.open(&temp.path).await.unwrap();
    stored(&store, "flight-UA1545", 1).await;
    let take = |gate: &'static str| {
        store.transact(move |tx| {
            Ok::<_, BoxError>(tx.rows()?.execute("INSERT INTO gates VALUES (?1)", [gate])?)
        })
    };
    take("C71").await.unwrap();
    // After a change of the schema every connection reads it again.
    own.execute_batch("CREATE TABLE staff (name TEXT)").unwrap();
    take("c71").await.unwrap_err();
    take("B22").await.unwrap();
    assert!(store.verify().await.unwrap().is_sound());
    store.backup(temp.folder.path().join("copy.db")).await.unwrap();
}
