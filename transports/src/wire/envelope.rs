use std::fmt::{Arguments, Write};

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use downlink::event::Format;
use downlink::{Cursor, Event, EventId, NewEvent};
use memchr::memchr2;

#[cfg(feature = "client")]
mod parse;
mod renderer;

#[cfg(feature = "client")]
pub use parse::parse_envelope;
pub(crate) use renderer::Renderer;

/// The key under which an event caches its rendering.
const FORMAT: Format = Format::shared("feed.v1");

/// `id: C`, a line feed and `data: `.
const BEFORE: usize = "id: ".len() + Cursor::TEXT_LEN + "\ndata: ".len();

const AFTER: &str = "\n\n";

/// Renders the event as one block of an SSE stream: `id: C`, `data: E` and a blank
/// line.
///
/// The bytes are kept in the event, for all subscribers and transports: [`envelope`] is a
/// slice of them.
#[must_use]
pub fn sse_block(event: &Event) -> Bytes {
    event.rendered(FORMAT, render)
}

/// Appends what [`sse_block`] returns.
fn put_sse_block(out: &mut BytesMut, event: &Event) {
    event.render_into(FORMAT, out, |event, out| put_block(out, event, event.content()));
}

/// Renders the event as clients receive it: one JSON object on one line.
///
/// The members come in the order of the wire contract. A JSON payload is embedded
/// as stored, except that raw carriage returns and line feeds, which are white
/// space in valid JSON, become spaces. Any other payload becomes `data_base64` and
/// `content_type`.
///
/// # Examples
///
/// ```
/// use downlink::{Event, NewEvent, Position, Version};
/// use downlink::event::Timestamp;
///
/// let content = NewEvent::json("FlightDeparted", "{\"gate\":\n\"C71\"}")?;
/// let event = Event::new(
///     Position::ZERO.next(),
///     "flight-UA1545".try_into()?,
///     Version::FIRST,
///     Timestamp::EPOCH,
///     content,
/// );
/// let envelope = downlink_transports::wire::envelope(&event);
/// assert!(envelope.ends_with(br#""data":{"gate": "C71"},"metadata":{},"tags":[]}"#));
/// # Ok::<(), downlink::Error>(())
/// ```
#[must_use]
pub fn envelope(event: &Event) -> Bytes {
    envelope_of(&sse_block(event))
}

fn envelope_of(block: &Bytes) -> Bytes {
    block.slice(BEFORE..block.len() - AFTER.len())
}

fn render(event: &Event) -> Bytes {
    render_with(event, event.content())
}

/// Renders an event with other content than the stored one.
fn render_with(event: &Event, content: &NewEvent) -> Bytes {
    // The payload, and about 300 bytes of everything else.
    let mut block = BytesMut::with_capacity(content.size() + 384);
    put_block(&mut block, event, content);
    block.freeze()
}

fn put_block(out: &mut BytesMut, event: &Event, content: &NewEvent) {
    let (mut cursor, mut id) = ([0; Cursor::TEXT_LEN], [0; EventId::TEXT_LEN]);
    let (cursor, id) = (event.cursor().encode(&mut cursor), event.id().encode(&mut id));
    for part in ["id: ", cursor, "\ndata: {\"cursor\":\"", cursor, "\",\"id\":\"", id] {
        put_str(out, part);
    }
    put_str(out, "\",\"stream\":");
    put_text(out, event.stream().as_str());
    put(out, format_args!(",\"version\":{},\"type\":", event.version()));
    put_text(out, event.event_type().as_str());
    put(out, format_args!(",\"time\":\"{}\"", event.recorded_at()));
    put_content(out, content, put_json);
    put_str(out, AFTER);
}

/// Renders a new event for an append, with its JSON byte for byte: a repeated
/// append is recognized by its bytes.
#[cfg(feature = "websocket")]
pub(super) fn put_new_event(out: &mut String, event: &NewEvent) {
    put(out, format_args!("{{\"id\":\"{}\",\"type\":", event.id()));
    put_text(out, event.event_type().as_str());
    put_content(out, event, |out, json| out.push_str(&String::from_utf8_lossy(json)));
}

/// Renders payload, metadata and tags, and closes the object.
fn put_content<W: Write>(out: &mut W, event: &NewEvent, put_json: fn(&mut W, &[u8])) {
    if event.content_type().is_json() {
        put_str(out, ",\"data\":");
        put_json(out, event.payload());
    } else {
        put(
            out,
            format_args!(",\"data_base64\":\"{}", Base64Display::new(event.payload(), &BASE64)),
        );
        put_str(out, "\",\"content_type\":");
        put_text(out, event.content_type().as_str());
    }
    put_str(out, ",\"metadata\":");
    put_json(out, event.metadata());
    put_str(out, ",\"tags\":[");
    for (index, tag) in event.tags().iter().enumerate() {
        if index > 0 {
            put_str(out, ",");
        }
        put_text(out, tag.as_str());
    }
    put_str(out, "]}");
}

/// Embeds JSON as stored, on one line.
fn put_json(out: &mut BytesMut, json: &[u8]) {
    match std::str::from_utf8(json) {
        Ok(json) => put_line(out, json),
        // Only if a store returns what was never appended.
        Err(_) => put_line(out, &String::from_utf8_lossy(json)),
    }
}

/// Appends the text with spaces for its line ends.
fn put_line(out: &mut BytesMut, text: &str) {
    let mut rest = text;
    while let Some(end) = memchr2(b'\r', b'\n', rest.as_bytes()) {
        put_str(out, &rest[..end]);
        put_str(out, " ");
        rest = &rest[end + 1..];
    }
    put_str(out, rest);
}

/// Appends the text as a JSON string.
pub(super) fn put_text(out: &mut impl Write, text: &str) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        for part in ["\"", text, "\""] {
            put_str(out, part);
        }
    } else {
        put_str(out, &serde_json::to_string(text).expect("a string can be serialized"));
    }
}

/// Appends the text as it is.
fn put_str(out: &mut impl Write, text: &str) {
    out.write_str(text).expect(NEVER_FAILS);
}

pub(super) fn put(out: &mut impl Write, what: Arguments<'_>) {
    out.write_fmt(what).expect(NEVER_FAILS);
}

const NEVER_FAILS: &str = "writing to memory never fails";

#[cfg(test)]
mod tests {
    use downlink::event::{ContentType, Timestamp};
    use downlink::{NewEvent, Position, Version};
    use proptest::prelude::*;

    use super::*;

    fn event(stream: &str, content: NewEvent) -> Event {
        let position = Position::new(0x1a2f0).unwrap();
        let id = "0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11".parse().unwrap();
        let time = "2026-11-23T10:17:00.000000Z".parse::<Timestamp>().unwrap();
        let version = Version::new(7).unwrap();
        Event::new(position, stream.try_into().unwrap(), version, time, content.with_id(id))
    }

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn members_come_in_the_order_of_the_wire_contract() {
        let content = NewEvent::json("FlightDeparted", r#"{"gate":"C71"}"#)
            .and_then(|event| event.with_tag("airport:EWR"))
            .unwrap();
        let event = event("flight-UA1545", content);
        let cursor = event.cursor();
        let expected = format!(
            r#"{{"cursor":"{cursor}","id":"0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11","stream":"flight-UA1545","version":7,"type":"FlightDeparted","time":"2026-11-23T10:17:00.000000Z","data":{{"gate":"C71"}},"metadata":{{}},"tags":["airport:EWR"]}}"#
        );
        assert_eq!(text(&envelope(&event)), expected);
        assert_eq!(text(&sse_block(&event)), format!("id: {cursor}\ndata: {expected}\n\n"));
    }

    #[test]
    fn other_payloads_are_base64_with_padding() {
        let cbor = ContentType::new("application/cbor").unwrap();
        let content = NewEvent::bytes("Photo", cbor, &b"\x00\r\n\xff"[..]).unwrap();
        let envelope = envelope(&event("s", content));
        let expected = r#""data_base64":"AA0K/w==","content_type":"application/cbor","metadata""#;
        assert!(text(&envelope).contains(expected));
    }

    #[test]
    fn the_envelope_is_a_slice_of_the_block_which_is_rendered_once() {
        let event = event("s", NewEvent::json("T", "{}").unwrap());
        let (first, again) = (sse_block(&event), sse_block(&event.clone()));
        assert_eq!(first.as_ptr(), again.as_ptr());
        assert_eq!(envelope(&event).as_ptr(), first.slice(BEFORE..).as_ptr());
    }

    proptest! {
        #[test]
        fn no_content_forges_a_line_or_a_member(
            stream in "[^\\p{Cc}]{1,20}",
            data in any::<String>(),
            white in "[ \r\n\t]{0,4}",
        ) {
            prop_assume!(stream != "." && stream != "..");
            let raw = format!("{white}{{{white}\"a\"{white}:{white}{}}}", serde_json::to_string(&data).unwrap());
            let metadata = format!("{{{white}\"m\":{white}1}}");
            let content = NewEvent::json("T", raw.clone()).unwrap()
                .with_metadata_json(metadata).unwrap();
            let event = event(&stream, content);
            let block = sse_block(&event);
            let lines: Vec<_> = text(&block).split(['\r', '\n']).collect();
            prop_assert_eq!(lines.len(), 4, "{:?}", lines);
            let value: serde_json::Value = serde_json::from_slice(&envelope(&event)).unwrap();
            prop_assert_eq!(value["stream"].as_str(), Some(&*stream));
            prop_assert_eq!(value["data"]["a"].as_str(), Some(&*data));
            prop_assert_eq!(&value["metadata"]["m"], 1);
            prop_assert_eq!(value.as_object().unwrap().len(), 9);
        }
    }
}
