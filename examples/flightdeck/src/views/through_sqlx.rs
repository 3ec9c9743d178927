use async_trait::async_trait;
use downlink::{BoxError, Event, Filter, Projection, Result};
use downlink_sqlx::{SqlxStore, Tx};
use futures::FutureExt;

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

/// The rows of a model that are wanted, and up to which event they are made.
pub(crate) async fn ask(
    store: &SqlxStore,
    model: &'static Model,
    wanted: Wanted,
) -> Result<Answer> {
    let (rows, cursor) = store
        .query(model.name, move |mut tx| {
            async move {
                model.check(tx.version())?;
                let query = sqlx::query_scalar(model.query);
                Ok(query.bind(wanted.airport).bind(wanted.airline).fetch_one(&mut *tx).await?)
            }
            .boxed()
        })
        .await?;
    Answer::new(rows, cursor)
}
