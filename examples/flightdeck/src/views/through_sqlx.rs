use std::path::Path;

use async_trait::async_trait;
use downlink::{BoxError, Event, Filter, Projection};
use downlink_sqlx::Tx;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::happened::Happened;
use super::model::{Model, Value};
use super::{Answer, Wanted};

/// A model that sqlx writes and reads.
#[derive(Debug)]
pub(crate) struct ThroughSqlx(pub(crate) &'static Model);

#[async_trait]
impl Projection for ThroughSqlx {
    type Tx = Tx;

    fn name(&self) -> &str {
        self.0.name
    }

    fn version(&self) -> u32 {
        self.0.version
    }

    fn filter(&self) -> Filter {
        Model::filter()
    }

    async fn prepare(&self, tx: &mut Tx) -> Result<(), BoxError> {
        for statement in self.0.prepare {
            sqlx::query(*statement).execute(&mut *tx).await?;
        }
        Ok(())
    }

    async fn apply(&self, events: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
        for event in events {
            let Some(happened) = Happened::read(event)? else { continue };
            for write in (self.0.writes)(&happened) {
                let query = write.values.into_iter().fold(
                    sqlx::query(write.sql),
                    |query, value| match value {
                        Value::Text(text) => query.bind(text),
                        Value::Number(number) => query.bind(number),
                        Value::Nothing => query.bind(None::<String>),
                    },
                );
                query.execute(&mut *tx).await?;
            }
        }
        Ok(())
    }
}

/// Asks the file that is at `path` now, which may have been replaced.
pub(crate) async fn ask(
    path: &Path,
    model: &Model,
    wanted: &Wanted,
) -> Result<Option<Answer>, BoxError> {
    let options = SqliteConnectOptions::new().filename(path).pragma("query_only", "true");
    let mut connection: SqliteConnection = options.disable_statement_logging().connect().await?;
    let row: Option<(String, String)> = sqlx::query_as(model.query)
        .bind(&wanted.airport)
        .bind(&wanted.airline)
        .fetch_optional(&mut connection)
        .await?;
    connection.close().await?;
    row.map(|(cursor, rows)| Answer::new(&cursor, rows)).transpose()
}
