use bytes::Bytes;
use downlink::{Cursor, Event, StreamId, Version};

use super::envelope::{Renderer, put, put_text};

/// The bytes of the events of one page, unless it has only one event.
const MAX_BYTES: usize = 1 << 20;

/// The envelopes of one page, as many as fit.
#[derive(Debug, Default)]
pub(crate) struct Envelopes {
    renderer: Renderer,
    rendered: Vec<Bytes>,
    bytes: usize,
    last: Option<Cursor>,
    is_full: bool,
}

impl Envelopes {
    /// None yet, of a feed that renders like this.
    pub(crate) fn new(renderer: &Renderer) -> Self {
        Self { renderer: renderer.clone(), ..Self::default() }
    }

    pub(crate) fn of(events: &[Event], renderer: &Renderer) -> Self {
        let mut envelopes = Self::new(renderer);
        for event in events {
            if !envelopes.push(event) {
                break;
            }
        }
        envelopes
    }

    /// Adds an event. Returns `false` if it does not fit; later ones do not either.
    pub(crate) fn push(&mut self, event: &Event) -> bool {
        let envelope = self.renderer.envelope(event);
        let bytes = self.bytes + envelope.len() + 1;
        self.is_full |= bytes > MAX_BYTES && !self.rendered.is_empty();
        if self.is_full {
            return false;
        }
        self.bytes = bytes;
        self.last = Some(event.cursor());
        self.rendered.push(envelope);
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.rendered.len()
    }

    /// Whether an event did not fit.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The cursor of the last event that was added.
    pub(crate) fn last(&self) -> Option<Cursor> {
        self.last
    }

    fn put(&self, out: &mut String) {
        out.push_str("\"events\":[");
        for (index, envelope) in self.rendered.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(&String::from_utf8_lossy(envelope));
        }
        out.push(']');
    }

    /// Renders the answer of `GET /feed`.
    pub(crate) fn feed_page(&self, cursor: Cursor, head: Cursor, more: bool) -> String {
        let mut out = String::with_capacity(self.bytes + 128);
        out.push('{');
        self.put(&mut out);
        put(
            &mut out,
            format_args!(",\"cursor\":\"{cursor}\",\"head\":\"{head}\",\"more\":{more}}}"),
        );
        out
    }

    /// Renders the answer of `GET /streams/{stream}`.
    pub(crate) fn stream_page(
        &self,
        stream: &StreamId,
        version: Version,
        cursor: Option<Cursor>,
        more: bool,
    ) -> String {
        let mut out = String::with_capacity(self.bytes + 384);
        out.push_str("{\"stream\":");
        put_text(&mut out, stream.as_str());
        put(&mut out, format_args!(",\"version\":{version},"));
        self.put(&mut out);
        if let Some(cursor) = cursor {
            put(&mut out, format_args!(",\"cursor\":\"{cursor}\""));
        }
        put(&mut out, format_args!(",\"more\":{more}}}"));
        out
    }
}

#[cfg(test)]
mod tests {
    use downlink::event::Timestamp;
    use downlink::{NewEvent, Position};

    use super::*;

    fn event(position: u64, bytes: usize) -> Event {
        let payload = format!("\"{}\"", "x".repeat(bytes));
        let content = NewEvent::json("T", payload).unwrap();
        let position = Position::new(position).unwrap();
        Event::new(position, "s".try_into().unwrap(), Version::FIRST, Timestamp::EPOCH, content)
    }

    #[test]
    fn a_page_has_at_most_a_mebibyte_but_at_least_one_event() {
        let half = [event(1, 500 << 10), event(2, 500 << 10), event(3, 500 << 10), event(4, 1)];
        let page = Envelopes::of(&half, &Renderer::default());
        assert_eq!((page.len(), page.is_full()), (2, true));
        assert_eq!(page.last(), Some(half[1].cursor()));
        let whole = [event(1, (1 << 20) - 2)];
        let page = Envelopes::of(&whole, &Renderer::default());
        assert_eq!((page.len(), page.is_full()), (1, false));
    }

    #[test]
    fn pages_are_rendered_as_in_the_wire_contract() {
        let page = Envelopes::default();
        let start = Cursor::START;
        assert_eq!(
            page.feed_page(start, start, false),
            format!(r#"{{"events":[],"cursor":"{start}","head":"{start}","more":false}}"#)
        );
        let stream = StreamId::new("s").unwrap();
        assert_eq!(
            page.stream_page(&stream, Version::FIRST, None, true),
            r#"{"stream":"s","version":1,"events":[],"more":true}"#
        );
        let page = page.stream_page(&stream, Version::FIRST, Some(start), false);
        assert_eq!(
            page,
            format!(r#"{{"stream":"s","version":1,"events":[],"cursor":"{start}","more":false}}"#)
        );
    }
}
