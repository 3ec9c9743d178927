use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;

use super::typed;
use crate::cursor::Cursor;
use crate::error::Result;
use crate::event::{ContentType, Format, NewEvent, Timestamp};
use crate::id::{EventId, EventType, Position, StreamId, Tag, Version};

/// A stored event: immutable, with its version in its stream and its position
/// in the log.
///
/// Cheap to clone: clones share everything.
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
    /// The first wire format that was kept, and its bytes.
    rendered: OnceLock<(Format, Bytes)>,
    /// Whether it was rendered before.
    is_in_demand: AtomicBool,
}

impl Event {
    /// Creates an event as read from a store. For backends.
    #[must_use]
    pub fn new(
        position: Position,
        stream: StreamId,
        version: Version,
        recorded_at: Timestamp,
        content: NewEvent,
    ) -> Self {
        let inner = Inner {
            cursor: Cursor::of(position, content.id()),
            stream,
            version,
            recorded_at,
            content,
            rendered: OnceLock::new(),
            is_in_demand: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The position in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        self.inner.cursor.position()
    }

    /// The cursor to resume after this event.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.inner.cursor
    }

    /// The stream that it belongs to.
    #[must_use]
    pub fn stream(&self) -> &StreamId {
        &self.inner.stream
    }

    /// The version in its stream.
    #[must_use]
    pub fn version(&self) -> Version {
        self.inner.version
    }

    /// The time of the store's clock at the commit. It never decreases along
    /// the log, unless another log was added to it, whose events keep their times.
    ///
    /// If a clock was ahead and is set back, later events are therefore
    /// recorded with the time of the last event before, until the clock has
    /// caught up. The store logs one warning about this, and
    /// [`HubStats::clock_behind`](crate::hub::HubStats::clock_behind) shows it.
    #[must_use]
    pub fn recorded_at(&self) -> Timestamp {
        self.inner.recorded_at
    }

    /// The event as it was appended: id, type, payload, metadata and tags.
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

    /// The content type of the payload.
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
    /// Upcasts are not applied. If the form of an event has ever changed, use
    /// [`Schema::decode`](crate::Schema::decode), which returns every event in
    /// its newest form.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if the enum has no variant for
    /// the type, or the payload does not fit the variant.
    pub fn decode_raw<T: DeserializeOwned>(&self) -> Result<T> {
        typed::decode(self, self.payload())
    }

    /// The bytes that `render` makes of this event for `format`, rendered once
    /// and shared by every subscriber of the process.
    ///
    /// Only the first format that is rendered is cached. Any other format is
    /// rendered at each call.
    pub fn rendered(&self, format: Format, render: impl FnOnce(&Self) -> Bytes) -> Bytes {
        if let Some(bytes) = self.kept(format) {
            return bytes.clone();
        }
        let bytes = render(self);
        // If two threads render at once, the first result is kept; both are the same bytes.
        let _ = self.inner.rendered.set((format, bytes.clone()));
        bytes
    }

    /// As [`rendered`](Self::rendered), but appends the bytes to `out`, as `render` does.
    ///
    /// They are cached from the second call on: what one reader needs, as in a replay, is
    /// rendered in place.
    pub fn render_into(
        &self,
        format: Format,
        out: &mut BytesMut,
        render: impl FnOnce(&Self, &mut BytesMut),
    ) {
        if let Some(bytes) = self.kept(format) {
            return out.extend_from_slice(bytes);
        }
        let start = out.len();
        render(self, out);
        let inner = &self.inner;
        if inner.is_in_demand.swap(true, Ordering::Relaxed) && inner.rendered.get().is_none() {
            let _ = inner.rendered.set((format, Bytes::copy_from_slice(&out[start..])));
        }
    }

    fn kept(&self, format: Format) -> Option<&Bytes> {
        let (known, bytes) = self.inner.rendered.get()?;
        (*known == format).then_some(bytes)
    }

    /// The size of payload, metadata and tags together, in bytes.
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

    fn event() -> Event {
        let content = NewEvent::json("FlightLanded", "{}").unwrap();
        let stream = StreamId::new("flight-UA1545").unwrap();
        Event::new(Position::ZERO.next(), stream, Version::FIRST, Timestamp::EPOCH, content)
    }

    #[test]
    fn is_rendered_once() {
        let event = event();
        let clone = event.clone();
        let format = Format::shared("a");
        assert_eq!(event.rendered(format, |_| Bytes::from_static(b"once")), "once");
        assert_eq!(clone.rendered(format, |_| unreachable!("rendered again")), "once");
        for other in [Format::shared("b"), Format::unique("a"), Format::unique("a")] {
            assert_eq!(clone.rendered(other, |_| Bytes::from_static(b"other")), "other");
        }
        assert_ne!(Format::unique("a"), Format::unique("a"));
    }

    #[test]
    fn is_kept_from_the_second_reader_on() {
        let (event, format) = (event(), Format::shared("a"));
        let mut out = BytesMut::new();
        for text in ["first ", "second "] {
            event.render_into(format, &mut out, |_, out| out.extend_from_slice(text.as_bytes()));
        }
        event.render_into(format, &mut out, |_, _| unreachable!("rendered again"));
        assert_eq!(out, "first second second ");
        assert_eq!(event.rendered(format, |_| unreachable!("rendered again")), "second ");
        event.render_into(Format::shared("b"), &mut out, |_, out| out.extend_from_slice(b"other"));
        assert!(out.ends_with(b"second other"));
    }
}
