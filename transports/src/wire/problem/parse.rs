use downlink::{Error, ErrorKind};
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::NAMESPACE;
use crate::wire::{Code, object};

/// The members of a problem that a client reads.
#[derive(Deserialize)]
pub(in crate::wire) struct ProblemMembers<'a> {
    #[serde(default, rename = "type")]
    urn: String,
    pub(in crate::wire) code: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    pub(in crate::wire) detail: String,
    #[serde(default)]
    pub(in crate::wire) retryable: bool,
    #[serde(borrow, default)]
    #[cfg_attr(not(feature = "websocket"), allow(dead_code, reason = "only sockets append"))]
    pub(in crate::wire) failed: Option<&'a RawValue>,
}

impl<'a> ProblemMembers<'a> {
    pub(in crate::wire) fn parse(json: &'a [u8]) -> serde_json::Result<Self> {
        object::from_slice(json)
    }

    /// The body of a refusal, if a feed wrote it: other programs have problem
    /// documents, too.
    fn of_feed(body: &'a [u8]) -> Option<Self> {
        let problem = Self::parse(body).ok()?;
        (problem.urn.strip_prefix(NAMESPACE) == Some(&problem.code)).then_some(problem)
    }
}

/// Returns the error for a refused request: by the problem's code if the body
/// is the problem of a feed with a known code, by the status otherwise.
#[must_use]
pub fn parse_refusal(status: StatusCode, body: &[u8]) -> Error {
    let Some(problem) = ProblemMembers::of_feed(body) else {
        let message = format!("the server answered {status} without a problem document");
        return Error::new(kind_of_status(status), message);
    };
    let ProblemMembers { code, title, detail, .. } = problem;
    let kind = Code::parse(&code).map_or_else(|| kind_of_status(status), Code::error_kind);
    let text = if detail.is_empty() { title } else { detail };
    Error::new(kind, format!("{text} ({code})"))
}

/// The code of a refused request; `None` if the body is not the problem of a feed:
/// its `type` is `urn:downlink:problem:` and the code.
#[must_use]
pub fn parse_problem_code(body: &[u8]) -> Option<String> {
    ProblemMembers::of_feed(body).map(|problem| problem.code)
}

/// The error for a [`Problem`](downlink::transport::Frame::Problem) frame.
#[must_use]
pub fn problem_error(code: &str, detail: &str, retryable: bool) -> Error {
    let unknown = if retryable { ErrorKind::Unavailable } else { ErrorKind::Invalid };
    let kind = Code::parse(code).map_or(unknown, Code::error_kind);
    Error::new(kind, format!("{detail} ({code})"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Problem;

    #[test]
    fn every_code_becomes_an_error_of_its_kind() {
        for code in Code::ALL {
            let problem = Problem::new(*code, "why");
            let error = parse_refusal(problem.status(), problem.to_json().as_bytes());
            assert_eq!(error.kind(), code.error_kind(), "{code}");
            let error = problem_error(code.as_str(), "why", code.is_retryable());
            assert_eq!(error.kind(), code.error_kind(), "{code}");
        }
    }

    #[test]
    fn an_unknown_code_is_judged_by_its_status() {
        let kind = |status: u16, body: &[u8]| {
            parse_refusal(StatusCode::from_u16(status).unwrap(), body).kind()
        };
        let unknown =
            br#"{"type":"urn:downlink:problem:fireworks","code":"fireworks","detail":"d"}"#;
        assert_eq!(kind(400, unknown), ErrorKind::Invalid);
        assert_eq!(kind(503, unknown), ErrorKind::Unavailable);
        assert_eq!(kind(502, b"<html>"), ErrorKind::Unavailable);
        assert_eq!(kind(404, b""), ErrorKind::Invalid);
        let array = br#"["cursor-ahead","","d",false]"#;
        assert_eq!(kind(502, array), ErrorKind::Unavailable);
        assert_eq!(parse_problem_code(array), None);
        assert_eq!(parse_problem_code(unknown).as_deref(), Some("fireworks"));
        assert_eq!(problem_error("fireworks", "", true).kind(), ErrorKind::Unavailable);
        assert_eq!(problem_error("fireworks", "", false).kind(), ErrorKind::Invalid);
    }

    #[test]
    fn the_problems_of_other_programs_are_not_those_of_a_feed() {
        let ours = Problem::new(Code::CursorAhead, "why").to_json();
        assert_eq!(parse_problem_code(ours.as_bytes()).as_deref(), Some("cursor-ahead"));
        for urn in ["about:blank", "", "urn:downlink:problem:", "urn:downlink:problem:forbidden"] {
            let theirs = ours.replace("urn:downlink:problem:cursor-ahead", urn);
            assert_eq!(parse_problem_code(theirs.as_bytes()), None, "{urn}");
            let error = parse_refusal(StatusCode::GONE, theirs.as_bytes());
            assert_eq!(error.kind(), ErrorKind::Invalid, "{urn}");
        }
    }
}
