use async_trait::async_trait;
use downlink::{BoxError, Event, Filter, Projection, Result};
use downlink_rusqlite::{RusqliteStore, Tx};
use rusqlite::params_from_iter;
use rusqlite::types::Value as SqlValue;

use super::decoded_event::DecodedEvent;
use super::model::{Model, Value};
use super::{QueryResult, RowFilter};

/// A read model through rusqlite.
#[derive(Debug)]
pub(crate) struct ThroughRusqlite(pub(crate) &'static Model);

#[async_trait]
impl Projection for ThroughRusqlite {
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
            tx.execute(statement, [])?;
        }
        Ok(())
    }

    async fn apply(&self, events: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
        for event in events {
            let Some(decoded) = DecodedEvent::decode(event)? else { continue };
            for write in (self.0.writes)(&decoded) {
                let values = params_from_iter(write.values.into_iter().map(SqlValue::from));
                tx.prepare_cached(write.sql)?.execute(values)?;
            }
        }
        Ok(())
    }
}

impl From<Value> for SqlValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text),
            Value::Number(number) => Self::Integer(number),
            Value::Nothing => Self::Null,
        }
    }
}

/// Reads the selected rows of a model, and their cursor.
pub(crate) async fn query(
    store: &RusqliteStore,
    model: &'static Model,
    filter: RowFilter,
) -> Result<QueryResult> {
    let (rows, cursor) = store
        .query(model.name, move |tx| {
            model.check(tx.version())?;
            let mut query = tx.prepare_cached(model.query)?;
            Ok(query.query_row((filter.airport, filter.airline), |row| row.get(0))?)
        })
        .await?;
    QueryResult::new(rows, cursor)
}
