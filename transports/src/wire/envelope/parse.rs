use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use downlink::event::{ContentType, StoredParts};
use downlink::transport::Frame;
use downlink::{
    Cursor, Error, ErrorKind, Event, EventType, NewEvent, Result, StreamId, Tag, Version,
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::wire::object::{self, Text};

/// Reads an envelope and keeps its bytes: the event's payload and metadata are
/// slices of them.
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if it is not an envelope, or if its cursor is
/// not the cursor of its event.
pub fn parse_envelope(bytes: Bytes) -> Result<Frame> {
    let parsed: Envelope<'_> = object::from_slice(&bytes).map_err(corrupt)?;
    let event = parsed.event(&bytes).map_err(corrupt)?;
    Ok(Frame::Event { event, envelope: bytes })
}

fn corrupt(error: impl Into<downlink::BoxError>) -> Error {
    let error = error.into();
    let message = format!("an envelope from the feed cannot be read: {error}");
    Error::with_source(ErrorKind::Corrupt, message, error)
}

#[derive(Deserialize)]
struct Envelope<'a> {
    cursor: Text<Cursor>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    version: u64,
    #[serde(borrow, rename = "type")]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    // A plain `Option` would read the payload `null` as absent.
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    data_base64: Option<String>,
    content_type: Option<String>,
    #[serde(borrow)]
    metadata: &'a RawValue,
    tags: Vec<String>,
}

fn present<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

impl Envelope<'_> {
    fn event(&self, bytes: &Bytes) -> Result<Event> {
        let (content_type, payload) = self.payload(bytes)?;
        let content = NewEvent::from_stored(StoredParts {
            id: self.id.parse()?,
            event_type: EventType::new(&self.event_type)?,
            content_type,
            payload,
            metadata: bytes.slice_ref(self.metadata.get().as_bytes()),
            tags: self.tags.iter().map(Tag::new).collect::<Result<_>>()?,
        });
        let version = Version::new(self.version).ok_or_else(|| invalid("its version is 0"))?;
        let position = self.cursor.0.position();
        let stream = StreamId::new(&self.stream)?;
        let event = Event::new(position, stream, version, self.time.parse()?, content);
        if event.cursor() != self.cursor.0 {
            return Err(invalid("its cursor is not the cursor of its event"));
        }
        Ok(event)
    }

    fn payload(&self, bytes: &Bytes) -> Result<(ContentType, Bytes)> {
        match (self.data, &self.data_base64) {
            (Some(json), None) => Ok((ContentType::JSON, bytes.slice_ref(json.get().as_bytes()))),
            (None, Some(text)) => {
                let name = self.content_type.as_deref();
                let name =
                    name.ok_or_else(|| invalid("it has 'data_base64' and no 'content_type'"))?;
                let payload = BASE64.decode(text).map_err(|error| invalid(error.to_string()))?;
                Ok((ContentType::new(name)?, payload.into()))
            }
            _ => Err(invalid("it needs exactly one of 'data' and 'data_base64'")),
        }
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

#[cfg(test)]
mod tests {
    use downlink::{EventId, Position};

    use super::*;

    const ID: &str = "0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11";

    fn cursor() -> Cursor {
        Cursor::of(Position::new(0x1a2f0).unwrap(), ID.parse::<EventId>().unwrap())
    }

    fn text(payload: &str) -> String {
        format!(
            r#"{{"cursor":"{}","id":"{ID}","stream":"flight-UA1545","version":7,"type":"FlightDeparted","time":"2026-11-23T10:17:00.000000Z",{payload},"metadata":{{"by": "ops"}},"tags":["airport:EWR"],"later":[1]}}"#,
            cursor()
        )
    }

    /// The members of an envelope without their names.
    fn array(payload: &str) -> String {
        format!(
            r#"["{}","{ID}","s",7,"T","2026-11-23T10:17:00.000000Z",{payload},null,null,{{}},[]]"#,
            cursor()
        )
    }

    fn read(payload: &str) -> Result<Event> {
        match parse_envelope(text(payload).into())? {
            Frame::Event { event, envelope } => {
                assert_eq!(envelope, text(payload));
                Ok(event)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_envelope_is_read_as_the_stored_event() {
        let event = read(r#""data":{"gate": "C71"}"#).unwrap();
        assert_eq!(event.cursor(), cursor());
        assert_eq!(event.stream().as_str(), "flight-UA1545");
        assert_eq!(event.version().get(), 7);
        assert_eq!(event.event_type().as_str(), "FlightDeparted");
        assert_eq!(event.recorded_at().to_string(), "2026-11-23T10:17:00.000000Z");
        assert_eq!(event.payload(), r#"{"gate": "C71"}"#);
        assert_eq!(event.metadata(), r#"{"by": "ops"}"#);
        assert_eq!(event.tags()[0].as_str(), "airport:EWR");
        assert!(event.content_type().is_json());
    }

    #[test]
    fn payloads_of_every_kind_are_read() {
        assert_eq!(read(r#""data":null"#).unwrap().payload(), "null");
        assert_eq!(read(r#""data":"\u2028""#).unwrap().payload(), r#""\u2028""#);
        let forged = r#""data":{"cursor":"0000000000000000-00000000","tags":7}"#;
        assert_eq!(read(forged).unwrap().cursor(), cursor());
        let binary = read(r#""data_base64":"AAH/","content_type":"image/png""#).unwrap();
        assert_eq!(&binary.payload()[..], [0, 1, 255]);
        assert_eq!(binary.content_type().as_str(), "image/png");
    }

    #[test]
    fn anything_else_is_corrupt() {
        let other = text(r#""data":1"#).replace(ID, "0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e12");
        for bad in [
            String::new(),
            "{}".into(),
            "[]".into(),
            array(r#"{"gate":"C71"}"#),
            text(r#""x":1"#),
            text(r#""data":1,"data":2"#),
            text(r#""data":1,"data_base64":"""#),
            text(r#""data_base64":"AAH/""#),
            text(r#""data_base64":"AAH","content_type":"image/png""#),
            text(r#""data":1"#).replace(":7,", ":0,"),
            text(r#""data":1"#).replace("flight-UA1545", ""),
            other,
        ] {
            let error = parse_envelope(bad.clone().into()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{bad}");
        }
    }
}
