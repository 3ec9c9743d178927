use std::collections::HashSet;
use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use super::canonical;
use super::token::RowsHash;
use crate::error::{BoxError, Error, ErrorKind, Result};
use crate::limits::{MAX_LIVE_BYTES, MAX_LIVE_ROWS};

/// The rows of an answer, in order: JSON objects.
///
/// # Examples
///
/// ```
/// use downlink::live::Rows;
/// use serde_json::json;
///
/// let mut rows = Rows::new();
/// rows.push(&json!({"flight": "UA1545", "gate": "C71"}))?;
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Rows {
    objects: Vec<Map<String, Value>>,
    json: String,
    ends: Vec<usize>,
}

impl Rows {
    /// No rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All these rows.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn collect<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Result<Self> {
        let mut all = Self::new();
        rows.into_iter().try_for_each(|row| all.push(&row))?;
        Ok(all)
    }

    /// Adds a row at the end.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](ErrorKind::TooLarge) for more than
    /// [5,000 rows](crate::limits::MAX_LIVE_ROWS) or [2 MiB](crate::limits::MAX_LIVE_BYTES);
    /// [`Invalid`](ErrorKind::Invalid) if it is not an object.
    pub fn push(&mut self, row: &impl Serialize) -> Result<()> {
        let value = serde_json::to_value(row).map_err(|error| {
            let message = format!("a row of a live query cannot be written as JSON: {error}");
            Error::with_source(ErrorKind::Invalid, message, error)
        })?;
        let Value::Object(object) = value else {
            return Err(Error::invalid("a row of a live query is not an object"));
        };
        if !self.json.is_empty() {
            self.json.push(',');
        }
        let value = Value::Object(object);
        canonical::write(&mut self.json, &value);
        self.ends.push(self.json.len());
        if let Value::Object(object) = value {
            self.objects.push(object);
        }
        self.check_size()
    }

    fn check_size(&self) -> Result<()> {
        let too_large = |limit, unit| {
            let message = format!(
                "the answer has more than {limit} {unit}: ask for less, by a parameter of the query"
            );
            Err(Error::new(ErrorKind::TooLarge, message))
        };
        if self.ends.len() > MAX_LIVE_ROWS {
            return too_large(MAX_LIVE_ROWS, "rows");
        }
        if self.json.len() > MAX_LIVE_BYTES {
            return too_large(MAX_LIVE_BYTES, "bytes");
        }
        Ok(())
    }

    /// Finds the key of each row, and hashes them all. Runs where the query does, because it
    /// takes time.
    pub(super) fn keyed(self, member: &str) -> Result<AnswerRows, BoxError> {
        let hash = RowsHash::of(&self.json);
        let json = Bytes::from(self.json);
        let mut rows = Vec::with_capacity(self.objects.len());
        let mut start = 0;
        for (object, end) in self.objects.iter().zip(self.ends) {
            let key = object.get(member).ok_or_else(|| {
                format!("a row has no member '{member}', which is the key of the live query")
            })?;
            let mut text = String::new();
            canonical::write(&mut text, key);
            rows.push(AnswerRow { key: text.into(), json: json.slice(start..end) });
            start = end + 1;
        }
        let mut keys = HashSet::with_capacity(rows.len());
        if let Some(twice) = rows.iter().find(|row| !keys.insert(&row.key)) {
            let key = String::from_utf8_lossy(&twice.key);
            return Err(format!("two rows have the same key, '{member}' {key}").into());
        }
        Ok(AnswerRows { hash, json, rows })
    }
}

/// A row of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerRow {
    /// The value of the key, as JSON.
    pub key: Bytes,
    /// The row, as JSON.
    pub json: Bytes,
}

/// The rows of an answer, with their keys and their hash.
pub(super) struct AnswerRows {
    pub(super) hash: RowsHash,
    json: Bytes,
    pub(super) rows: Vec<AnswerRow>,
}

impl AnswerRows {
    /// The rows as JSON, separated by commas.
    pub(super) fn json(&self) -> &Bytes {
        &self.json
    }
}

impl fmt::Debug for AnswerRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerRows")
            .field("hash", &self.hash)
            .field("rows", &self.rows.len())
            .finish_non_exhaustive()
    }
}
