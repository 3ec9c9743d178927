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
    /// How long the server wants to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn passing(
        message: impl Into<String>,
        source: impl Into<downlink::BoxError>,
    ) -> Self {
        let source = source.into();
        let message = format!("{}: {source}", message.into());
        let error = Error::with_source(ErrorKind::Unavailable, message, source);
        Self { error, is_permanent: false, retry_after: None }
    }

    pub(super) fn late(message: impl Into<String>) -> Self {
        let error = Error::new(ErrorKind::Unavailable, message);
        Self { error, is_permanent: false, retry_after: None }
    }

    /// An answer other than a stream.
    pub(super) fn refused(answer: &Parts, body: &[u8]) -> Self {
        let status = answer.status;
        if status.is_redirection() {
            let to = answer.headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("?");
            return Self::permanent(format!("the feed is elsewhere: take the URL {to}"));
        }
        if status.is_success() {
            let message = format!(
                "the answer ({status}) is no event stream: is there a feed router at this URL?"
            );
            return Self::permanent(message);
        }
        let is_permanent = status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429);
        let seconds = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = seconds.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        Self { error: parse::refusal(status, body), is_permanent, retry_after }
    }

    fn permanent(message: String) -> Self {
        let error = Error::new(ErrorKind::Invalid, message);
        Self { error, is_permanent: true, retry_after: None }
    }
}

impl From<Error> for Failure {
    /// An error of this end, which a repetition does not change.
    fn from(error: Error) -> Self {
        Self { error, is_permanent: true, retry_after: None }
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
        Failure::refused(&answer.body(()).unwrap().into_parts().0, b"")
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
}
