use async_trait::async_trait;
use downlink::live::{self, LiveError, LiveQuery, Params, Rows, Scope};
use downlink::{BoxError, Error, ErrorKind, Event, Filter, FilterItem, Projection, Result};
use downlink_any::{Row, Tx, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::decoded_event::DecodedEvent;
use super::{BOARD, PUNCTUALITY, ROUTES};

/// A read model in SQL, and the live query of its rows. A changed model gets a new version, and tables with the
/// version in their names.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    /// Statements that drop existing tables and create empty ones.
    pub(super) prepare: &'static [&'static str],
    /// The statements for an event.
    pub(super) writes: fn(&DecodedEvent<'_>) -> Vec<Write>,
    /// The rows. `?1` and `?2` are an airport and an airline, or NULL for all.
    pub(super) query: &'static str,
    /// The rows as the page gets them.
    pub(super) rows: fn(Vec<Row>) -> Result<Rows>,
    /// The member of the rows that is their key.
    pub(super) key: &'static str,
    /// The types of events that can change the rows; all if empty.
    pub(super) affected_by: &'static [&'static str],
    /// Those of them that can change rows of other airports and airlines, too.
    pub(super) affected_everywhere_by: &'static [&'static str],
}

/// A statement and its parameters.
pub(super) type Write = (&'static str, Vec<Value>);

/// The parameters of the live queries.
const PARAMETERS: [&str; 2] = ["airport", "airline"];

impl Model {
    pub(crate) const ALL: [&'static Self; 3] = [&BOARD, &PUNCTUALITY, &ROUTES];
}

// ANCHOR: projection
#[async_trait]
impl Projection for &'static Model {
    type Tx = Tx;

    fn name(&self) -> &str {
        self.name
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn filter(&self) -> Filter {
        FilterItem::new().with_stream_prefix("flight-").expect("a valid prefix").into()
    }

    async fn prepare(&self, tx: &mut Tx) -> Result<(), BoxError> {
        for statement in self.prepare {
            tx.execute(statement, Vec::new()).await?;
        }
        Ok(())
    }

    async fn apply(&self, events: &[Event], tx: &mut Tx) -> Result<(), BoxError> {
        for event in events {
            let Some(decoded) = DecodedEvent::decode(event)? else { continue };
            for (statement, values) in (self.writes)(&decoded) {
                tx.execute(statement, values).await?;
            }
        }
        Ok(())
    }
}
// ANCHOR_END: projection

// ANCHOR: live
#[async_trait]
impl LiveQuery for &'static Model {
    type Tx = Tx;
    type Principal = ();

    fn name(&self) -> &str {
        self.name
    }

    fn projection(&self) -> &str {
        self.name
    }

    fn key(&self) -> &str {
        self.key
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
        check(self, model.version())?;
        let selected = PARAMETERS.map(|name| params.get(name).into());
        Ok((self.rows)(model.fetch(self.query, selected.into()).await?)?)
    }

    fn affected_by(&self, _: &Scope, params: &Params) -> Result<Filter> {
        let of_flights = FilterItem::new().with_stream_prefix("flight-")?;
        let with_types = |types: &[&str]| {
            types.iter().try_fold(of_flights.clone(), |item, &name| item.with_type(name))
        };
        let mut selected = with_types(self.affected_by)?;
        for name in PARAMETERS {
            if let Some(value) = params.get(name) {
                selected = selected.with_tag(format!("{name}:{value}"))?;
            }
        }
        if self.affected_everywhere_by.is_empty() {
            return Ok(selected.into());
        }
        Filter::any_of([selected, with_types(self.affected_everywhere_by)?])
    }
}
// ANCHOR_END: live

/// Fails if another version of this model is live.
fn check(Model { name, version, .. }: &Model, live: u32) -> Result<()> {
    if live == *version {
        return Ok(());
    }
    let message = format!(
        "the read model '{name}' has version {live}, but this program needs version {version}: \
         use the matching release"
    );
    Err(Error::new(ErrorKind::Unavailable, message))
}

/// The rows of a query as rows of this type.
pub(super) fn rows_as<T: DeserializeOwned + Serialize>(rows: Vec<Row>) -> Result<Rows> {
    let mut all = Rows::new();
    rows.into_iter().try_for_each(|row| all.push(&row.decode::<T>()?))?;
    Ok(all)
}
