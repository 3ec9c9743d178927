use std::sync::Arc;

use downlink::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;

use crate::value::Value;

/// A row of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The names of the columns, which the rows of a query share.
    pub(crate) columns: Arc<[String]>,
    pub(crate) values: Vec<Value>,
}

impl Row {
    /// The values, in the order of the columns.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The row as a struct whose members have the names of the columns. `NULL` becomes `None`; an integer that
    /// is 0 or 1 may become a boolean, and text the variant of an enum.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if a column is missing or has another type.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T> {
        let members = self.columns.iter().map(String::as_str).zip(self.values);
        T::deserialize(MapDeserializer::new(members)).map_err(|error| {
            let message =
                format!("a row with the columns {:?} cannot be decoded: {error}", self.columns);
            Error::with_source(ErrorKind::Invalid, message, error)
        })
    }
}
