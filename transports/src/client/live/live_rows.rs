use std::collections::HashMap;

use bytes::Bytes;
use downlink::live::{RowsHash, Token};
use downlink::{Cursor, Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::wire::{LiveMessage, Object};

/// The rows that a client holds of a live query, and what they are the answer of.
///
/// [`Client::live`](crate::client::Client::live) keeps one; a program with its own connection
/// [applies](Self::apply) the frames itself.
#[derive(Clone, Debug, Default)]
pub struct LiveRows {
    key: String,
    token: Option<Token>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    key: Bytes,
    json: Bytes,
}

impl LiveRows {
    /// No rows yet, of a query whose key is known from the first frame.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where to resume; `None` before the first answer.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        self.token
    }

    /// The cursor as of which the rows are the answer; `None` before the first answer.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.token.map(|token| token.cursor)
    }

    /// The member of the rows that is their key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows as JSON, in order.
    pub fn json(&self) -> impl Iterator<Item = &Bytes> {
        self.rows.iter().map(|row| &row.json)
    }

    /// The rows, in order.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if a row is not of this type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        let rows = self.rows.iter().map(|row| serde_json::from_slice(&row.json));
        rows.collect::<serde_json::Result<_>>().map_err(|error| {
            let message = format!("a row of a live query is of another type: {error}");
            Error::with_source(ErrorKind::Invalid, message, error)
        })
    }

    /// Forgets the rows, after a reset.
    pub fn clear(&mut self) {
        (self.token, self.rows) = (None, Vec::new());
    }

    /// Applies a frame. Returns whether the rows have changed.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if the frame does not belong to these rows, or if the
    /// rows do not have the hash of its token: [clear](Self::clear) them, and begin again.
    pub fn apply(&mut self, message: LiveMessage) -> Result<bool> {
        match message {
            LiveMessage::Ready { key, .. } => {
                self.key = key;
                Ok(false)
            }
            LiveMessage::Result { token, rows, key } => {
                self.key = key.unwrap_or_else(|| std::mem::take(&mut self.key));
                self.rows = rows.into_iter().map(|row| self.row(row)).collect::<Result<_>>()?;
                self.hold(token)?;
                Ok(true)
            }
            LiveMessage::Rows { token, base, put, del, order } => {
                if self.token.is_none_or(|held| held.hash != base) {
                    return Err(corrupt("a change is of rows that the client does not hold"));
                }
                self.change(put, &del, order)?;
                self.hold(token)?;
                Ok(true)
            }
            LiveMessage::Checkpoint { token } => {
                self.hold(token)?;
                Ok(false)
            }
        }
    }

    fn change(&mut self, put: Vec<Bytes>, del: &[Bytes], order: Option<Vec<Bytes>>) -> Result<()> {
        self.rows.retain(|row| !del.contains(&row.key));
        let mut places: HashMap<_, _> =
            self.rows.iter().enumerate().map(|(place, row)| (row.key.clone(), place)).collect();
        for json in put {
            let row = self.row(json)?;
            if let Some(&place) = places.get(&row.key) {
                self.rows[place] = row;
            } else {
                places.insert(row.key.clone(), self.rows.len());
                self.rows.push(row);
            }
        }
        let Some(order) = order else { return Ok(()) };
        let in_order = order.iter().map(|key| places.get(key).map(|&at| self.rows[at].clone()));
        let in_order: Option<Vec<_>> = in_order.collect();
        let in_order = in_order.filter(|rows| rows.len() == self.rows.len());
        self.rows = in_order.ok_or_else(|| corrupt("an order does not name all rows"))?;
        Ok(())
    }

    fn row(&self, json: Bytes) -> Result<Row> {
        let Object(members): Object<HashMap<String, &RawValue>> = serde_json::from_slice(&json)
            .map_err(|error| {
                let message = format!("a row of a live query is not an object: {error}");
                Error::with_source(ErrorKind::Corrupt, message, error)
            })?;
        let key = members.get(&self.key).ok_or_else(|| corrupt("a row has no key"))?;
        let key = Bytes::copy_from_slice(key.get().as_bytes());
        Ok(Row { key, json })
    }

    /// Takes a token over if it is that of the rows.
    fn hold(&mut self, token: Token) -> Result<()> {
        if RowsHash::of_rows(self.json()) != token.hash {
            return Err(corrupt("the rows do not have the hash of the token"));
        }
        self.token = Some(token);
        Ok(())
    }
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("a frame of a live query cannot be applied: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(rows: &[&str]) -> Token {
        let rows: Vec<_> = rows.iter().map(|row| Bytes::copy_from_slice(row.as_bytes())).collect();
        Token { cursor: Cursor::START, hash: RowsHash::of_rows(&rows) }
    }

    fn bytes(texts: &[&str]) -> Vec<Bytes> {
        texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect()
    }

    const A: &str = r#"{"k":"a","n":1}"#;
    const B: &str = r#"{"k":"b","n":2}"#;
    const C: &str = r#"{"k":"c","n":3}"#;
    const B2: &str = r#"{"k":"b","n":9}"#;

    fn held() -> LiveRows {
        let mut rows = LiveRows::new();
        rows.apply(LiveMessage::Ready { key: "k".into(), heartbeat: None }).unwrap();
        let result = LiveMessage::Result { token: token(&[A, B]), rows: bytes(&[A, B]), key: None };
        assert!(rows.apply(result).unwrap());
        rows
    }

    fn change(to: &[&str], put: &[&str], del: &[&str], order: Option<&[&str]>) -> LiveMessage {
        let base = token(&[A, B]).hash;
        let (put, del, order) = (bytes(put), bytes(del), order.map(bytes));
        LiveMessage::Rows { token: token(to), base, put, del, order }
    }

    #[test]
    fn changes_are_applied_in_their_order() {
        for message in [
            change(&[A, B2, C], &[B2, C], &[], None),
            change(&[B, C], &[C], &[r#""a""#], None),
            change(&[C, B, A], &[C], &[], Some(&[r#""c""#, r#""b""#, r#""a""#])),
        ] {
            let LiveMessage::Rows { token, .. } = message else { unreachable!() };
            let mut rows = held();
            rows.apply(message).unwrap();
            assert_eq!(rows.token(), Some(token));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let wrong_order = change(&[C, B, A], &[C], &[], None);
        let half_order = change(&[B, A], &[], &[], Some(&[r#""b""#]));
        let mut wrong_base = change(&[A, B2], &[B2], &[], None);
        if let LiveMessage::Rows { base, .. } = &mut wrong_base {
            *base = token(&[A]).hash;
        }
        let checkpoint = LiveMessage::Checkpoint { token: token(&[A]) };
        for message in [wrong_order, half_order, wrong_base, checkpoint] {
            assert_eq!(held().apply(message).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}
