use downlink::{Error, ErrorKind, Filter, FilterItem, Result};

use super::decoded_event::DecodedEvent;

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
    /// The events of flights.
    pub(super) fn filter() -> Filter {
        FilterItem::new().with_stream_prefix("flight-").expect("a valid prefix").into()
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
