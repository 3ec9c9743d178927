use std::borrow::Cow;

use bytes::Bytes;
use downlink::error::FailedCheck;
use downlink::transport::Frame;
use downlink::{Cursor, Error, ErrorKind, EventId, Expected, Result, StreamId, Version};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{Addressee, Label};
use crate::wire::object::{Object, Text};
use crate::wire::problem::ProblemMembers;
use crate::wire::{
    Code, LiveMessage, parse_envelope, parse_expected, parse_frame, parse_live, problem_error,
};

/// A message of a feed on a WebSocket.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Message {
    /// Frames of one subscription, or of the whole socket.
    Frames {
        /// The subscription; `None` for the whole socket.
        sub: Option<Label>,
        /// The frames, in order.
        frames: Vec<Frame>,
    },
    /// A frame of a live query.
    Live {
        /// The subscription.
        sub: Label,
        /// The frame.
        message: LiveMessage,
    },
    /// The client closed the subscription.
    Unsubscribed {
        /// The subscription.
        sub: Label,
    },
    /// An append was stored.
    Appended {
        /// The request.
        req: Label,
        /// The receipt.
        receipt: Receipt,
    },
    /// An append was refused.
    Refused {
        /// The request.
        req: Label,
        /// The reason, with every failed check.
        error: Error,
    },
    /// The answer to a ping.
    Pong {
        /// The request.
        req: Label,
    },
}

/// The result of an append that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The stream.
    pub stream: StreamId,
    /// The version of the first event.
    pub first: Version,
    /// The version of the last event.
    pub last: Version,
    /// The ids of the events, in order.
    pub ids: Vec<EventId>,
    /// The cursor of the last event.
    pub cursor: Cursor,
    /// Whether an earlier append with the same ids had stored the events.
    pub duplicate: bool,
}

impl Message {
    /// Parses a text message; `None` for a frame that this version does not know.
    ///
    /// # Errors
    ///
    /// [`Corrupt`](ErrorKind::Corrupt) if it is not a message of a feed.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let head: Head<'_> = read(text)?;
        Ok(Some(match (&*head.frame, head.addressee()?) {
            ("events", Some(Addressee::Sub(sub))) => {
                Self::Frames { sub: Some(sub), frames: head.envelopes()? }
            }
            ("unsubscribed", Some(Addressee::Sub(sub))) => Self::Unsubscribed { sub },
            ("appended", Some(Addressee::Req(req))) => {
                Self::Appended { req, receipt: read::<Appended<'_>>(text)?.receipt()? }
            }
            ("problem", Some(Addressee::Req(req))) => {
                Self::Refused { req, error: read::<Refusal<'_>>(text)?.error()? }
            }
            ("pong", Some(Addressee::Req(req))) => Self::Pong { req },
            (_, Some(Addressee::Sub(sub))) if head.is_live() => {
                let Some(message) = parse_live(text.as_bytes())? else { return Ok(None) };
                Self::Live { sub, message }
            }
            (_, to) => {
                let Some(frame) = parse_frame(text.as_bytes())? else { return Ok(None) };
                let sub = match to {
                    Some(Addressee::Sub(sub)) => Some(sub),
                    _ => None,
                };
                Self::Frames { sub, frames: vec![frame] }
            }
        }))
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    frame: Cow<'a, str>,
    sub: Option<String>,
    req: Option<String>,
    /// Only frames of live queries have a token or a key.
    token: Option<IgnoredAny>,
    key: Option<IgnoredAny>,
    #[serde(borrow, default)]
    events: Vec<&'a RawValue>,
}

impl Head<'_> {
    fn is_live(&self) -> bool {
        self.token.is_some() || self.key.is_some()
    }

    fn addressee(&self) -> Result<Option<Addressee>> {
        let label =
            |text: &String| Label::new(&**text).ok_or_else(|| corrupt("a label is not valid"));
        let sub = self.sub.as_ref().map(label).transpose()?;
        let req = self.req.as_ref().map(label).transpose()?;
        Ok(sub.map(Addressee::Sub).or(req.map(Addressee::Req)))
    }

    /// Copies each envelope, so that one event does not keep a whole message in
    /// memory.
    fn envelopes(&self) -> Result<Vec<Frame>> {
        let copy = |raw: &&RawValue| Bytes::copy_from_slice(raw.get().as_bytes());
        self.events.iter().map(copy).map(parse_envelope).collect()
    }
}

#[derive(Deserialize)]
struct Appended<'a> {
    #[serde(borrow)]
    stream: Cow<'a, str>,
    first_version: u64,
    last_version: u64,
    ids: Vec<Text<EventId>>,
    cursor: Text<Cursor>,
    duplicate: bool,
}

impl Appended<'_> {
    fn receipt(self) -> Result<Receipt> {
        let version =
            |number| Version::new(number).ok_or_else(|| corrupt("a version is out of range"));
        Ok(Receipt {
            stream: StreamId::new(&self.stream)?,
            first: version(self.first_version)?,
            last: version(self.last_version)?,
            ids: self.ids.into_iter().map(|id| id.0).collect(),
            cursor: self.cursor.0,
            duplicate: self.duplicate,
        })
    }
}

#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow)]
    problem: &'a RawValue,
}

/// A failed check of a stream. Other checks lack these members.
#[derive(Deserialize)]
struct Failed {
    stream: Option<String>,
    expected: Option<WireExpected>,
    actual: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireExpected {
    Word(String),
    Version(u64),
}

impl Refusal<'_> {
    fn error(&self) -> Result<Error> {
        let problem: ProblemMembers<'_> = read(self.problem.get())?;
        let failed: Vec<Object<Failed>> = match problem.failed {
            Some(failed) => read_any(failed.get())?,
            None => Vec::new(),
        };
        let failed = failed.into_iter().filter_map(|Object(failed)| failed.check());
        let failed: Vec<_> = failed.collect::<Result<_>>()?;
        if problem.code == Code::VersionConflict.as_str() && !failed.is_empty() {
            return Ok(Error::conflict(failed));
        }
        Ok(problem_error(&problem.code, &problem.detail, problem.retryable))
    }
}

impl Failed {
    fn check(self) -> Option<Result<FailedCheck>> {
        let (stream, expected, actual) = (self.stream?, self.expected?, self.actual?);
        let expected = match expected {
            WireExpected::Word(word) => parse_expected(&word),
            WireExpected::Version(version) => parse_expected(&version.to_string()),
        };
        Some(
            expected.map_err(|_| corrupt("a failed check has no valid expected version")).and_then(
                |expected: Expected| {
                    let stream = StreamId::new(stream)?;
                    Ok(FailedCheck::Stream { stream, expected, actual: Version::new(actual) })
                },
            ),
        )
    }
}

/// Reads an object.
fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T> {
    read_any::<Object<T>>(text).map(|Object(members)| members)
}

fn read_any<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        let message = format!("a message from the feed cannot be read: {error}");
        Error::with_source(ErrorKind::Corrupt, message, error)
    })
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("a message from the feed cannot be read: {what}"))
}

#[cfg(test)]
mod tests {
    use downlink::event::Timestamp;
    use downlink::{Event, NewEvent, Position};

    use super::*;
    use crate::wire::{self, Reply};

    fn label(text: &str) -> Label {
        Label::new(text).unwrap()
    }

    fn parse(text: &str) -> Message {
        Message::parse(text).unwrap().unwrap()
    }

    fn event(n: u8) -> Event {
        let content = NewEvent::json("T", format!("{{\"a\":\n{n}}}")).unwrap();
        let content = content.with_id(EventId::from_bytes([n; 16]));
        let (position, version) =
            (Position::new(n.into()).unwrap(), Version::new(n.into()).unwrap());
        Event::new(position, StreamId::new("s").unwrap(), version, Timestamp::EPOCH, content)
    }

    #[test]
    fn events_are_read_byte_for_byte() {
        let envelopes = [1, 2].map(|n| wire::envelope(&event(n)));
        let text: Vec<_> = wire::events_parts(&label("s1"), envelopes.iter().cloned()).collect();
        let text = String::from_utf8(text.concat()).unwrap();
        let Message::Frames { sub, frames } = parse(&text) else { panic!("no frames") };
        assert_eq!(sub, Some(label("s1")));
        for (frame, sent) in frames.iter().zip(&envelopes) {
            let Frame::Event { envelope, .. } = frame else { panic!("{frame:?}") };
            assert_eq!(envelope, sent);
        }
        assert_eq!(frames.len(), 2);
    }

    #[test]
    fn frames_belong_to_a_subscription_or_to_the_socket() {
        let cursor = event(1).cursor();
        let frames = vec![Frame::Checkpoint { cursor }];
        for to in [Some("s1"), None] {
            let Message::Frames { sub, frames: got } = parse(&wire::frame_json(&frames[0], to))
            else {
                panic!("no frames")
            };
            assert_eq!((sub, got), (to.and_then(Label::new), frames.clone()));
        }
        let text = Reply::Unsubscribed { sub: &label("s1") }.json();
        assert!(matches!(parse(&text), Message::Unsubscribed { sub } if sub == label("s1")));
        let text = Reply::Pong { req: &label("p1") }.json();
        assert!(matches!(parse(&text), Message::Pong { req } if req == label("p1")));
        assert!(Message::parse(r#"{"frame":"fireworks","colour":"red"}"#).unwrap().is_none());
    }

    #[test]
    fn a_receipt_is_read() {
        let text = r#"{"frame":"appended","req":"a1","stream":"s","first_version":8,"last_version":9,"ids":["0198c0de-7a10-7c3e-9b1f-2f6f0d9a4e11"],"cursor":"000000000001a2f0-9c41d07e","duplicate":true,"more":1}"#;
        let Message::Appended { req, receipt } = parse(text) else { panic!("no receipt") };
        assert_eq!((req, receipt.stream.as_str()), (label("a1"), "s"));
        assert_eq!((receipt.first.get(), receipt.last.get()), (8, 9));
        assert_eq!(receipt.cursor.to_string(), "000000000001a2f0-9c41d07e");
        assert_eq!((receipt.ids.len(), receipt.duplicate), (1, true));
    }

    #[test]
    fn a_refused_append_has_every_failed_check() {
        let stream = StreamId::new("s").unwrap();
        for expected in [Expected::NoStream, Expected::Exists, Expected::Exact(Version::FIRST)] {
            let actual = Version::new(7);
            let failed = vec![FailedCheck::Stream { stream: stream.clone(), expected, actual }];
            let problem = wire::Problem::from(Error::conflict(failed.clone()));
            let to = Addressee::Req(label("a1"));
            let text = Reply::Problem { to: Some(&to), problem: &problem }.json();
            let Message::Refused { error, .. } = parse(&text) else { panic!("no refusal") };
            assert_eq!((error.kind(), error.failed_checks()), (ErrorKind::Conflict, &*failed));
        }
        let problem = wire::Problem::from(Error::new(ErrorKind::Overloaded, "full"));
        let to = Addressee::Req(label("a1"));
        let text = Reply::Problem { to: Some(&to), problem: &problem }.json();
        let Message::Refused { error, .. } = parse(&text) else { panic!("no refusal") };
        assert_eq!(error.kind(), ErrorKind::Overloaded);
    }

    #[test]
    fn anything_else_is_corrupt() {
        for bad in [
            "",
            "[]",
            "{}",
            r#"["pong",null,"p1",[]]"#,
            r#"{"frame":"pong","req":"a b"}"#,
            r#"{"frame":"appended","req":"a1"}"#,
            r#"{"frame":"events","sub":"s1","events":[{}]}"#,
            r#"{"frame":"live","sub":"s1"}"#,
        ] {
            assert_eq!(Message::parse(bad).unwrap_err().kind(), ErrorKind::Corrupt, "{bad}");
        }
    }
}
