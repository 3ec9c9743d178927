use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use downlink::live::{RowsHash, Token};
use downlink::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::object::{self, Text};

/// A frame of a live query, as a client receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveMessage {
    /// The query was accepted.
    Ready {
        /// The member of the rows that is their key.
        key: String,
        /// The interval of the server's heartbeats; `None` if it sends none.
        heartbeat: Option<Duration>,
    },
    /// The whole answer.
    Result {
        /// What the client holds with these rows.
        token: Token,
        /// The rows as JSON, in order.
        rows: Vec<Bytes>,
        /// The member that is their key, if the frame comes without `ready`.
        key: Option<String>,
    },
    /// A change of the rows with the hash `base`.
    Rows {
        /// What the client holds after the change.
        token: Token,
        /// The hash of the rows that are changed.
        base: RowsHash,
        /// Rows that are replaced, or added at the end.
        put: Vec<Bytes>,
        /// The keys of rows that are deleted, before any is put.
        del: Vec<Bytes>,
        /// All keys in order, if it is another one.
        order: Option<Vec<Bytes>>,
    },
    /// The rows are the same, as of a later cursor.
    Checkpoint {
        /// What the client holds now.
        token: Token,
    },
}

/// Reads a frame of a live query; `None` if it is another one, such as `bye`.
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if it is not a frame.
pub fn parse_live(json: &[u8]) -> Result<Option<LiveMessage>> {
    parse(json).map_err(|error| {
        let message = format!("a frame of a live query cannot be read: {error}");
        Error::with_source(ErrorKind::Corrupt, message, error)
    })
}

fn parse(json: &[u8]) -> serde_json::Result<Option<LiveMessage>> {
    let Name { frame } = object::from_slice(json)?;
    Ok(Some(match &*frame {
        "ready" => {
            let Ready { key, heartbeat_ms } = object::from_slice(json)?;
            LiveMessage::Ready { key, heartbeat: heartbeat_ms.map(Duration::from_millis) }
        }
        "result" => {
            let Answer { token, rows, key } = object::from_slice(json)?;
            LiveMessage::Result { token: token.0, rows: copies(&rows), key }
        }
        "rows" => {
            let Change { token, base, put, del, order } = object::from_slice(json)?;
            let (put, del, order) = (copies(&put), copies(&del), order.map(|keys| copies(&keys)));
            LiveMessage::Rows { token: token.0, base: base.0, put, del, order }
        }
        "checkpoint" => {
            let Checkpoint { token } = object::from_slice(json)?;
            LiveMessage::Checkpoint { token: token.0 }
        }
        _ => return Ok(None),
    }))
}

/// Copies each row, so that one does not keep a whole answer in memory.
fn copies(rows: &[&RawValue]) -> Vec<Bytes> {
    rows.iter().map(|row| Bytes::copy_from_slice(row.get().as_bytes())).collect()
}

#[derive(Deserialize)]
struct Name<'a> {
    #[serde(borrow)]
    frame: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Ready {
    key: String,
    heartbeat_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    token: Text<Token>,
    #[serde(borrow)]
    rows: Vec<&'a RawValue>,
    key: Option<String>,
}

#[derive(Deserialize)]
struct Change<'a> {
    token: Text<Token>,
    base: Text<RowsHash>,
    #[serde(borrow)]
    put: Vec<&'a RawValue>,
    #[serde(borrow)]
    del: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    order: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct Checkpoint {
    token: Text<Token>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "000000000001a2f0-9c41d07e~4f53cda18c2baa0c";

    #[test]
    fn frames_are_read() {
        let token: Token = TOKEN.parse().unwrap();
        let read = |text: &str| parse_live(text.replace('T', TOKEN).as_bytes()).unwrap();
        let ready = read(r#"{"frame":"ready","key":"flight","heartbeat_ms":15000}"#);
        let heartbeat = Some(Duration::from_secs(15));
        assert_eq!(ready, Some(LiveMessage::Ready { key: "flight".into(), heartbeat }));
        let result = read(r#"{"frame":"result","token":"T","cursor":"x","rows":[{"a":1}]}"#);
        let rows = vec![r#"{"a":1}"#.into()];
        assert_eq!(result, Some(LiveMessage::Result { token, rows, key: None }));
        let change = read(
            r#"{"frame":"rows","token":"T","base":"4f53cda18c2baa0c","put":[],"del":["x"],"order":[1]}"#,
        );
        let (del, order) = (vec![r#""x""#.into()], Some(vec!["1".into()]));
        let base = token.hash;
        assert_eq!(change, Some(LiveMessage::Rows { token, base, put: vec![], del, order }));
        let same = read(r#"{"frame":"checkpoint","token":"T"}"#);
        assert_eq!(same, Some(LiveMessage::Checkpoint { token }));
        assert_eq!(read(r#"{"frame":"bye"}"#), None);
    }

    #[test]
    fn anything_else_is_corrupt() {
        for bad in ["", "[]", r#"{"frame":"result","token":"x","rows":[]}"#, r#"{"frame":"ready"}"#]
        {
            let error = parse_live(bad.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{bad}");
        }
    }
}
