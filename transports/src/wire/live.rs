use std::time::Duration;

use bytes::Bytes;
use downlink::live::{Answer, Change, Token};

use super::envelope::{put, put_text};

#[cfg(feature = "client")]
mod parse;

#[cfg(feature = "client")]
pub use parse::{LiveMessage, parse_live};

/// The length of a token in bytes.
const TOKEN_LEN: usize = downlink::Cursor::TEXT_LEN + 1 + 16;

/// A frame of a live query that changes what a client holds. Rendered once for all
/// subscribers and transports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveFrame {
    name: &'static str,
    block: Bytes,
}

impl LiveFrame {
    /// The frame `result`: the whole answer.
    #[must_use]
    pub fn result(answer: &Answer) -> Self {
        let block = answer.rendered(|answer| {
            let mut out = String::with_capacity(answer.rows_json().len() + 384);
            begin(&mut out, "result", answer.token());
            put(&mut out, format_args!(",\"head\":\"{}\",\"rows\":[", answer.head()));
            out.push_str(&String::from_utf8_lossy(answer.rows_json()));
            out.push(']');
            end(out)
        });
        Self { name: "result", block }
    }

    /// The frame `rows`: a change of what the client holds.
    #[must_use]
    pub fn rows(change: &Change) -> Self {
        let block = change.rendered(|change| {
            let mut out = String::with_capacity(1_024);
            begin(&mut out, "rows", change.token());
            put(&mut out, format_args!(",\"base\":\"{}\"", change.base()));
            put_list(&mut out, "put", change.put().iter().map(|row| &row.json));
            put_list(&mut out, "del", change.del());
            if let Some(order) = change.order() {
                put_list(&mut out, "order", order);
            }
            end(out)
        });
        Self { name: "rows", block }
    }

    /// The frame `checkpoint`: the rows are the same.
    #[must_use]
    pub fn checkpoint(answer: &Answer) -> Self {
        let block = answer.rendered_checkpoint(|answer| {
            let mut out = String::with_capacity(256);
            begin(&mut out, "checkpoint", answer.token());
            end(out)
        });
        Self { name: "checkpoint", block }
    }

    /// The frame as one block of an SSE stream, whose `id` is the token.
    #[must_use]
    pub fn block(&self) -> Bytes {
        self.block.clone()
    }

    /// The frame as JSON, in two parts: its beginning with this member, such as `sub`, and a
    /// slice of what all share.
    #[must_use]
    pub fn json_with(&self, member: &str, value: &str) -> [Bytes; 2] {
        let mut head = format!("{{\"frame\":\"{}\",\"{member}\":", self.name);
        put_text(&mut head, value);
        // `id: `, the token, `event: feed.NAME`, and the data up to the members.
        let before = "id: \nevent: feed.\ndata: {\"frame\":\"\"".len() + TOKEN_LEN;
        let members = before + 2 * self.name.len();
        [head.into(), self.block.slice(members..self.block.len() - 2)]
    }
}

fn begin(out: &mut String, name: &str, token: Token) {
    put(
        out,
        format_args!(
            "id: {token}\nevent: feed.{name}\ndata: {{\"frame\":\"{name}\",\"token\":\"{token}\",\
             \"cursor\":\"{}\"",
            token.cursor
        ),
    );
}

fn end(mut out: String) -> Bytes {
    out.push_str("}\n\n");
    out.into()
}

fn put_list<'a>(out: &mut String, name: &str, items: impl IntoIterator<Item = &'a Bytes>) {
    put(out, format_args!(",\"{name}\":["));
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&String::from_utf8_lossy(item));
    }
    out.push(']');
}

/// Renders the frame `ready` of a live query, the first of a stream: the member of the rows
/// that is their key, and the interval of heartbeats.
#[must_use]
pub fn live_ready_json(sub: Option<&str>, key: &str, heartbeat: Duration) -> String {
    let mut out = String::with_capacity(96);
    out.push_str("{\"frame\":\"ready\"");
    if let Some(sub) = sub {
        out.push_str(",\"sub\":");
        put_text(&mut out, sub);
    }
    out.push_str(",\"key\":");
    put_text(&mut out, key);
    put(&mut out, format_args!(",\"heartbeat_ms\":{}}}", heartbeat.as_millis()));
    out
}

/// Renders the frame `ready` as one block of an SSE stream. It has no `id`: the client holds
/// nothing yet.
#[must_use]
pub fn live_ready_block(key: &str, heartbeat: Duration, retry: Duration) -> Bytes {
    let data = live_ready_json(None, key, heartbeat);
    format!("retry: {}\nevent: feed.ready\ndata: {data}\n\n", retry.as_millis()).into()
}
