use std::time::Duration;

use downlink::{Error, ErrorKind};
use http::header::{LOCATION, RETRY_AFTER};
use http::response::Parts;

use crate::wire::{parse_problem_code, parse_refusal};

/// Why a connection could not be opened.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// Whether the same request would be refused again.
    pub(super) is_permanent: bool,
    /// Whether another transport may work: neither the network failed, nor did
    /// the feed itself refuse.
    pub(super) may_fall_back: bool,
    /// How long the server asks to wait before the next request.
    pub(super) retry_after: Option<Duration>,
    /// The code of the refusal, if it comes from a feed.
    #[cfg_attr(not(feature = "long-poll"), allow(dead_code, reason = "only long-poll reads it"))]
    pub(super) code: Option<String>,
}

impl Failure {
    pub(super) fn unavailable_with_source(
        message: impl Into<String>,
        source: impl Into<downlink::BoxError>,
    ) -> Self {
        let source = source.into();
        let message = format!("{}: {source}", message.into());
        Self::of(Error::with_source(ErrorKind::Unavailable, message, source), false)
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::of(Error::new(ErrorKind::Unavailable, message), false)
    }

    /// Marks that another transport may work.
    pub(super) fn allow_fallback(mut self) -> Self {
        self.may_fall_back = true;
        self
    }

    /// Makes a failure of an answer other than the expected one. `what` describes
    /// an answer with a successful status, as in "not a page".
    pub(super) fn from_answer(answer: &Parts, body: &[u8], what: &str) -> Self {
        let status = answer.status;
        if status.is_redirection() {
            let to = answer.headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("?");
            return Self::wrong_url(format!("the feed was moved: use the URL {to}"));
        }
        if status.is_success() || status.is_informational() {
            return Self::wrong_url(format!(
                "the answer ({status}) is {what}: check that a feed is served at this URL"
            ));
        }
        let code = parse_problem_code(body);
        let is_permanent = status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429);
        let seconds = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Self {
            error: parse_refusal(status, body),
            is_permanent,
            // The feed does not have this transport, or the answer is not from a feed.
            may_fall_back: code.is_none() || matches!(status.as_u16(), 404 | 405 | 426),
            retry_after: seconds.and_then(|text| text.parse().ok()).map(Duration::from_secs),
            code,
        }
    }

    fn wrong_url(message: String) -> Self {
        Self::of(Error::new(ErrorKind::Invalid, message), true).allow_fallback()
    }

    fn of(error: Error, is_permanent: bool) -> Self {
        Self { error, is_permanent, may_fall_back: false, retry_after: None, code: None }
    }
}

impl From<Error> for Failure {
    /// A failure that is permanent unless the error is retryable.
    fn from(error: Error) -> Self {
        let is_permanent = !error.is_retryable();
        Self::of(error, is_permanent)
    }
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    fn refused(status: u16, headers: &[(&str, &str)]) -> Failure {
        let mut answer = Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        Failure::from_answer(&answer.body(()).unwrap().into_parts().0, b"", "not an event stream")
    }

    #[test]
    fn statuses_tell_permanent_from_temporary_refusals() {
        for status in [200, 204, 301, 308, 400, 401, 403, 404, 405, 410, 415, 431] {
            assert!(refused(status, &[]).is_permanent, "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 507] {
            assert!(!refused(status, &[]).is_permanent, "{status}");
        }
    }

    #[test]
    fn retry_after_and_location_are_read() {
        let wait = |value| refused(503, &[("retry-after", value)]).retry_after;
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert!(
            refused(302, &[("location", "https://x/feed")]).error.to_string().contains("x/feed")
        );
    }

    #[test]
    fn it_may_fall_back_unless_the_feed_itself_refuses() {
        let may_fall_back = |status: u16, body: &str| {
            let answer = Response::builder().status(status).body(()).unwrap().into_parts().0;
            Failure::from_answer(&answer, body.as_bytes(), "not a page").may_fall_back
        };
        let problem = |code: &str| format!(r#"{{"code":"{code}","detail":"d","retryable":false}}"#);
        for status in [200, 204, 302, 400, 403, 404, 426, 500, 501, 502, 503] {
            assert!(may_fall_back(status, "<html>"), "{status}");
        }
        for (status, code) in [(404, "not-found"), (426, "upgrade-required")] {
            assert!(may_fall_back(status, &problem(code)), "{code}");
        }
        for (status, code) in [(400, "bad-filter"), (410, "cursor-ahead"), (503, "draining")] {
            assert!(!may_fall_back(status, &problem(code)), "{code}");
        }
    }
}
