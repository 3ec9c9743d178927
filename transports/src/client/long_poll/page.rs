use bytes::Bytes;
use downlink::transport::Frame;
use downlink::{Cursor, Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::{self, parse_envelope};

/// A page of events.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) events: Vec<Frame>,
    pub(super) cursor: Cursor,
    pub(super) head: Cursor,
    pub(super) more: bool,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    #[serde(borrow)]
    cursor: &'a str,
    #[serde(borrow)]
    head: &'a str,
    more: bool,
}

impl Page {
    /// Reads a page and keeps its bytes: the envelopes are slices of them.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if it is not a page,
    /// [`TooLarge`](ErrorKind::TooLarge) if an event has more bytes than
    /// `event_limit`.
    pub(super) fn parse(bytes: &Bytes, event_limit: usize) -> Result<Self> {
        let page: Document<'_> = wire::object::from_slice(bytes).map_err(corrupt)?;
        let event = |envelope: &RawValue| {
            let envelope = envelope.get().as_bytes();
            if envelope.len() > event_limit {
                let message = format!(
                    "an event is longer than {event_limit} bytes: raise the client's event limit"
                );
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            parse_envelope(bytes.slice_ref(envelope))
        };
        Ok(Self {
            events: page.events.into_iter().map(event).collect::<Result<_>>()?,
            cursor: page.cursor.parse().map_err(corrupt)?,
            head: page.head.parse().map_err(corrupt)?,
            more: page.more,
        })
    }
}

fn corrupt(error: impl Into<downlink::BoxError>) -> Error {
    let error = error.into();
    let message = format!("a page from the feed cannot be read: {error}");
    Error::with_source(ErrorKind::Corrupt, message, error)
}

#[cfg(test)]
mod tests {
    use downlink::event::Timestamp;
    use downlink::{Event, NewEvent, Position, Version};

    use super::*;

    const C: &str = "000000000001a2f0-9c41d07e";

    fn read(text: &str) -> Result<Page> {
        Page::parse(&text.to_owned().into(), 1_000)
    }

    #[test]
    fn envelopes_are_slices_of_the_page() {
        let content = NewEvent::json("T", " {\"gate\" : \"C71\"}").unwrap();
        let position = Position::new(7).unwrap();
        let stream = "s".try_into().unwrap();
        let event = Event::new(position, stream, Version::FIRST, Timestamp::EPOCH, content);
        let envelope = wire::envelope(&event);
        let envelope = std::str::from_utf8(&envelope).unwrap();
        let text = format!(
            r#"{{"events":[{envelope},{envelope}],"cursor":"{C}","head":"{C}","more":true,"later":1}}"#
        );
        let page = read(&text).unwrap();
        assert_eq!((page.cursor.to_string(), page.events.len(), page.more), (C.into(), 2, true));
        let Frame::Event { envelope: read, .. } = &page.events[1] else { panic!() };
        assert_eq!(read, envelope);
        let small = Page::parse(&text.into(), 10).unwrap_err();
        assert_eq!(small.kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn anything_else_is_corrupt() {
        let page = format!(r#"{{"events":[],"cursor":"{C}","head":"{C}","more":false}}"#);
        assert!(read(&page).is_ok());
        for bad in [
            "",
            "{}",
            "[]",
            "null",
            &format!(r#"[[],"{C}","{C}",false]"#),
            &page.replace("[]", "[{}]"),
            &page.replace("[]", "null"),
            &page.replace(C, "7"),
            &page.replace("false", "0"),
            &page[..page.len() - 1],
            &format!("{page}{page}"),
        ] {
            assert_eq!(read(bad).unwrap_err().kind(), ErrorKind::Corrupt, "{bad}");
        }
    }
}
