//! A read model of this driver: how many events each stream has.

use async_trait::async_trait;
use downlink::{BoxError, Cursor, Event, Filter, Projection, Result};
use downlink_rusqlite::{RusqliteStore as Store, Tx};

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
        tx.execute_batch(&format!(
            "DROP TABLE IF EXISTS {table}; \
             CREATE TABLE {table} (stream TEXT PRIMARY KEY, events INTEGER NOT NULL)"
        ))?;
        Ok(())
    }

    async fn apply(&self, events: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
        let mut add = tx.prepare_cached(&format!(
            "INSERT INTO tally_{} VALUES (?1, 1) ON CONFLICT DO UPDATE SET events = events + 1",
            self.0
        ))?;
        for event in events {
            add.execute([event.stream().as_str()])?;
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
    let work = move |tx: &downlink_rusqlite::ReadTx<'_>| {
        for statement in first {
            // Careless code: errors are ignored.
            let _ = tx.execute_batch(statement);
        }
        Ok((tx.version(), tx.query_row(&last(tx.version()), (), |row| row.get(0))?))
    };
    store.query("tally", work).await
}

/// Runs one statement on the live version.
pub(crate) async fn run(store: &Store, projection: &str, sql: &'static str) -> Result<Cursor> {
    let answer = store.query(projection, move |tx| Ok(tx.execute_batch(sql)?)).await?;
    Ok(answer.1)
}

/// A query whose code panics.
pub(crate) async fn panic_in_query(store: &Store) -> Result<((), Cursor)> {
    store.query("tally", |_| panic!("no such gate")).await
}
