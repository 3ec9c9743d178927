use downlink::store::Appended;
use downlink::{EventId, Expected, NewEvent, Version};

use super::Problem;
use super::envelope::{put, put_text};
use super::query::{bad, decimal};

mod body;
mod event;
mod json_scan;
mod member;
mod scanner;
mod string_scan;

pub use body::AppendBody;
#[cfg(feature = "websocket")]
pub(crate) use scanner::events_size;

/// Parses the expected version of an append: `any`, `none`, `exists` or a
/// version, where 0 is `none`.
///
/// # Errors
///
/// [`BadParameter`](super::Code::BadParameter) for anything else.
pub fn parse_expected(text: &str) -> Result<Expected, Problem> {
    let known = match text {
        "any" => Some(Expected::Any),
        "none" | "0" => Some(Expected::NoStream),
        "exists" => Some(Expected::Exists),
        _ => decimal(text).and_then(Version::new).map(Expected::Exact),
    };
    known.ok_or_else(|| bad("expected", "'expected' takes 'any', 'none', 'exists' or a version"))
}

/// Parses the body of an append: one event or an array of events.
///
/// # Errors
///
/// [`BadEvent`](super::Code::BadEvent) if the body is not JSON, has unknown members, no
/// events or an id twice; [`Invalid`](super::Code::Invalid) for a value that is not valid
/// in an event; [`TooLarge`](super::Code::TooLarge) above a limit.
pub fn parse_events(body: &[u8]) -> Result<Vec<NewEvent>, Problem> {
    body::parse(body)
}

/// Renders the answer to an append of events with these ids to one stream.
#[must_use]
pub fn appended_json(appended: &Appended, ids: &[EventId]) -> String {
    let mut out = String::with_capacity(192 + 40 * ids.len());
    out.push('{');
    for written in &appended.writes {
        out.push_str("\"stream\":");
        put_text(&mut out, written.stream.as_str());
        let (first, last) = (written.first, written.last);
        put(&mut out, format_args!(",\"first_version\":{first},\"last_version\":{last},"));
    }
    out.push_str("\"ids\":[");
    for (index, id) in ids.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        put(&mut out, format_args!("{comma}\"{id}\""));
    }
    let (cursor, duplicate) = (appended.cursor, appended.duplicate);
    put(&mut out, format_args!("],\"cursor\":\"{cursor}\",\"duplicate\":{duplicate}}}"));
    out
}

#[cfg(test)]
mod tests;
