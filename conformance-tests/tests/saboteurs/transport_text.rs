use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use downlink::{Cursor, Event, Tag};

use crate::transport_bug::TransportBug;

/// A control frame.
pub(crate) fn control(name: &str, id: Option<Cursor>, head: Cursor) -> String {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("{id}event: {name}\ndata: {{\"head\":\"{head}\"}}\n\n")
}

/// The first frame, which has the heartbeat interval.
pub(crate) fn ready(cursor: Cursor, head: Cursor, heartbeat: Option<Duration>) -> String {
    let beat = heartbeat.map_or(0, |heartbeat| heartbeat.as_millis());
    format!("id: {cursor}\nevent: ready\ndata: {{\"head\":\"{head}\",\"beat\":{beat}}}\n\n")
}

/// The members of an event, as JSON on one line.
pub(crate) fn envelope(event: &Event, bug: Option<TransportBug>) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let tags: Vec<_> = event.tags().iter().map(Tag::as_str).map(quoted).collect();
    let data = if event.content_type().is_json() {
        embedded(event.payload(), bug)
    } else {
        let content_type = quoted(event.content_type().as_str());
        format!("\"hex\":\"{}\",\"content_type\":{content_type}", hex(event.payload()))
    };
    let data = match bug {
        Some(TransportBug::ReordersMembers) => format!("\"later\":1,{data}"),
        _ => data,
    };
    format!(
        "{{\"id\":\"{}\",\"stream\":{},\"version\":{},\"type\":{},\"time\":\"{}\",\"metadata\":{},\"tags\":[{}],{data}}}",
        event.id(),
        quoted(event.stream().as_str()),
        event.version(),
        quoted(event.event_type().as_str()),
        event.recorded_at(),
        one_line(event.metadata(), bug),
        tags.join(",")
    )
}

fn embedded(payload: &Bytes, bug: Option<TransportBug>) -> String {
    let json = one_line(payload, bug);
    let members = json.trim().strip_prefix('{').and_then(|json| json.strip_suffix('}'));
    match members {
        Some(members)
            if bug == Some(TransportBug::MixesPayloadAndEnvelope) && !members.is_empty() =>
        {
            format!("\"data\":{json},{members}")
        }
        _ => format!("\"data\":{json}"),
    }
}

fn one_line(json: &Bytes, bug: Option<TransportBug>) -> String {
    let text = String::from_utf8_lossy(json);
    match bug {
        Some(TransportBug::LeavesNewlinesAsTheyAre) => text.into_owned(),
        Some(TransportBug::DoublesLineBreaks) => text.replace(['\r', '\n'], "  "),
        _ => text.replace(['\r', '\n'], " "),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    digits.chunks(2).map(|pair| u8::try_from(pair.first()? * 16 + pair.get(1)?).ok()).collect()
}
