//! The parser of appends in its simplest form, which first reads everything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use downlink::event::ContentType;
use downlink::{EventType, NewEvent, limits};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The events of a body; `None` if it is refused.
pub fn parse(body: &[u8]) -> Option<Vec<NewEvent>> {
    let text = std::str::from_utf8(body).ok()?;
    let events: Vec<&RawValue> = match serde_json::from_str(text) {
        Ok(events) => events,
        Err(_) => vec![serde_json::from_str(text).ok()?],
    };
    if events.is_empty() || events.len() > limits::MAX_EVENTS_PER_APPEND {
        return None;
    }
    let events: Vec<_> = events.into_iter().map(event).collect::<Option<_>>()?;
    let mut ids: Vec<_> = events.iter().map(NewEvent::id).collect();
    ids.sort();
    ids.dedup();
    (ids.len() == events.len()).then_some(events)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    #[serde(default, deserialize_with = "present")]
    id: Option<String>,
    r#type: String,
    #[serde(default, deserialize_with = "present")]
    data: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    data_base64: Option<String>,
    #[serde(default, deserialize_with = "present")]
    content_type: Option<String>,
    #[serde(default, deserialize_with = "present")]
    metadata: Option<Box<RawValue>>,
    #[serde(default)]
    tags: Vec<String>,
}

fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

fn event(raw: &RawValue) -> Option<NewEvent> {
    if !raw.get().starts_with('{') {
        return None;
    }
    let members: Members = serde_json::from_str(raw.get()).ok()?;
    let event_type = EventType::new(members.r#type).ok()?;
    let mut event = match (members.data, members.data_base64, members.content_type) {
        (Some(data), None, None) => NewEvent::json(event_type, data.get().to_owned()).ok()?,
        (None, Some(data), Some(content_type)) => {
            let content_type = ContentType::new(content_type).ok()?;
            NewEvent::bytes(event_type, content_type, BASE64.decode(data).ok()?).ok()?
        }
        _ => return None,
    };
    if let Some(id) = members.id {
        event = event.with_id(id.parse().ok()?);
    }
    if let Some(metadata) = members.metadata {
        event = event.with_metadata_json(metadata.get().to_owned()).ok()?;
    }
    members.tags.into_iter().try_fold(event, |event, tag| event.with_tag(tag).ok())
}
