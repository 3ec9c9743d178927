use std::time::Duration;

use bytes::Bytes;
use downlink::transport::Frame;

use super::envelope::{put, put_text, sse_block};

#[cfg(feature = "client")]
mod parse;

#[cfg(feature = "client")]
pub use parse::parse_frame;

/// Renders a frame as JSON, with `sub` on a transport that carries several
/// subscriptions.
///
/// Apart from `sub` the JSON is the same on every transport. An event is a frame
/// `events` with one element.
///
/// # Examples
///
/// ```
/// use downlink::Cursor;
/// use downlink::transport::Frame;
/// use downlink_transports::wire::frame_json;
///
/// let cursor: Cursor = "000000000001a2f0-9c41d07e".parse()?;
/// assert_eq!(
///     frame_json(&Frame::Checkpoint { cursor }, None),
///     r#"{"frame":"checkpoint","cursor":"000000000001a2f0-9c41d07e"}"#
/// );
/// # Ok::<(), downlink::Error>(())
/// ```
#[must_use]
pub fn frame_json(frame: &Frame, sub: Option<&str>) -> String {
    let mut out = String::with_capacity(160);
    put(&mut out, format_args!("{{\"frame\":\"{}\"", name(frame)));
    if let Some(sub) = sub {
        out.push_str(",\"sub\":");
        put_text(&mut out, sub);
    }
    put_members(&mut out, frame);
    out.push('}');
    out
}

/// Renders a frame as one block of an SSE stream.
///
/// `retry` is how long a browser waits before it reconnects; a `Bye` has its
/// own. The block has an `id:` exactly if the frame moves the cursor.
#[must_use]
pub fn frame_block(frame: &Frame, retry: Option<Duration>) -> Bytes {
    let mut out = String::with_capacity(256);
    let retry = match frame {
        Frame::Event { event, .. } => return sse_block(event),
        Frame::Bye { reconnect_after, .. } => Some(*reconnect_after),
        _ => retry,
    };
    if let Some(retry) = retry {
        put(&mut out, format_args!("retry: {}\n", retry.as_millis()));
    }
    if let Some(cursor) = frame.cursor() {
        put(&mut out, format_args!("id: {cursor}\n"));
    }
    let data = frame_json(frame, None);
    put(&mut out, format_args!("event: feed.{}\ndata: {data}\n\n", name(frame)));
    out.into()
}

fn name(frame: &Frame) -> &'static str {
    match frame {
        Frame::Ready { .. } => "ready",
        Frame::Checkpoint { .. } => "checkpoint",
        Frame::Live { .. } => "live",
        Frame::Behind { .. } => "behind",
        Frame::Reset { .. } => "reset",
        Frame::Heartbeat { .. } => "heartbeat",
        Frame::Bye { .. } => "bye",
        Frame::Problem { .. } => "problem",
        // `Event`: there are no other frames.
        _ => "events",
    }
}

fn put_members(out: &mut String, frame: &Frame) {
    match frame {
        Frame::Ready { cursor, head, heartbeat } => {
            put(out, format_args!(",\"cursor\":\"{cursor}\",\"head\":\"{head}\""));
            if let Some(heartbeat) = heartbeat {
                put(out, format_args!(",\"heartbeat_ms\":{}", heartbeat.as_millis()));
            }
        }
        Frame::Checkpoint { cursor } => put(out, format_args!(",\"cursor\":\"{cursor}\"")),
        Frame::Live { cursor, head } | Frame::Behind { cursor, head } => {
            put(out, format_args!(",\"cursor\":\"{cursor}\",\"head\":\"{head}\""));
        }
        Frame::Reset { reason, head } => {
            put_reason(out, reason);
            put(out, format_args!(",\"head\":\"{head}\""));
        }
        Frame::Heartbeat { head } => put(out, format_args!(",\"head\":\"{head}\"")),
        Frame::Bye { reason, reconnect_after } => {
            put_reason(out, reason);
            let delay = reconnect_after.as_millis();
            put(out, format_args!(",\"reconnect_after_ms\":{delay}"));
        }
        Frame::Problem { json, .. } => {
            let json = String::from_utf8_lossy(json);
            put(out, format_args!(",\"problem\":{json}"));
        }
        Frame::Event { envelope, .. } => {
            let envelope = String::from_utf8_lossy(envelope);
            put(out, format_args!(",\"events\":[{envelope}]"));
        }
        _ => {}
    }
}

fn put_reason(out: &mut String, reason: &str) {
    out.push_str(",\"reason\":");
    put_text(out, reason);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Code, Problem};

    const C: &str = "000000000001a2f0-9c41d07e";
    const H: &str = "000000000001a2f1-00000001";

    #[test]
    fn frames_are_rendered_as_in_the_wire_contract() {
        let (cursor, head) = (C.parse().unwrap(), H.parse().unwrap());
        let heartbeat = Some(Duration::from_secs(15));
        let reconnect_after = Duration::from_millis(240);
        let sub = Some("s1");
        let table = [
            (
                Frame::Ready { cursor, head, heartbeat },
                sub,
                r#"{"frame":"ready","sub":"s1","cursor":"C","head":"H","heartbeat_ms":15000}"#,
            ),
            (
                Frame::Checkpoint { cursor },
                sub,
                r#"{"frame":"checkpoint","sub":"s1","cursor":"C"}"#,
            ),
            (
                Frame::Live { cursor, head },
                sub,
                r#"{"frame":"live","sub":"s1","cursor":"C","head":"H"}"#,
            ),
            (Frame::Behind { cursor, head }, None, r#"{"frame":"behind","cursor":"C","head":"H"}"#),
            (
                Frame::Reset { reason: "history-changed".into(), head },
                sub,
                r#"{"frame":"reset","sub":"s1","reason":"history-changed","head":"H"}"#,
            ),
            (Frame::Heartbeat { head }, None, r#"{"frame":"heartbeat","head":"H"}"#),
            (
                Frame::Bye { reason: "rotate".into(), reconnect_after },
                None,
                r#"{"frame":"bye","reason":"rotate","reconnect_after_ms":240}"#,
            ),
            (
                Problem::new(Code::BadFilter, "why").to_frame(),
                sub,
                r#"{"frame":"problem","sub":"s1","problem":{"type":"urn:downlink:problem:bad-filter","title":"Bad filter","detail":"why","code":"bad-filter","retryable":false}}"#,
            ),
        ];
        for (frame, sub, expected) in table {
            assert_eq!(frame_json(&frame, sub).replace(C, "C").replace(H, "H"), expected);
        }
    }

    #[test]
    fn blocks_have_an_id_only_where_the_cursor_moves() {
        let (cursor, head) = (C.parse().unwrap(), H.parse().unwrap());
        let ready = Frame::Ready { cursor, head, heartbeat: Some(Duration::from_secs(15)) };
        let block = frame_block(&ready, Some(Duration::from_millis(1_234)));
        let data = frame_json(&ready, None);
        assert_eq!(block, format!("retry: 1234\nid: {C}\nevent: feed.ready\ndata: {data}\n\n"));
        let heartbeat = frame_block(&Frame::Heartbeat { head }, None);
        assert!(heartbeat.starts_with(b"event: feed.heartbeat\ndata: "));
        let reconnect_after = Duration::from_millis(240);
        let bye = Frame::Bye { reason: "rotate".into(), reconnect_after };
        assert!(frame_block(&bye, None).starts_with(b"retry: 240\nevent: feed.bye\ndata: "));
    }

    #[test]
    fn a_reason_is_quoted() {
        let bye = Frame::Bye { reason: "a\"\nb".into(), reconnect_after: Duration::ZERO };
        assert!(frame_json(&bye, None).contains(r#""reason":"a\"\nb""#));
    }
}
