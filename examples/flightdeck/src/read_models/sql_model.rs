use std::marker::PhantomData;

use async_trait::async_trait;
use downlink::live::{self, LiveError, LiveQuery, Params, Rows, Scope};
use downlink::{BoxError, Event, Filter, Projection, Result};

use super::decoded_event::DecodedEvent;
use super::model::{Model, PARAMETERS};
use super::sql_tx::SqlTx;

/// A read model in the transactions of a driver.
#[derive(Debug)]
pub(super) struct SqlModel<Tx>(&'static Model, PhantomData<fn(Tx)>);

impl<Tx> SqlModel<Tx> {
    pub(super) fn new(model: &'static Model) -> Self {
        Self(model, PhantomData)
    }
}

#[async_trait]
impl<Tx: SqlTx> Projection for SqlModel<Tx> {
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
            tx.execute(statement, Vec::new()).await?;
        }
        Ok(())
    }

    async fn apply(&self, events: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
        for event in events {
            let Some(decoded) = DecodedEvent::decode(event)? else { continue };
            for write in (self.0.writes)(&decoded) {
                tx.execute(write.sql, write.values).await?;
            }
        }
        Ok(())
    }
}

// ANCHOR: live
/// The same rows as a live query.
#[async_trait]
impl<Tx: SqlTx> LiveQuery for SqlModel<Tx> {
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
        let (airport, airline) = (params.get("airport"), params.get("airline"));
        Model::live_rows(&model.json(self.0.query, airport, airline).await?)
    }

    fn affected_by(&self, _: &Scope, params: &Params) -> Result<Filter> {
        self.0.live_filter(params)
    }
}
// ANCHOR_END: live
