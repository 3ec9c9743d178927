use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use downlink::{Cursor, Error, ErrorKind, Result};

/// Selects rows of a model; all if empty.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowFilter {
    pub(crate) airport: Option<String>,
    pub(crate) airline: Option<String>,
}

/// Rows of a model, and the cursor of the last event in them.
#[derive(Debug, Serialize)]
pub(crate) struct QueryResult {
    #[serde(serialize_with = "as_text")]
    pub(crate) cursor: Cursor,
    pub(crate) rows: Box<RawValue>,
}

impl QueryResult {
    pub(super) fn new(rows: String, cursor: Cursor) -> Result<Self> {
        let corrupt = |error| {
            Error::with_source(ErrorKind::Corrupt, "the read model returned invalid JSON", error)
        };
        Ok(Self { cursor, rows: RawValue::from_string(rows).map_err(corrupt)? })
    }
}

fn as_text<S: serde::Serializer>(cursor: &Cursor, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(cursor)
}
