use downlink::{Error, ErrorKind, Filter, FilterItem, Result};

use super::decoded_event::DecodedEvent;

/// A read model in SQL. A new form gets the next version, and tables with it
/// in their names.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    /// Statements that drop what an earlier run has left and make empty tables.
    pub(super) prepare: &'static [&'static str],
    /// What an event changes.
    pub(super) writes: fn(&DecodedEvent<'_>) -> Vec<Write>,
    /// A query with one row: the rows of the model as a JSON array.
    /// `?1` and `?2` are an airport and an airline, or NULL for all.
    pub(crate) query: &'static str,
}

/// A statement and its parameters.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value>,
}

/// What a parameter can be.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Nothing,
}

impl Model {
    /// The events of flights.
    pub(super) fn filter() -> Filter {
        FilterItem::new().with_stream_prefix("flight-").expect("a prefix that is a name").into()
    }

    /// Refuses to read this model while another version of it is the live one.
    pub(super) fn check(&self, live: u32) -> Result<()> {
        if live == self.version {
            return Ok(());
        }
        let Self { name, version, .. } = self;
        let message = format!(
            "the read model '{name}' has version {live} and this program reads {version}: \
             ask one of that release"
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
