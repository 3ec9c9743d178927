use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::typed;
use crate::cursor::Cursor;
use crate::error::Result;
use crate::event::{ContentType, NewEvent, Timestamp};
use crate::id::{EventId, EventType, Position, StreamId, Tag, Version};

/// A fact as it was stored: immutable, with its place in its stream and in the
/// log.
///
/// Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Event {
    inner: Arc<Inner>,
}

struct Inner {
    cursor: Cursor,
    stream: StreamId,
    version: Version,
    recorded_at: Timestamp,
    content: NewEvent,
    /// The first wire format that asked, and what it rendered.
    rendered: OnceLock<(&'static str, Bytes)>,
}

impl Event {
    /// The event that a store has at this place. For backends.
    #[must_use]
    pub fn new(
        position: Position,
        stream: StreamId,
        version: Version,
        recorded_at: Timestamp,
        content: NewEvent,
    ) -> Self {
        let (cursor, rendered) = (Cursor::of(position, content.id()), OnceLock::new());
        let inner = Inner { cursor, stream, version, recorded_at, content, rendered };
        Self { inner: Arc::new(inner) }
    }

    /// The place in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.inner.cursor.position()
    }

    /// The token to resume after this event.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.inner.cursor
    }

    /// The stream that it belongs to.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.inner.stream
    }

    /// The place in its stream.
    #[must_use]
    pub fn version(&self) -> Version {
        self.inner.version
    }

    /// The store's clock at the commit. It never decreases along the log.
    ///
    /// So when a clock was ahead once, each later event has the time of the event
    /// that was recorded then, until the clock has caught up. The store warns of
    /// that once, and [`HubStats::clock_behind`](crate::hub::HubStats::clock_behind)
    /// tells it.
    #[must_use]
    pub fn recorded_at(&self) -> Timestamp {
        self.inner.recorded_at
    }

    /// What the writer offered: id, type, payload, metadata and tags.
    #[must_use]
    pub fn content(&self) -> &NewEvent {
        &self.inner.content
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.inner.content.id()
    }

    /// The type.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        self.inner.content.event_type()
    }

    /// What the payload's bytes are.
    #[must_use]
    pub fn content_type(&self) -> &ContentType {
        self.inner.content.content_type()
    }

    /// The payload, byte for byte.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        self.inner.content.payload()
    }

    /// The metadata: the bytes of one JSON object.
    #[must_use]
    pub fn metadata(&self) -> &Bytes {
        self.inner.content.metadata()
    }

    /// The tags, in the order in which they were given.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        self.inner.content.tags()
    }

    /// Decodes the payload as stored, as a variant of a serde enum that
    /// [`NewEvent::from_variant`] wrote.
    ///
    /// Upcasts are not applied: if the form of an event has ever changed, use
    /// [`Schema::decode`](crate::Schema::decode), which returns the newest form of
    /// every event.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if the type is none of the enum's
    /// or the payload is not what the variant needs.
    pub fn decode_raw<T: DeserializeOwned>(&self) -> Result<T> {
        typed::decode(self, self.payload())
    }

    /// What `render` makes of this event in `format`, made once and shared by
    /// every subscriber of the process.
    ///
    /// One format is remembered, the first that asks; another is rendered
    /// anew at each call.
    pub fn rendered(&self, format: &'static str, render: impl FnOnce(&Self) -> Bytes) -> Bytes {
        if let Some((known, bytes)) = self.inner.rendered.get()
            && *known == format
        {
            return bytes.clone();
        }
        let bytes = render(self);
        // Of two that render at once the first is kept; both are the same bytes.
        let _ = self.inner.rendered.set((format, bytes.clone()));
        bytes
    }

    /// The bytes of payload, metadata and tags together.
    #[must_use]
    pub fn size(&self) -> usize {
        self.inner.content.size()
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.inner, &other.inner);
        Arc::ptr_eq(a, b)
            || (a.cursor == b.cursor
                && a.version == b.version
                && a.recorded_at == b.recorded_at
                && a.stream == b.stream
                && a.content == b.content)
    }
}

impl Eq for Event {}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("cursor", &self.cursor())
            .field("stream", self.stream())
            .field("version", &self.version().get())
            .field("content", self.content())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_rendered_once() {
        let content = NewEvent::json("FlightLanded", "{}").unwrap();
        let stream = StreamId::new("flight-UA1545").unwrap();
        let event =
            Event::new(Position::ZERO.next(), stream, Version::FIRST, Timestamp::EPOCH, content);
        let clone = event.clone();
        assert_eq!(event.rendered("a", |_| Bytes::from_static(b"once")), "once");
        assert_eq!(clone.rendered("a", |_| unreachable!("rendered again")), "once");
        assert_eq!(clone.rendered("b", |_| Bytes::from_static(b"other")), "other");
    }
}
