//! A read model of this driver: how many events each stream has.

use async_trait::async_trait;
use downlink::{BoxError, Cursor, Event, Filter, Projection, Result};
use downlink_sqlx::{SqlxStore as Store, Tx};
use futures::FutureExt;
use sqlx::AssertSqlSafe;

/// Writes the table `tally_1`, or that of another version.
#[derive(Debug)]
pub(crate) struct Tally(pub(crate) u32);

#[async_trait]
impl Projection for Tally {
    type Tx = Tx;

    fn name(&self) -> &'static str {
        "tally"
    }

    fn version(&self) -> u32 {
        self.0
    }

    fn filter(&self) -> Filter {
        Filter::everything()
    }

    async fn prepare(&self, tx: &mut Tx) -> Result<(), BoxError> {
        let table = format!("tally_{}", self.0);
        let script = format!(
            "DROP TABLE IF EXISTS {table}; \
             CREATE TABLE {table} (stream TEXT PRIMARY KEY, events INTEGER NOT NULL)"
        );
        sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut *tx).await?;
        Ok(())
    }

    async fn apply(&self, events: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
        let add = format!(
            "INSERT INTO tally_{} VALUES (?1, 1) ON CONFLICT DO UPDATE SET events = events + 1",
            self.0
        );
        for event in events {
            let add = sqlx::query(AssertSqlSafe(add.clone()));
            add.bind(event.stream().as_str()).execute(&mut *tx).await?;
        }
        Ok(())
    }
}

/// Runs some statements on the live version and then one that returns a text.
/// Returns the version and the text.
pub(crate) async fn ask(
    store: &Store,
    first: &'static [&'static str],
    last: fn(u32) -> String,
) -> Result<((u32, String), Cursor)> {
    let answer = store.query("tally", move |mut tx| {
        async move {
            for statement in first {
                // Careless code: errors are ignored.
                let _ = sqlx::raw_sql(*statement).execute(&mut *tx).await;
            }
            let last = AssertSqlSafe(last(tx.version()));
            Ok((tx.version(), sqlx::query_scalar(last).fetch_one(&mut *tx).await?))
        }
        .boxed()
    });
    answer.await
}

/// Runs one statement on the live version.
pub(crate) async fn run(store: &Store, projection: &str, sql: &'static str) -> Result<Cursor> {
    let answer = store.query(projection, move |mut tx| {
        async move { Ok(sqlx::raw_sql(sql).execute(&mut *tx).await.map(drop)?) }.boxed()
    });
    Ok(answer.await?.1)
}

/// A query whose code panics.
pub(crate) async fn panic_in_query(store: &Store) -> Result<((), Cursor)> {
    store.query("tally", |_| panic!("no such gate")).await
}
