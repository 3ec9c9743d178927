use std::time::Duration;

use bytes::Bytes;
use downlink::Cursor;

use super::Problem;
use super::envelope::{put, put_text};

/// A frame that is no event, to be rendered for a transport.
///
/// [`json`](Self::json) is the same on every transport, but for the `sub` that a
/// WebSocket adds; [`sse`](Self::sse) puts it into a block.
///
/// # Examples
///
/// ```
/// use downlink::Cursor;
/// use downlink_transports::wire::Control;
///
/// let cursor: Cursor = "000000000001a2f0-9c41d07e".parse()?;
/// assert_eq!(
///     Control::Checkpoint { cursor }.json(None),
///     r#"{"frame":"checkpoint","cursor":"000000000001a2f0-9c41d07e"}"#
/// );
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the members of the frame of the same name")]
pub enum Control<'a> {
    /// First of all frames of a subscription.
    Ready { cursor: Cursor, head: Cursor, heartbeat: Duration },
    /// The log was looked through up to here and nothing matched.
    Checkpoint { cursor: Cursor },
    /// Everything up to a head read after `Ready` was delivered.
    Live { cursor: Cursor, head: Cursor },
    /// The subscription reads from the store again.
    Behind { cursor: Cursor, head: Cursor },
    /// The log became another one; nothing follows.
    Reset { reason: &'a str, head: Cursor },
    /// The server lives.
    Heartbeat { head: Cursor },
    /// The server ends the connection.
    Bye { reason: &'a str, reconnect_after: Duration },
    /// Something went wrong.
    Problem(&'a Problem),
}

impl Control<'_> {
    /// The frame's name, as in `ready`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Live { .. } => "live",
            Self::Behind { .. } => "behind",
            Self::Reset { .. } => "reset",
            Self::Heartbeat { .. } => "heartbeat",
            Self::Bye { .. } => "bye",
            Self::Problem(_) => "problem",
        }
    }

    /// The frame as JSON, with `sub` where a transport has several subscriptions
    /// and the frame belongs to one of them.
    #[must_use]
    pub fn json(&self, sub: Option<&str>) -> String {
        let mut out = String::with_capacity(160);
        put(&mut out, format_args!("{{\"frame\":\"{}\"", self.name()));
        if let Some(sub) = sub {
            out.push_str(",\"sub\":");
            put_text(&mut out, sub);
        }
        self.put_members(&mut out);
        out.push('}');
        out
    }

    fn put_members(&self, out: &mut String) {
        match self {
            Self::Ready { cursor, head, heartbeat } => {
                let beat = heartbeat.as_millis();
                put(
                    out,
                    format_args!(
                        ",\"cursor\":\"{cursor}\",\"head\":\"{head}\",\"heartbeat_ms\":{beat}"
                    ),
                );
            }
            Self::Checkpoint { cursor } => put(out, format_args!(",\"cursor\":\"{cursor}\"")),
            Self::Live { cursor, head } | Self::Behind { cursor, head } => {
                put(out, format_args!(",\"cursor\":\"{cursor}\",\"head\":\"{head}\""));
            }
            Self::Reset { reason, head } => {
                put_reason(out, reason);
                put(out, format_args!(",\"head\":\"{head}\""));
            }
            Self::Heartbeat { head } => put(out, format_args!(",\"head\":\"{head}\"")),
            Self::Bye { reason, reconnect_after } => {
                put_reason(out, reason);
                let pause = reconnect_after.as_millis();
                put(out, format_args!(",\"reconnect_after_ms\":{pause}"));
            }
            Self::Problem(problem) => {
                put(out, format_args!(",\"problem\":{}", problem.to_frame_json()));
            }
        }
    }

    /// The frame as one block of an SSE stream.
    ///
    /// `retry` is what a browser waits before it reconnects; `Bye` brings its
    /// own. The block has an `id:` exactly if the frame moves the cursor.
    #[must_use]
    pub fn sse(&self, retry: Option<Duration>) -> Bytes {
        let mut out = String::with_capacity(256);
        let retry = match self {
            Self::Bye { reconnect_after, .. } => Some(*reconnect_after),
            _ => retry,
        };
        if let Some(retry) = retry {
            put(&mut out, format_args!("retry: {}\n", retry.as_millis()));
        }
        if let Some(cursor) = self.cursor() {
            put(&mut out, format_args!("id: {cursor}\n"));
        }
        let data = self.json(None);
        put(&mut out, format_args!("event: feed.{}\ndata: {data}\n\n", self.name()));
        out.into()
    }

    /// Where a client resumes after this frame; `None` if it does not move the
    /// cursor.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        match self {
            Self::Ready { cursor, .. }
            | Self::Checkpoint { cursor }
            | Self::Live { cursor, .. }
            | Self::Behind { cursor, .. } => Some(*cursor),
            Self::Reset { .. } | Self::Heartbeat { .. } | Self::Bye { .. } | Self::Problem(_) => {
                None
            }
        }
    }
}

fn put_reason(out: &mut String, reason: &str) {
    out.push_str(",\"reason\":");
    put_text(out, reason);
}

#[cfg(test)]
mod tests {
    use super::super::Code;
    use super::*;

    const C: &str = "000000000001a2f0-9c41d07e";
    const H: &str = "000000000001a2f1-00000001";

    #[test]
    fn frames_are_those_of_the_contract() {
        let (cursor, head) = (C.parse().unwrap(), H.parse().unwrap());
        let heartbeat = Duration::from_secs(15);
        let reconnect_after = Duration::from_millis(240);
        let problem = Problem::new(Code::BadFilter, "why");
        let sub = Some("s1");
        let table = [
            (
                Control::Ready { cursor, head, heartbeat },
                sub,
                r#"{"frame":"ready","sub":"s1","cursor":"C","head":"H","heartbeat_ms":15000}"#,
            ),
            (
                Control::Checkpoint { cursor },
                sub,
                r#"{"frame":"checkpoint","sub":"s1","cursor":"C"}"#,
            ),
            (
                Control::Live { cursor, head },
                sub,
                r#"{"frame":"live","sub":"s1","cursor":"C","head":"H"}"#,
            ),
            (
                Control::Behind { cursor, head },
                None,
                r#"{"frame":"behind","cursor":"C","head":"H"}"#,
            ),
            (
                Control::Reset { reason: "history-changed", head },
                sub,
                r#"{"frame":"reset","sub":"s1","reason":"history-changed","head":"H"}"#,
            ),
            (Control::Heartbeat { head }, None, r#"{"frame":"heartbeat","head":"H"}"#),
            (
                Control::Bye { reason: "rotate", reconnect_after },
                None,
                r#"{"frame":"bye","reason":"rotate","reconnect_after_ms":240}"#,
            ),
            (
                Control::Problem(&problem),
                sub,
                r#"{"frame":"problem","sub":"s1","problem":{"type":"urn:downlink:problem:bad-filter","title":"Bad filter","detail":"why","code":"bad-filter","retryable":false}}"#,
            ),
        ];
        for (frame, sub, expected) in table {
            assert_eq!(frame.json(sub).replace(C, "C").replace(H, "H"), expected);
        }
    }

    #[test]
    fn blocks_have_an_id_only_where_the_cursor_moves() {
        let (cursor, head) = (C.parse().unwrap(), H.parse().unwrap());
        let ready = Control::Ready { cursor, head, heartbeat: Duration::from_secs(15) };
        let block = ready.sse(Some(Duration::from_millis(1_234)));
        let expected =
            format!("retry: 1234\nid: {C}\nevent: feed.ready\ndata: {}\n\n", ready.json(None));
        assert_eq!(block, expected);
        let beat = Control::Heartbeat { head }.sse(None);
        assert!(beat.starts_with(b"event: feed.heartbeat\ndata: "));
        let bye = Control::Bye { reason: "rotate", reconnect_after: Duration::from_millis(240) };
        assert!(bye.sse(None).starts_with(b"retry: 240\nevent: feed.bye\ndata: "));
    }

    #[test]
    fn a_reason_is_quoted() {
        let bye = Control::Bye { reason: "a\"\nb", reconnect_after: Duration::ZERO };
        assert!(bye.json(None).contains(r#""reason":"a\"\nb""#));
    }
}
