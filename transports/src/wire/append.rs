use std::collections::HashSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use downlink::event::ContentType;
use downlink::store::Appended;
use downlink::{ErrorKind, EventId, EventType, Expected, NewEvent, Version, limits};
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::envelope::{put, put_text};
use super::object::{Object, present};
use super::query::{bad, decimal};
use super::{Code, Problem};

/// Parses the expected version of an append: `any`, `none`, `exists` or a
/// version, where 0 is `none`.
///
/// # Errors
///
/// [`BadParameter`](Code::BadParameter) for anything else.
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
/// [`BadEvent`](Code::BadEvent) if the body is not JSON, has unknown members, no
/// events or an id twice; [`Invalid`](Code::Invalid) for a value that is not valid
/// in an event; [`TooLarge`](Code::TooLarge) above a limit.
pub fn parse_events(body: &[u8]) -> Result<Vec<NewEvent>, Problem> {
    let text = std::str::from_utf8(body)
        .map_err(|_| Problem::new(Code::BadEvent, "the body is not UTF-8"))?;
    if text.starts_with('\u{feff}') {
        let detail = "the body begins with a byte order mark: remove it";
        return Err(Problem::new(Code::Invalid, detail));
    }
    let is_array = text.trim_start().starts_with('[');
    let raw: Events<'_> = if is_array {
        serde_json::from_str(text).map_err(|error| malformed(&error))?
    } else {
        Events {
            events: vec![serde_json::from_str(text).map_err(|error| malformed(&error))?],
            count: 1,
        }
    };
    if raw.count > limits::MAX_EVENTS_PER_APPEND {
        return Err(too_large(format!("{} events", raw.count), limits::MAX_EVENTS_PER_APPEND));
    }
    if raw.events.is_empty() {
        return Err(Problem::new(Code::BadEvent, "the body has no events: send at least one"));
    }
    let events = raw.events.into_iter().enumerate();
    let events = events
        .map(|(index, Object(event))| event.into_event().map_err(|error| error.into_problem(index)))
        .collect::<Result<Vec<_>, _>>()?;
    check_ids(&events)?;
    Ok(events)
}

fn check_ids(events: &[NewEvent]) -> Result<(), Problem> {
    let mut ids = HashSet::with_capacity(events.len());
    let Some(twice) = events.iter().map(NewEvent::id).find(|id| !ids.insert(*id)) else {
        return Ok(());
    };
    let detail = format!("event id {twice} stands twice in one append: give each event its own");
    Err(Problem::new(Code::BadEvent, detail))
}

fn malformed(error: &serde_json::Error) -> Problem {
    let detail = format!("the body is not one event or an array of events: {error}");
    Problem::new(Code::BadEvent, detail)
}

fn too_large(what: impl fmt::Display, limit: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("{what} are too many: the limit is {limit}"))
        .with_limit(limit)
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

/// The events of an array, up to the limit. Further ones are only counted, so that
/// a body of a million small events does not take memory.
struct Events<'a> {
    events: Vec<Object<RawEvent<'a>>>,
    count: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Events<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EventsVisitor(Self { events: Vec::new(), count: 0 }))
    }
}

struct EventsVisitor<'a>(Events<'a>);

impl<'de: 'a, 'a> Visitor<'de> for EventsVisitor<'a> {
    type Value = Events<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<S: SeqAccess<'de>>(mut self, mut seq: S) -> Result<Self::Value, S::Error> {
        while self.0.count < limits::MAX_EVENTS_PER_APPEND {
            let Some(event) = seq.next_element()? else { return Ok(self.0) };
            self.0.events.push(event);
            self.0.count += 1;
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {
            self.0.count += 1;
        }
        Ok(self.0)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvent<'a> {
    #[serde(default, deserialize_with = "present")]
    id: Option<String>,
    r#type: String,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "present")]
    data_base64: Option<String>,
    #[serde(default, deserialize_with = "present")]
    content_type: Option<String>,
    #[serde(borrow, default, deserialize_with = "present")]
    metadata: Option<&'a RawValue>,
    #[serde(default)]
    tags: Vec<String>,
}

impl RawEvent<'_> {
    fn into_event(self) -> Result<NewEvent, EventError> {
        let mut event = self.content()?;
        if let Some(id) = &self.id {
            event = event.with_id(id.parse().map_err(EventError::of("id"))?);
        }
        if let Some(metadata) = self.metadata {
            let bytes = metadata.get().as_bytes().to_vec();
            event = event.with_metadata_json(bytes).map_err(EventError::of("metadata"))?;
        }
        for tag in self.tags {
            event = event.with_tag(tag).map_err(EventError::of("tags"))?;
        }
        Ok(event)
    }

    /// Copies the payload, so that a small event does not keep a large body in
    /// memory.
    fn content(&self) -> Result<NewEvent, EventError> {
        let event_type = EventType::new(&self.r#type).map_err(EventError::of("type"))?;
        match (self.data, &self.data_base64, &self.content_type) {
            (Some(data), None, None) => {
                within_payload(data.get().len())?;
                let bytes = data.get().as_bytes().to_vec();
                NewEvent::json(event_type, bytes).map_err(EventError::of("data"))
            }
            (None, Some(data), Some(content_type)) => {
                let content_type =
                    ContentType::new(content_type).map_err(EventError::of("content_type"))?;
                let bytes = BASE64.decode(data).map_err(|error| {
                    EventError::new(
                        Code::BadEvent,
                        format!("'data_base64' is not padded base64: {error}"),
                    )
                })?;
                within_payload(bytes.len())?;
                NewEvent::bytes(event_type, content_type, bytes)
                    .map_err(EventError::of("data_base64"))
            }
            _ => Err(EventError::new(
                Code::BadEvent,
                "an event needs either 'data', or 'data_base64' and 'content_type'",
            )),
        }
    }
}

fn within_payload(bytes: usize) -> Result<(), EventError> {
    let limit = limits::MAX_PAYLOAD_BYTES;
    if bytes <= limit {
        return Ok(());
    }
    let detail = format!("the payload has {bytes} bytes: the limit is {limit}");
    Err(EventError { limit: Some(limit), ..EventError::new(Code::TooLarge, detail) })
}

/// The error of one event.
struct EventError {
    code: Code,
    detail: String,
    limit: Option<usize>,
}

impl EventError {
    fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), limit: None }
    }

    fn of(member: &'static str) -> impl Fn(downlink::Error) -> Self {
        move |error: downlink::Error| {
            let too_large = error.kind() == ErrorKind::TooLarge;
            let code = if too_large { Code::TooLarge } else { Code::Invalid };
            let detail = format!("'{member}': {error}");
            Self { code, detail, limit: error.limit() }
        }
    }

    fn into_problem(self, index: usize) -> Problem {
        let detail = format!("event {}: {}", index + 1, self.detail);
        let problem = Problem::new(self.code, detail);
        self.limit.map_or(problem.clone(), |limit| problem.with_limit(limit))
    }
}

#[cfg(test)]
mod tests;
