use async_trait::async_trait;
use downlink::live::{self, LiveError, LiveQuery, Params, Rows, Scope};
use downlink::{BoxError, Event, Filter, Projection, Result};
use downlink_sqlx::{SqlxStore, Tx};
use futures::FutureExt;

use super::decoded_event::DecodedEvent;
use super::model::{Model, PARAMETERS, Value};
use super::{QueryResult, RowFilter};

/// A read model through sqlx.
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
            let Some(decoded) = DecodedEvent::decode(event)? else { continue };
            for write in (self.0.writes)(&decoded) {
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

/// The same rows as a live query.
#[async_trait]
impl LiveQuery for ThroughSqlx {
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
        let query = sqlx::query_scalar(self.0.query);
        let query = query.bind(params.get("airport")).bind(params.get("airline"));
        let json: String = query.fetch_one(&mut **model).await?;
        Model::live_rows(&json)
    }

    fn affected_by(&self, _: &Scope, params: &Params) -> Result<Filter> {
        self.0.live_filter(params)
    }
}

/// Reads the selected rows of a model, and their cursor.
pub(crate) async fn query(
    store: &SqlxStore,
    model: &'static Model,
    filter: RowFilter,
) -> Result<QueryResult> {
    let (rows, cursor) = store
        .query(model.name, move |mut tx| {
            async move {
                model.check(tx.version())?;
                let query = sqlx::query_scalar(model.query);
                Ok(query.bind(filter.airport).bind(filter.airline).fetch_one(&mut *tx).await?)
            }
            .boxed()
        })
        .await?;
    QueryResult::new(rows, cursor)
}
