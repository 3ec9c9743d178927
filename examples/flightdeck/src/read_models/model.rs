use downlink::live::{Params, Rows};
use downlink::{BoxError, Error, ErrorKind, Filter, FilterItem, Result};

use super::decoded_event::DecodedEvent;
use super::{BOARD, PUNCTUALITY, ROUTES};

/// The parameters of the live queries.
pub(super) const PARAMETERS: [&str; 2] = ["airport", "airline"];

/// A read model in SQL. A changed model gets a new version, and tables with the version
/// in their names.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    /// Statements that drop existing tables and create empty ones.
    pub(super) prepare: &'static [&'static str],
    /// The statements for an event.
    pub(super) writes: fn(&DecodedEvent<'_>) -> Vec<Write>,
    /// A query that returns the rows of the model as one JSON array. `?1` and `?2` are an
    /// airport and an airline, or NULL for all.
    pub(crate) query: &'static str,
    /// The member of the rows that is their key.
    pub(super) key: &'static str,
    /// The types of events that can change the rows; all if empty.
    pub(super) affected_by: &'static [&'static str],
    /// Those of them that can change rows of other airports and airlines, too.
    pub(super) affected_everywhere_by: &'static [&'static str],
}

/// A statement and its parameters.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value>,
}

/// The value of a parameter.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Nothing,
}

impl Model {
    pub(crate) const ALL: [&'static Self; 3] = [&BOARD, &PUNCTUALITY, &ROUTES];

    /// The events of flights.
    pub(super) fn filter() -> Filter {
        FilterItem::new().with_stream_prefix("flight-").expect("a valid prefix").into()
    }

    /// What can change the selected rows.
    pub(super) fn live_filter(&self, params: &Params) -> Result<Filter> {
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

    /// The rows of a result of the query.
    pub(super) fn live_rows(json: &str) -> Result<Rows, BoxError> {
        let rows: Vec<serde_json::Value> = serde_json::from_str(json)?;
        Ok(Rows::collect(rows)?)
    }

    /// Fails if another version of this model is live.
    pub(super) fn check(&self, live: u32) -> Result<()> {
        if live == self.version {
            return Ok(());
        }
        let Self { name, version, .. } = self;
        let message = format!(
            "the read model '{name}' has version {live}, but this program needs version {version}: \
             use the matching release"
        );
        Err(Error::new(ErrorKind::Unavailable, message))
    }
}

impl Write {
    pub(super) fn new<const N: usize>(sql: &'static str, values: [Value; N]) -> Self {
        Self { sql, values: values.into() }
    }
}

impl<T: ToString> From<&T> for Value {
    fn from(value: &T) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}
