use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::{json, typed};
use crate::error::{Error, ErrorKind, Result};
use crate::event::ContentType;
use crate::id::{EventId, EventType, Tag};
use crate::limits;

/// An event to append: its id, type, payload, metadata and tags.
///
/// Each part is validated when it is set, so that an append cannot fail because
/// of an event's content. The store keeps the exact bytes of the payload, and
/// subscribers receive them.
///
/// # Examples
///
/// ```
/// use downlink::NewEvent;
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// enum FlightEvent {
///     FlightDeparted { gate: String },
/// }
///
/// let event = NewEvent::from_variant(&FlightEvent::FlightDeparted { gate: "C71".into() })?
///     .with_tag("airport:EWR")?;
/// assert_eq!(event.event_type().as_str(), "FlightDeparted");
/// assert_eq!(&event.payload()[..], br#"{"gate":"C71"}"#);
/// # Ok::<(), downlink::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct NewEvent {
    id: EventId,
    event_type: EventType,
    content_type: ContentType,
    payload: Bytes,
    metadata: Bytes,
    /// Shared, so that a clone allocates nothing.
    tags: Arc<[Tag]>,
}

/// The stored parts of an event, from which a store restores a [`NewEvent`].
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is described at the accessor of the same name")]
pub struct StoredParts {
    pub id: EventId,
    pub event_type: EventType,
    pub content_type: ContentType,
    pub payload: Bytes,
    pub metadata: Bytes,
    pub tags: Arc<[Tag]>,
}

const NO_METADATA: Bytes = Bytes::from_static(b"{}");

impl NewEvent {
    /// Creates an event from a variant of a serde enum. The variant's name is
    /// the event's type, and its content is the payload.
    ///
    /// The enum has to be tagged externally, which is serde's default.
    /// `#[serde(rename = "…")]` on a variant sets the event's type. A variant
    /// without content has the payload `{}`.
    ///
    /// A struct, a map, a string, a [`serde_json::Value`], an `Option`, an enum
    /// with another tagging, and a newtype around an enum are refused, because
    /// [`Event::decode_raw`](crate::Event::decode_raw) could not decode them.
    /// Use [`json`](Self::json) for them, which takes the type as an argument.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if `event` is not such a variant or
    /// cannot be serialized as JSON; [`TooLarge`](ErrorKind::TooLarge) beyond a
    /// [limit](crate::limits).
    pub fn from_variant<T: Serialize + ?Sized>(event: &T) -> Result<Self> {
        let (event_type, payload) = typed::encode(event)?;
        Self::json(event_type, payload)
    }

    /// Creates an event with this type and this JSON payload, whose bytes are
    /// kept unchanged.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if the payload is not JSON that every
    /// parser accepts (UTF-8 without byte order mark, no lone surrogate escape,
    /// no number beyond a double or of more than 1,000 characters);
    /// [`TooLarge`](ErrorKind::TooLarge) beyond a [limit](crate::limits).
    pub fn json<T>(event_type: T, payload: impl Into<Bytes>) -> Result<Self>
    where
        T: TryInto<EventType>,
        Error: From<T::Error>,
    {
        let payload = payload.into();
        check_size("the payload", payload.len(), "bytes", limits::MAX_PAYLOAD_BYTES)?;
        json::check("the payload", &payload)?;
        Ok(Self::unchecked(event_type.try_into()?, ContentType::JSON, payload))
    }

    /// Creates an event with a payload of any content type. JSON is validated
    /// as in [`json`](Self::json).
    ///
    /// # Errors
    ///
    /// As [`json`](Self::json).
    pub fn bytes<T>(
        event_type: T,
        content_type: ContentType,
        payload: impl Into<Bytes>,
    ) -> Result<Self>
    where
        T: TryInto<EventType>,
        Error: From<T::Error>,
    {
        if content_type.is_json() {
            return Self::json(event_type, payload);
        }
        let payload = payload.into();
        check_size("the payload", payload.len(), "bytes", limits::MAX_PAYLOAD_BYTES)?;
        Ok(Self::unchecked(event_type.try_into()?, content_type, payload))
    }

    /// Restores an event from its stored parts, without validating them again.
    ///
    /// For backends, and for tools that copy stored events: an older release
    /// may have accepted content that is invalid today. Appending it again is
    /// recognized as a [repetition](Self::has_same_content) by its id, also in
    /// another store that knows it.
    #[must_use]
    pub fn from_stored(parts: StoredParts) -> Self {
        let StoredParts { id, event_type, content_type, payload, metadata, tags } = parts;
        Self { id, event_type, content_type, payload, metadata, tags }
    }

    fn unchecked(event_type: EventType, content_type: ContentType, payload: Bytes) -> Self {
        Self {
            id: EventId::now(),
            event_type,
            content_type,
            payload,
            metadata: NO_METADATA,
            tags: Arc::default(),
        }
    }

    /// Sets the id, so that a repetition of the append is recognized. A new
    /// UUID of version 7 by default.
    ///
    /// A retry has to send the same event with the same bytes: keep the event,
    /// or its serialized payload, until the append has returned. JSON that is
    /// serialized again may differ in the order of its members or in
    /// whitespace. It is then a different payload, and the append fails with
    /// [`IdReused`](ErrorKind::IdReused).
    #[must_use]
    pub fn with_id(mut self, id: EventId) -> Self {
        self.id = id;
        self
    }

    /// Sets the metadata to a value that serializes as a JSON object. `{}` by
    /// default.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if it is not a JSON object that every
    /// parser accepts, as in [`json`](Self::json);
    /// [`TooLarge`](ErrorKind::TooLarge) above 64 KiB.
    pub fn with_metadata<T: Serialize + ?Sized>(self, metadata: &T) -> Result<Self> {
        let bytes = serde_json::to_vec(metadata).map_err(|error| {
            Error::with_source(
                ErrorKind::Invalid,
                "the metadata cannot be serialized as JSON",
                error,
            )
        })?;
        self.with_metadata_json(bytes)
    }

    /// Sets the metadata to the bytes of one JSON object, which are kept
    /// unchanged.
    ///
    /// # Errors
    ///
    /// As [`with_metadata`](Self::with_metadata).
    pub fn with_metadata_json(mut self, metadata: impl Into<Bytes>) -> Result<Self> {
        let metadata = metadata.into();
        check_size("the metadata", metadata.len(), "bytes", limits::MAX_METADATA_BYTES)?;
        json::check_object("the metadata", &metadata)?;
        self.metadata = metadata;
        Ok(self)
    }

    /// Adds a tag after the existing ones. No tags by default.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if it is not a valid name,
    /// [`TooLarge`](ErrorKind::TooLarge) above [64 tags](limits::MAX_TAGS).
    pub fn with_tag<T>(self, tag: T) -> Result<Self>
    where
        T: TryInto<Tag>,
        Error: From<T::Error>,
    {
        self.with_tags([tag])
    }

    /// Adds tags after the existing ones. No tags by default.
    ///
    /// # Errors
    ///
    /// As [`with_tag`](Self::with_tag).
    pub fn with_tags<T>(mut self, tags: impl IntoIterator<Item = T>) -> Result<Self>
    where
        T: TryInto<Tag>,
        Error: From<T::Error>,
    {
        let mut all = self.tags.to_vec();
        for tag in tags {
            check_size("the event", all.len() + 1, "tags", limits::MAX_TAGS)?;
            all.push(tag.try_into()?);
        }
        self.tags = all.into();
        Ok(self)
    }

    /// The same event with other valid JSON as its payload and metadata.
    pub(crate) fn with_form(&self, payload: Bytes, metadata: Bytes) -> Self {
        Self { payload, metadata, ..self.clone() }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.id
    }

    /// The type.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// The content type of the payload.
    #[must_use]
    pub fn content_type(&self) -> &ContentType {
        &self.content_type
    }

    /// The payload, byte for byte.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The metadata: the bytes of one JSON object.
    #[must_use]
    pub fn metadata(&self) -> &Bytes {
        &self.metadata
    }

    /// The tags, in the order in which they were given.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// Whether this event has the same content as `other`, so that one may be a
    /// repetition of the other: type, content type, payload bytes and tags.
    /// Metadata is not compared, since a retry may have a new trace id. JSON is
    /// compared by its bytes, not by its meaning.
    #[must_use]
    pub fn has_same_content(&self, other: &Self) -> bool {
        self.event_type == other.event_type
            && self.content_type == other.content_type
            && self.payload == other.payload
            && self.tags == other.tags
    }

    /// The size of payload, metadata and tags together, in bytes, as the limits
    /// of queues and pages count it.
    #[must_use]
    pub fn size(&self) -> usize {
        let tags: usize = self.tags.iter().map(|tag| tag.as_str().len()).sum();
        self.payload.len() + self.metadata.len() + tags
    }
}

fn check_size(what: &str, size: usize, unit: &str, limit: usize) -> Result<()> {
    if size <= limit {
        return Ok(());
    }
    Err(Error::too_large(format!("{what} has {size} {unit}: the limit is {limit}"), limit))
}

impl fmt::Debug for NewEvent {
    /// Shows at most 64 bytes of the payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.payload[..self.payload.len().min(64)];
        f.debug_struct("NewEvent")
            .field("id", &self.id)
            .field("event_type", &self.event_type)
            .field("content_type", &self.content_type)
            .field("payload", &String::from_utf8_lossy(shown))
            .field("payload_bytes", &self.payload.len())
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
