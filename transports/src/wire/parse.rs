//! Reads what a feed sends: envelopes, control frames and problems.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use downlink::{
    ContentType, Cursor, Error, ErrorKind, Event, EventType, Frame, NewEvent, Result, StoredParts,
    StreamId, Tag, Version,
};
use http::StatusCode;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::object::{self, Object};

/// Reads an envelope and keeps its bytes, of which the event's payload and
/// metadata are parts.
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if it is none, or if its cursor is not that
/// of its event.
pub fn envelope(bytes: Bytes) -> Result<Frame> {
    let parsed: Envelope<'_> =
        object::from_slice(&bytes).map_err(|error| corrupt("an envelope", error))?;
    let event = parsed.event(&bytes).map_err(|error| corrupt("an envelope", error))?;
    Ok(Frame::Event { event, envelope: bytes })
}

/// Reads a control frame; `None` for one that this version does not know.
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if it is none.
pub fn frame(json: &[u8]) -> Result<Option<Frame>> {
    let parsed: Control = object::from_slice(json).map_err(|error| corrupt("a frame", error))?;
    Ok(match parsed {
        Control::Ready { cursor, head, heartbeat_ms } => {
            let heartbeat = heartbeat_ms.map(Duration::from_millis);
            Some(Frame::Ready { cursor: cursor.0, head: head.0, heartbeat })
        }
        Control::Checkpoint { cursor } => Some(Frame::Checkpoint { cursor: cursor.0 }),
        Control::Live { cursor, head } => Some(Frame::Live { cursor: cursor.0, head: head.0 }),
        Control::Behind { cursor, head } => Some(Frame::Behind { cursor: cursor.0, head: head.0 }),
        Control::Reset { reason, head } => Some(Frame::Reset { reason, head: head.0 }),
        Control::Heartbeat { head } => Some(Frame::Heartbeat { head: head.0 }),
        Control::Bye { reason, reconnect_after_ms } => {
            let reconnect_after = Duration::from_millis(reconnect_after_ms);
            Some(Frame::Bye { reason, reconnect_after })
        }
        Control::Problem { problem: Object(Problem { code, detail, retryable, .. }) } => {
            Some(Frame::Problem { code, detail, retryable })
        }
        Control::Unknown => None,
    })
}

/// The error that a refusal stands for: by its code if the body is a problem,
/// by its status otherwise.
#[must_use]
pub fn refusal(status: StatusCode, body: &[u8]) -> Error {
    let Ok(problem) = object::from_slice::<Problem>(body) else {
        let message = format!("the server answered {status} and no problem that says why");
        return Error::new(kind_of_status(status), message);
    };
    let kind = kind_of_code(&problem.code).unwrap_or_else(|| kind_of_status(status));
    Error::new(kind, problem.text())
}

/// What a refusal calls itself; `None` if the body is no problem.
#[must_use]
pub fn problem_code(body: &[u8]) -> Option<String> {
    object::from_slice::<Problem>(body).ok().map(|problem| problem.code)
}

/// The error that a problem in mid-stream stands for.
#[must_use]
pub fn problem(code: &str, detail: &str, retryable: bool) -> Error {
    let otherwise = if retryable { ErrorKind::Unavailable } else { ErrorKind::Invalid };
    Error::new(kind_of_code(code).unwrap_or(otherwise), format!("{detail} ({code})"))
}

fn kind_of_code(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "cursor-ahead" => ErrorKind::CursorAhead,
        // A client has to do the same in both cases: begin again from a state that it trusts.
        "history-changed" | "cursor-expired" => ErrorKind::HistoryChanged,
        "version-conflict" => ErrorKind::Conflict,
        "id-reused" => ErrorKind::IdReused,
        "too-large" => ErrorKind::TooLarge,
        "overloaded" | "limit" => ErrorKind::Overloaded,
        "busy" => ErrorKind::Busy,
        "storage-full" => ErrorKind::StorageFull,
        "corrupt" => ErrorKind::Corrupt,
        "outcome-unknown" => ErrorKind::OutcomeUnknown,
        "draining" | "unavailable" => ErrorKind::Unavailable,
        _ => return None,
    })
}

fn kind_of_status(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        429 => ErrorKind::Overloaded,
        408 | 425 | 502..=504 => ErrorKind::Unavailable,
        413 | 414 | 431 => ErrorKind::TooLarge,
        507 => ErrorKind::StorageFull,
        400..=499 => ErrorKind::Invalid,
        _ => ErrorKind::Backend,
    }
}

fn corrupt(what: &str, error: impl Into<downlink::BoxError>) -> Error {
    let error = error.into();
    let message = format!("{what} from the feed cannot be read: {error}");
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
    // Not `Option` alone, which takes the payload `null` for none.
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
        let version = Version::new(self.version).ok_or_else(|| bad("its version is 0"))?;
        let position = self.cursor.0.position();
        let stream = StreamId::new(&self.stream)?;
        let event = Event::new(position, stream, version, self.time.parse()?, content);
        if event.cursor() != self.cursor.0 {
            return Err(bad("its cursor is not that of its event"));
        }
        Ok(event)
    }

    fn payload(&self, bytes: &Bytes) -> Result<(ContentType, Bytes)> {
        match (self.data, &self.data_base64) {
            (Some(json), None) => Ok((ContentType::JSON, bytes.slice_ref(json.get().as_bytes()))),
            (None, Some(text)) => {
                let name = self.content_type.as_deref();
                let name = name.ok_or_else(|| bad("it has 'data_base64' and no 'content_type'"))?;
                let payload = STANDARD.decode(text).map_err(|error| bad(error.to_string()))?;
                Ok((ContentType::new(name)?, payload.into()))
            }
            _ => Err(bad("it has not just one of 'data' and 'data_base64'")),
        }
    }
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

#[derive(Deserialize)]
#[serde(tag = "frame", rename_all = "snake_case")]
enum Control {
    Ready {
        cursor: Text<Cursor>,
        head: Text<Cursor>,
        heartbeat_ms: Option<u64>,
    },
    Checkpoint {
        cursor: Text<Cursor>,
    },
    Live {
        cursor: Text<Cursor>,
        head: Text<Cursor>,
    },
    Behind {
        cursor: Text<Cursor>,
        head: Text<Cursor>,
    },
    Reset {
        reason: String,
        head: Text<Cursor>,
    },
    Heartbeat {
        head: Text<Cursor>,
    },
    Bye {
        reason: String,
        reconnect_after_ms: u64,
    },
    Problem {
        problem: Object<Problem>,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    retryable: bool,
}

impl Problem {
    fn text(&self) -> String {
        let says = if self.detail.is_empty() { &self.title } else { &self.detail };
        format!("{says} ({})", self.code)
    }
}

/// A value that stands as text in JSON.
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: std::str::FromStr<Err = Error>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(from)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
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
        match envelope(text(payload).into())? {
            Frame::Event { event, envelope } => {
                assert_eq!(envelope, text(payload));
                Ok(event)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_envelope_is_the_event_that_was_stored() {
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
    fn what_is_no_envelope_is_corrupt() {
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
            let error = envelope(bad.clone().into()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{bad}");
        }
    }

    #[test]
    fn control_frames_are_read_and_unknown_members_ignored() {
        let c = cursor();
        let of = |text: &str| frame(text.as_bytes()).unwrap();
        assert_eq!(
            of(&format!(
                r#"{{"frame":"ready","sub":"s1","cursor":"{c}","head":"{c}","heartbeat_ms":15000}}"#
            )),
            Some(Frame::Ready { cursor: c, head: c, heartbeat: Some(Duration::from_secs(15)) })
        );
        assert_eq!(
            of(&format!(r#"{{"frame":"live","cursor":"{c}","head":"{c}","mood":"good"}}"#)),
            Some(Frame::Live { cursor: c, head: c })
        );
        assert_eq!(
            of(r#"{"frame":"bye","reason":"rotate","reconnect_after_ms":240}"#),
            Some(Frame::Bye {
                reason: "rotate".into(),
                reconnect_after: Duration::from_millis(240)
            })
        );
        assert_eq!(
            of(
                r#"{"frame":"problem","problem":{"type":"urn:x","title":"Bad filter","detail":"d","code":"bad-filter","retryable":false}}"#
            ),
            Some(Frame::Problem {
                code: "bad-filter".into(),
                detail: "d".into(),
                retryable: false
            })
        );
        assert_eq!(of(r#"{"frame":"fireworks","colour":"red"}"#), None);
        assert!(frame(br#"{"frame":"live","cursor":"7"}"#).is_err());
        for bad in [
            "null".into(),
            format!(r#"["checkpoint","{c}"]"#),
            r#"["heartbeat"]"#.into(),
            r#"{"frame":"problem","problem":["bad-filter","Bad filter","d",false]}"#.into(),
        ] {
            assert!(frame(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_kind_of_error_comes_back_from_its_code() {
        use ErrorKind as K;
        let kinds = [
            K::Conflict,
            K::IdReused,
            K::Invalid,
            K::TooLarge,
            K::Overloaded,
            K::Busy,
            K::StorageFull,
            K::Unavailable,
            K::OutcomeUnknown,
            K::CursorAhead,
            K::HistoryChanged,
            K::Corrupt,
            K::Backend,
        ];
        for kind in kinds {
            let problem = crate::wire::Problem::from(Error::new(kind, "x"));
            assert_eq!(refusal(problem.status(), problem.to_json().as_bytes()).kind(), kind);
        }
    }

    #[test]
    fn refusals_are_errors_of_their_kind() {
        let kind = |status: u16, code: &str| {
            let body = format!(r#"{{"code":"{code}","detail":"d","retryable":false}}"#);
            refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes()).kind()
        };
        assert_eq!(kind(410, "cursor-ahead"), ErrorKind::CursorAhead);
        assert_eq!(kind(410, "history-changed"), ErrorKind::HistoryChanged);
        assert_eq!(kind(410, "cursor-expired"), ErrorKind::HistoryChanged);
        assert_eq!(kind(400, "bad-filter"), ErrorKind::Invalid);
        assert_eq!(kind(403, "host-not-allowed"), ErrorKind::Invalid);
        assert_eq!(kind(503, "draining"), ErrorKind::Unavailable);
        assert_eq!(kind(503, "overloaded"), ErrorKind::Overloaded);
        assert_eq!(kind(429, "limit"), ErrorKind::Overloaded);
        assert_eq!(refusal(StatusCode::BAD_GATEWAY, b"<html>").kind(), ErrorKind::Unavailable);
        assert_eq!(refusal(StatusCode::NOT_FOUND, b"").kind(), ErrorKind::Invalid);
        let array = br#"["cursor-ahead","","d",false]"#;
        assert_eq!(refusal(StatusCode::BAD_GATEWAY, array).kind(), ErrorKind::Unavailable);
        assert_eq!(problem_code(array), None);
    }
}
