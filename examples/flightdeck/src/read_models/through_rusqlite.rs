use async_trait::async_trait;
use downlink::live::{self, LiveError, LiveQuery, Params, Rows, Scope};
use downlink::{BoxError, Event, Filter, Projection, Result};
use downlink_rusqlite::{RusqliteStore, Tx};
use rusqlite::params_from_iter;
use rusqlite::types::Value as SqlValue;

use super::decoded_event::DecodedEvent;
use super::model::{Model, PARAMETERS, Value};
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

// ANCHOR: live
/// The same rows as a live query.
#[async_trait]
impl LiveQuery for ThroughRusqlite {
    type Tx = Tx;
    type Principal = ();

    fn name(&self) -> &str {
        self.0.name
    }

    fn projection(&self) -> &str {
        self.0.name
    }

    fn key(&self) -> &str {
        self.0.key
    }

    fn parameters(&self) -> &[&str] {
        &PARAMETERS
    }

    fn scope(&self, _: Option<&()>, _: &Params) -> Result<Scope, LiveError> {
        Ok(Scope::everything())
    }

    async fn eval(
        &self,
        model: &mut live::Model<'_, Tx>,
        _: &Scope,
        params: &Params,
    ) -> Result<Rows, BoxError> {
        self.0.check(model.version())?;
        let mut query = model.prepare_cached(self.0.query)?;
        let selected = (params.get("airport"), params.get("airline"));
        let json: String = query.query_row(selected, |row| row.get(0))?;
        Model::live_rows(&json)
    }

    fn affected_by(&self, _: &Scope, params: &Params) -> Result<Filter> {
        self.0.live_filter(params)
    }
}
// ANCHOR_END: live

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
