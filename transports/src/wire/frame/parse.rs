use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use downlink::transport::Frame;
use downlink::{Cursor, Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::object::{self, Text};
use crate::wire::problem::ProblemMembers;

/// Reads a control frame, which is any frame but one with events; `None` if
/// this version does not know it.
///
/// # Errors
///
/// [`Corrupt`](ErrorKind::Corrupt) if it is not a frame.
pub fn parse_frame(json: &[u8]) -> Result<Option<Frame>> {
    parse(json).map_err(|error| {
        let message = format!("a frame from the feed cannot be read: {error}");
        Error::with_source(ErrorKind::Corrupt, message, error)
    })
}

fn parse(json: &[u8]) -> serde_json::Result<Option<Frame>> {
    let Name { frame } = object::from_slice(json)?;
    Ok(Some(match &*frame {
        "ready" => {
            let Ready { cursor, head, heartbeat_ms } = object::from_slice(json)?;
            let heartbeat = heartbeat_ms.map(Duration::from_millis);
            Frame::Ready { cursor: cursor.0, head: head.0, heartbeat }
        }
        "checkpoint" => {
            let Checkpoint { cursor } = object::from_slice(json)?;
            Frame::Checkpoint { cursor: cursor.0 }
        }
        "live" => {
            let Progress { cursor, head } = object::from_slice(json)?;
            Frame::Live { cursor: cursor.0, head: head.0 }
        }
        "behind" => {
            let Progress { cursor, head } = object::from_slice(json)?;
            Frame::Behind { cursor: cursor.0, head: head.0 }
        }
        "reset" => {
            let Reset { reason, head } = object::from_slice(json)?;
            Frame::Reset { reason, head: head.0 }
        }
        "heartbeat" => {
            let Heartbeat { head } = object::from_slice(json)?;
            Frame::Heartbeat { head: head.0 }
        }
        "bye" => {
            let Bye { reason, reconnect_after_ms } = object::from_slice(json)?;
            Frame::Bye { reason, reconnect_after: Duration::from_millis(reconnect_after_ms) }
        }
        "problem" => {
            let Problem { problem } = object::from_slice(json)?;
            let json = problem.get().as_bytes();
            let ProblemMembers { code, detail, retryable, .. } = ProblemMembers::parse(json)?;
            Frame::Problem { code, detail, retryable, json: Bytes::copy_from_slice(json) }
        }
        _ => return Ok(None),
    }))
}

#[derive(Deserialize)]
struct Name<'a> {
    #[serde(borrow)]
    frame: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Ready {
    cursor: Text<Cursor>,
    head: Text<Cursor>,
    heartbeat_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Checkpoint {
    cursor: Text<Cursor>,
}

#[derive(Deserialize)]
struct Progress {
    cursor: Text<Cursor>,
    head: Text<Cursor>,
}

#[derive(Deserialize)]
struct Reset {
    reason: String,
    head: Text<Cursor>,
}

#[derive(Deserialize)]
struct Heartbeat {
    head: Text<Cursor>,
}

#[derive(Deserialize)]
struct Bye {
    reason: String,
    reconnect_after_ms: u64,
}

#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(borrow)]
    problem: &'a RawValue,
}

#[cfg(test)]
mod tests {
    use downlink::{EventId, Position};
    use proptest::prelude::*;

    use super::*;
    use crate::client::EventStream;
    use crate::wire::{self, Code, frame_block, frame_json};

    fn any_cursor() -> impl Strategy<Value = Cursor> {
        (1..=i64::MAX.unsigned_abs(), any::<[u8; 16]>()).prop_map(|(position, id)| {
            Cursor::of(Position::new(position).unwrap(), EventId::from_bytes(id))
        })
    }

    fn any_problem() -> impl Strategy<Value = wire::Problem> {
        (0..Code::ALL.len(), any::<String>(), any::<String>()).prop_map(
            |(code, detail, parameter)| {
                wire::Problem::new(Code::ALL[code], detail).with_parameter(parameter)
            },
        )
    }

    fn any_frame() -> impl Strategy<Value = Frame> {
        let millis = || any::<u64>().prop_map(Duration::from_millis);
        let cursors = || (any_cursor(), any_cursor());
        prop_oneof![
            (cursors(), prop::option::of(millis())).prop_map(|((cursor, head), heartbeat)| {
                Frame::Ready { cursor, head, heartbeat }
            }),
            any_cursor().prop_map(|cursor| Frame::Checkpoint { cursor }),
            cursors().prop_map(|(cursor, head)| Frame::Live { cursor, head }),
            cursors().prop_map(|(cursor, head)| Frame::Behind { cursor, head }),
            (any::<String>(), any_cursor())
                .prop_map(|(reason, head)| Frame::Reset { reason, head }),
            any_cursor().prop_map(|head| Frame::Heartbeat { head }),
            (any::<String>(), millis())
                .prop_map(|(reason, reconnect_after)| Frame::Bye { reason, reconnect_after }),
            any_problem().prop_map(|problem| problem.to_frame()),
        ]
    }

    proptest! {
        #[test]
        fn every_control_frame_is_read_as_it_was_rendered(
            frame in any_frame(),
            sub in prop::option::of("[A-Za-z0-9_-]{1,32}"),
        ) {
            let json = frame_json(&frame, sub.as_deref());
            prop_assert_eq!(parse_frame(json.as_bytes()).unwrap(), Some(frame.clone()));

            let block = frame_block(&frame, Some(Duration::from_secs(1)));
            let event = EventStream::new().next(&mut &block[..]).unwrap().unwrap();
            prop_assert_eq!(parse_frame(&event.data).unwrap(), Some(frame.clone()));
            let id = frame.cursor().map(|cursor| cursor.to_string());
            prop_assert_eq!(event.last_event_id, id.unwrap_or_default());
        }
    }

    #[test]
    fn unknown_frames_and_members_are_ignored() {
        let cursor = "000000000001a2f0-9c41d07e".parse().unwrap();
        let parse = |text: &str| parse_frame(text.as_bytes()).unwrap();
        assert_eq!(
            parse(&format!(
                r#"{{"frame":"live","cursor":"{cursor}","head":"{cursor}","mood":"good"}}"#
            )),
            Some(Frame::Live { cursor, head: cursor })
        );
        assert_eq!(parse(r#"{"frame":"fireworks","cursor":7}"#), None);
        let problem = r#"{"type":"urn:x","code":"bad-filter","detail":"d","parameter":"stream"}"#;
        assert_eq!(
            parse(&format!(r#"{{"frame":"problem","problem":{problem}}}"#)),
            Some(Frame::Problem {
                code: "bad-filter".into(),
                detail: "d".into(),
                retryable: false,
                json: problem.into(),
            })
        );
    }

    #[test]
    fn anything_else_is_corrupt() {
        for bad in [
            "null",
            r#"{"frame":"live","cursor":"7"}"#,
            r#"["checkpoint","000000000001a2f0-9c41d07e"]"#,
            r#"["heartbeat"]"#,
            r#"{"frame":"problem","problem":["bad-filter","Bad filter","d",false]}"#,
        ] {
            let error = parse_frame(bad.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{bad}");
        }
    }
}
