use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use downlink::event::ContentType;
use downlink::{ErrorKind, EventType, NewEvent};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::scanner::not_utf8;
use crate::wire::object::{Object, present};
use crate::wire::{Code, Problem};

/// Parses a body that the [scanner](super::scanner::Scanner) has not refused, and
/// whose lists are therefore bounded.
pub(super) fn parse(body: &[u8]) -> Result<Vec<NewEvent>, Problem> {
    let text = std::str::from_utf8(body).map_err(|_| not_utf8())?;
    let is_array = text.trim_start().starts_with('[');
    let raw: Vec<Object<RawEvent<'_>>> = if is_array {
        serde_json::from_str(text).map_err(|error| malformed(&error))?
    } else {
        vec![serde_json::from_str(text).map_err(|error| malformed(&error))?]
    };
    if raw.is_empty() {
        return Err(Problem::new(Code::BadEvent, "the body has no events: send at least one"));
    }
    let events = raw.into_iter().enumerate();
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvent<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    data_base64: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    content_type: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tags: Vec<Text<'a>>,
}

/// A string, which is copied only if it has escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl RawEvent<'_> {
    fn into_event(self) -> Result<NewEvent, EventError> {
        let mut event = self.content()?;
        if let Some(Text(id)) = &self.id {
            event = event.with_id(id.parse().map_err(EventError::of("id"))?);
        }
        if let Some(metadata) = self.metadata {
            let bytes = metadata.get().as_bytes().to_vec();
            event = event.with_metadata_json(bytes).map_err(EventError::of("metadata"))?;
        }
        let tags = self.tags.iter().map(|Text(tag)| &**tag);
        event.with_tags(tags).map_err(EventError::of("tags"))
    }

    /// Copies the payload, so that a small event does not keep a large body in
    /// memory.
    fn content(&self) -> Result<NewEvent, EventError> {
        let event_type = EventType::new(&*self.r#type.0).map_err(EventError::of("type"))?;
        match (self.data, &self.data_base64, &self.content_type) {
            (Some(data), None, None) => {
                let bytes = data.get().as_bytes().to_vec();
                NewEvent::json(event_type, bytes).map_err(EventError::of("data"))
            }
            (None, Some(Text(data)), Some(Text(content_type))) => {
                let content_type =
                    ContentType::new(content_type).map_err(EventError::of("content_type"))?;
                let bytes = BASE64.decode(&**data).map_err(|error| {
                    EventError::new(
                        Code::BadEvent,
                        format!("'data_base64' is not padded base64: {error}"),
                    )
                })?;
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
