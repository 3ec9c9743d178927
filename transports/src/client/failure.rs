use std::time::Duration;

use downlink::{Error, ErrorKind};
use http::header::{LOCATION, RETRY_AFTER};
use http::response::Parts;

use crate::wire::parse;

/// Why a connection did not come about.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// Whether the same request would be refused again.
    pub(super) is_permanent: bool,
    /// Whether another transport may do better: what failed is neither the
    /// network nor was it the server's own word.
    pub(super) is_of_the_transport: bool,
    /// How long the server wants to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// What the server calls its refusal, if it is a feed's.
    #[cfg_attr(not(feature = "long-poll"), allow(dead_code, reason = "polls tell it"))]
    pub(super) code: Option<String>,
}

impl Failure {
    pub(super) fn passing(
        message: impl Into<String>,
        source: impl Into<downlink::BoxError>,
    ) -> Self {
        let source = source.into();
        let message = format!("{}: {source}", message.into());
        Self::of(Error::with_source(ErrorKind::Unavailable, message, source), false)
    }

    /// Something that did not come in time.
    pub(super) fn late(message: impl Into<String>) -> Self {
        Self::of(Error::new(ErrorKind::Unavailable, message), false)
    }

    /// Another transport may do better.
    pub(super) fn of_the_transport(mut self) -> Self {
        self.is_of_the_transport = true;
        self
    }

    /// An answer that is not what was asked for: `what` says so of one that
    /// succeeded.
    pub(super) fn refused(answer: &Parts, body: &[u8], what: &str) -> Self {
        let status = answer.status;
        if status.is_redirection() {
            let to = answer.headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("?");
            return Self::elsewhere(format!("the feed is elsewhere: take the URL {to}"));
        }
        if status.is_success() || status.is_informational() {
            return Self::elsewhere(format!(
                "the answer ({status}) is {what}: is there a feed router at this URL?"
            ));
        }
        let code = parse::problem_code(body);
        let is_permanent = status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429);
        let seconds = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Self {
            error: parse::refusal(status, body),
            is_permanent,
            // A feed that does not have the transport, and whoever is not a feed.
            is_of_the_transport: code.is_none() || matches!(status.as_u16(), 404 | 405 | 426),
            retry_after: seconds.and_then(|text| text.parse().ok()).map(Duration::from_secs),
            code,
        }
    }

    fn elsewhere(message: String) -> Self {
        Self::of(Error::new(ErrorKind::Invalid, message), true).of_the_transport()
    }

    fn of(error: Error, is_permanent: bool) -> Self {
        Self { error, is_permanent, is_of_the_transport: false, retry_after: None, code: None }
    }
}

impl From<Error> for Failure {
    /// An error of this end, which a repetition does not change; or one that
    /// says itself that it passes.
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
        Failure::refused(&answer.body(()).unwrap().into_parts().0, b"", "no event stream")
    }

    #[test]
    fn permanent_refusals_are_those_that_a_repetition_does_not_change() {
        for status in [200, 204, 301, 308, 400, 401, 403, 404, 405, 410, 415, 431] {
            assert!(refused(status, &[]).is_permanent, "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 507] {
            assert!(!refused(status, &[]).is_permanent, "{status}");
        }
    }

    #[test]
    fn the_server_says_how_long_to_wait() {
        let wait = |value| refused(503, &[("retry-after", value)]).retry_after;
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert!(
            refused(302, &[("location", "https://x/feed")]).error.to_string().contains("x/feed")
        );
    }

    #[test]
    fn another_transport_may_do_better_unless_the_feed_itself_refuses() {
        let of_the_transport = |status: u16, body: &str| {
            let answer = Response::builder().status(status).body(()).unwrap().into_parts().0;
            Failure::refused(&answer, body.as_bytes(), "no page").is_of_the_transport
        };
        let problem = |code: &str| format!(r#"{{"code":"{code}","detail":"d","retryable":false}}"#);
        for status in [200, 204, 302, 400, 403, 404, 426, 500, 501, 502, 503] {
            assert!(of_the_transport(status, "<html>"), "{status}");
        }
        for (status, code) in [(404, "not-found"), (426, "upgrade-required")] {
            assert!(of_the_transport(status, &problem(code)), "{code}");
        }
        for (status, code) in [(400, "bad-filter"), (410, "cursor-ahead"), (503, "draining")] {
            assert!(!of_the_transport(status, &problem(code)), "{code}");
        }
    }
}
