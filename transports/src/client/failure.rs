use std::time::Duration;

use downlink::{Error, ErrorKind};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use http::response::Parts;

use crate::wire::{Code, parse_problem_code, parse_refusal, problem_error};

/// How much of the URL of a redirect is in an error, in bytes.
const MAX_LOCATION_BYTES: usize = 500;

/// Why a connection could not be opened, or why it ended.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) cause: Cause,
    /// Whether another transport may work: neither the network failed, nor did
    /// the feed itself refuse.
    pub(super) may_fall_back: bool,
    /// Whether the credentials were refused, so that a new token may help.
    pub(super) is_unauthenticated: bool,
    /// How long the server asks to wait before the next request.
    pub(super) retry_after: Option<Duration>,
    /// The code of the refusal, if it comes from a feed.
    #[cfg_attr(not(feature = "long-poll"), allow(dead_code, reason = "only long-poll reads it"))]
    pub(super) code: Option<String>,
}

/// What caused a failure, which decides whether a retry may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The call is wrong, or the feed itself refuses it: a retry has the same result.
    Permanent,
    /// What answers is not a feed. The URL is wrong, unless a feed was reached there
    /// before: then a proxy answers in its place for a while.
    NotAFeed,
    /// Bytes that are not frames of a feed.
    Unreadable,
    /// The network failed, or the server cannot answer now.
    Temporary,
}

impl Failure {
    pub(super) fn unavailable_with_source(
        message: impl Into<String>,
        source: impl Into<downlink::BoxError>,
    ) -> Self {
        let source = source.into();
        let message = format!("{}: {source}", message.into());
        Self::of(Error::with_source(ErrorKind::Unavailable, message, source), Cause::Temporary)
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::of(Error::new(ErrorKind::Unavailable, message), Cause::Temporary)
    }

    pub(super) fn unreadable(message: impl Into<String>) -> Self {
        Self::of(Error::new(ErrorKind::Corrupt, message), Cause::Unreadable)
    }

    /// Something at this URL that is not the expected feed.
    pub(super) fn not_a_feed(message: impl Into<String>) -> Self {
        Self::of(Error::new(ErrorKind::Invalid, message), Cause::NotAFeed).allow_fallback()
    }

    /// A refusal of the feed that no retry changes.
    #[cfg(feature = "websocket")]
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::of(Error::new(ErrorKind::Invalid, message), Cause::Permanent)
    }

    /// Marks that another transport may work.
    pub(super) fn allow_fallback(mut self) -> Self {
        self.may_fall_back = true;
        self
    }

    /// Marks that a new token may help.
    #[cfg(feature = "websocket")]
    pub(super) fn with_unauthenticated(mut self, is_unauthenticated: bool) -> Self {
        self.is_unauthenticated = is_unauthenticated;
        self
    }

    /// What the failure means on a connection that was not ready: bytes that are
    /// not frames did not come from a feed.
    pub(super) fn before_ready(self) -> Self {
        match self.error.kind() {
            ErrorKind::Corrupt | ErrorKind::TooLarge => {
                Self { cause: Cause::NotAFeed, ..self }.allow_fallback()
            }
            _ => self,
        }
    }

    /// Makes a failure of a problem frame.
    pub(super) fn from_problem(code: &str, detail: &str, retryable: bool) -> Self {
        // As of an answer with this problem: the server, not the request, has failed.
        let is_of_server = Code::parse(code).is_some_and(|code| code.status().is_server_error());
        let cause = if retryable || is_of_server { Cause::Temporary } else { Cause::Permanent };
        Self {
            is_unauthenticated: code == Code::Unauthenticated.as_str(),
            ..Self::of(problem_error(code, detail, retryable), cause)
        }
    }

    /// Makes a failure of an answer other than the expected one. `what` describes
    /// an answer with a successful status, as in "not a page".
    pub(super) fn from_answer(answer: &Parts, body: &[u8], what: &str) -> Self {
        let status = answer.status;
        if status.is_redirection() {
            let to = location(answer);
            return Self::not_a_feed(format!("the feed was moved: use the URL {to}"));
        }
        if status.is_success() || status.is_informational() {
            return Self::not_a_feed(format!(
                "the answer ({status}) is {what}: check that a feed is served at this URL"
            ));
        }
        let body = if is_problem(answer) { body } else { b"" };
        let code = parse_problem_code(body);
        let is_temporary = !status.is_client_error() || matches!(status.as_u16(), 408 | 425 | 429);
        let cause = match &code {
            _ if is_temporary => Cause::Temporary,
            Some(_) => Cause::Permanent,
            None => Cause::NotAFeed,
        };
        Self {
            // The feed does not have this transport, or the answer is not from a feed.
            may_fall_back: code.is_none() || matches!(status.as_u16(), 404 | 405 | 426),
            is_unauthenticated: status == StatusCode::UNAUTHORIZED,
            retry_after: retry_after(answer),
            code,
            ..Self::of(parse_refusal(status, body), cause)
        }
    }

    fn of(error: Error, cause: Cause) -> Self {
        Self {
            error,
            cause,
            may_fall_back: false,
            is_unauthenticated: false,
            retry_after: None,
            code: None,
        }
    }
}

impl From<Error> for Failure {
    /// A failure that is permanent unless the error is retryable, or bytes could not
    /// be read.
    fn from(error: Error) -> Self {
        let cause = match error.kind() {
            ErrorKind::Corrupt => Cause::Unreadable,
            _ if error.is_retryable() => Cause::Temporary,
            _ => Cause::Permanent,
        };
        Self::of(error, cause)
    }
}

fn is_problem(answer: &Parts) -> bool {
    let content_type = answer.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let end = content_type.iter().position(|byte| *byte == b';').unwrap_or(content_type.len());
    content_type[..end].trim_ascii().eq_ignore_ascii_case(b"application/problem+json")
}

fn location(answer: &Parts) -> &str {
    let to = answer.headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("?");
    &to[..to.floor_char_boundary(MAX_LOCATION_BYTES)]
}

fn retry_after(answer: &Parts) -> Option<Duration> {
    let seconds = answer.headers.get(RETRY_AFTER)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;
    use crate::wire::Problem;

    fn refused(status: u16, headers: &[(&str, &str)], body: &str) -> Failure {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let answer = answer.body(()).unwrap().into_parts().0;
        Failure::from_answer(&answer, body.as_bytes(), "not an event stream")
    }

    fn refused_by_feed(code: Code) -> Failure {
        let headers = [("content-type", "application/Problem+JSON ;charset=utf-8")];
        let problem = Problem::new(code, "d");
        refused(problem.status().as_u16(), &headers, &problem.to_json())
    }

    #[test]
    fn statuses_without_a_problem_tell_a_wrong_url_from_temporary_refusals() {
        for status in [200, 204, 301, 308, 400, 401, 403, 404, 405, 410, 415, 431] {
            assert_eq!(refused(status, &[], "").cause, Cause::NotAFeed, "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 507] {
            assert_eq!(refused(status, &[], "").cause, Cause::Temporary, "{status}");
        }
    }

    #[test]
    fn only_the_problem_of_a_feed_is_permanent() {
        for code in Code::ALL {
            let is_permanent = refused_by_feed(*code).cause == Cause::Permanent;
            let status = code.status();
            assert_eq!(is_permanent, status.is_client_error() && !code.is_retryable(), "{code}");
        }
        let body = Problem::new(Code::Forbidden, "d").to_json();
        for content_type in ["application/json", "text/html", "application/problem+json5", ""] {
            let failure = refused(403, &[("content-type", content_type)], &body);
            assert_eq!((failure.cause, failure.code), (Cause::NotAFeed, None), "{content_type}");
        }
    }

    #[test]
    fn retry_after_and_location_are_read() {
        let wait = |value| refused(503, &[("retry-after", value)], "").retry_after;
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        let moved = |to: &str| refused(302, &[("location", to)], "").error.to_string();
        assert!(moved("https://x/feed").contains("x/feed"));
        assert!(moved(&"x".repeat(10_000)).len() < 1_000);
    }

    #[test]
    fn it_may_fall_back_unless_the_feed_itself_refuses() {
        for status in [200, 204, 302, 400, 403, 404, 426, 500, 501, 502, 503] {
            assert!(refused(status, &[], "<html>").may_fall_back, "{status}");
        }
        for code in [Code::NotFound, Code::UpgradeRequired] {
            assert!(refused_by_feed(code).may_fall_back, "{code}");
        }
        for code in [Code::BadFilter, Code::CursorAhead, Code::Draining] {
            assert!(!refused_by_feed(code).may_fall_back, "{code}");
        }
    }

    #[test]
    fn every_401_may_want_another_token() {
        assert!(refused(401, &[], "").is_unauthenticated);
        assert!(refused_by_feed(Code::Unauthenticated).is_unauthenticated);
        assert!(Failure::from_problem("unauthenticated", "d", false).is_unauthenticated);
        assert!(!refused_by_feed(Code::Forbidden).is_unauthenticated);
    }
}
