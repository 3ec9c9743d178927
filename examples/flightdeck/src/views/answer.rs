use downlink::{BoxError, Cursor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What of a model somebody wants to see; all of it if nothing is said.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    pub(crate) airport: Option<String>,
    pub(crate) airline: Option<String>,
}

/// Rows of a model, and the cursor up to which events are in them.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    #[serde(serialize_with = "as_text")]
    pub(crate) cursor: Cursor,
    pub(crate) rows: Box<RawValue>,
}

impl Answer {
    pub(super) fn new(cursor: &str, rows: String) -> Result<Self, BoxError> {
        Ok(Self { cursor: cursor.parse()?, rows: RawValue::from_string(rows)? })
    }
}

fn as_text<S: serde::Serializer>(cursor: &Cursor, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(cursor)
}
