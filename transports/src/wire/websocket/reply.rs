use bytes::Bytes;

use super::{Addressee, Label};
use crate::wire::Problem;
use crate::wire::envelope::{put, put_text};

/// A frame that is sent on a WebSocket only.
///
/// # Examples
///
/// ```
/// use downlink_transports::wire::{Label, Reply};
///
/// let req = Label::new("p1").unwrap();
/// assert_eq!(Reply::Pong { req: &req }.json(), r#"{"frame":"pong","req":"p1"}"#);
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the members of the frame of the same name")]
pub enum Reply<'a> {
    /// The subscription was closed; nothing of it follows.
    Unsubscribed { sub: &'a Label },
    /// An append was stored; `appended` is the result of
    /// [`appended_json`](crate::wire::appended_json).
    Appended { req: &'a Label, appended: &'a str },
    /// The answer to a ping.
    Pong { req: &'a Label },
    /// Something was refused or went wrong.
    Problem { to: Option<&'a Addressee>, problem: &'a Problem },
}

impl Reply<'_> {
    /// The frame as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let mut out = String::with_capacity(64);
        match self {
            Self::Unsubscribed { sub } => {
                put(&mut out, format_args!("{{\"frame\":\"unsubscribed\",\"sub\":\"{sub}\"}}"));
            }
            Self::Appended { req, appended } => {
                let members = appended.strip_prefix('{').unwrap_or(appended);
                let head = format_args!("{{\"frame\":\"appended\",\"req\":\"{req}\",{members}");
                put(&mut out, head);
            }
            Self::Pong { req } => {
                put(&mut out, format_args!("{{\"frame\":\"pong\",\"req\":\"{req}\"}}"));
            }
            Self::Problem { to, problem } => {
                out.push_str("{\"frame\":\"problem\"");
                if let Some(to) = to {
                    put_addressee(&mut out, to);
                }
                put(&mut out, format_args!(",\"problem\":{}}}", problem.to_frame_json()));
            }
        }
        out
    }
}

fn put_addressee(out: &mut String, to: &Addressee) {
    let (member, label) = match to {
        Addressee::Sub(label) => ("sub", label),
        Addressee::Req(label) => ("req", label),
    };
    put(out, format_args!(",\"{member}\":"));
    put_text(out, label.as_str());
}

const HEAD: &str = "{\"frame\":\"events\",\"sub\":\"";
const MIDDLE: &str = "\",\"events\":[";
const TAIL: &str = "]}";

/// The length of the frame with these [envelopes](crate::wire::envelope), in bytes.
pub(crate) fn events_len(sub: &Label, envelopes: &[Bytes]) -> usize {
    let elements: usize = envelopes.iter().map(|envelope| envelope.len() + 1).sum();
    HEAD.len() + sub.as_str().len() + MIDDLE.len() + elements.saturating_sub(1) + TAIL.len()
}

/// The parts of that frame, which share the bytes of the envelopes.
pub(crate) fn events_parts(
    sub: &Label,
    envelopes: impl Iterator<Item = Bytes>,
) -> impl Iterator<Item = Bytes> {
    let head = Bytes::from([HEAD, sub.as_str(), MIDDLE].concat());
    let comma = Bytes::from_static(b",");
    let elements = envelopes.enumerate().flat_map(move |(index, envelope)| {
        let comma = if index == 0 { Bytes::new() } else { comma.clone() };
        [comma, envelope]
    });
    std::iter::once(head).chain(elements).chain([Bytes::from_static(TAIL.as_bytes())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Code;

    fn label(text: &str) -> Label {
        Label::new(text).unwrap()
    }

    #[test]
    fn frames_are_rendered_as_in_the_wire_contract() {
        let (sub, req) = (label("s1"), label("a1"));
        let unsubscribed = Reply::Unsubscribed { sub: &sub };
        assert_eq!(unsubscribed.json(), r#"{"frame":"unsubscribed","sub":"s1"}"#);
        let appended = Reply::Appended { req: &req, appended: r#"{"stream":"s","ids":[]}"# };
        assert_eq!(appended.json(), r#"{"frame":"appended","req":"a1","stream":"s","ids":[]}"#);
        let problem = Problem::new(Code::BadFilter, "why");
        let of =
            |to: Option<Addressee>| Reply::Problem { to: to.as_ref(), problem: &problem }.json();
        let rest = r#""problem":{"type":"urn:downlink:problem:bad-filter","title":"Bad filter","detail":"why","code":"bad-filter","retryable":false}}"#;
        assert_eq!(of(None), format!(r#"{{"frame":"problem",{rest}"#));
        let to_sub = of(Some(Addressee::Sub(sub.clone())));
        assert_eq!(to_sub, format!(r#"{{"frame":"problem","sub":"s1",{rest}"#));
        let to_req = of(Some(Addressee::Req(req.clone())));
        assert_eq!(to_req, format!(r#"{{"frame":"problem","req":"a1",{rest}"#));
    }

    #[test]
    fn a_run_of_events_is_one_frame() {
        let envelopes = [Bytes::from_static(b"{\"n\":1}"), Bytes::from_static(b"{\"n\":2}")];
        for count in 0..=2 {
            let out: Vec<_> =
                events_parts(&label("s1"), envelopes[..count].iter().cloned()).collect();
            let out = out.concat();
            assert_eq!(out.len(), events_len(&label("s1"), &envelopes[..count]));
            let expected = [r#"{"n":1}"#, r#"{"n":2}"#][..count].join(",");
            let expected = format!(r#"{{"frame":"events","sub":"s1","events":[{expected}]}}"#);
            assert_eq!(out, expected.as_bytes());
        }
    }
}
