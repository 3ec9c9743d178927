use std::time::Duration;

use axum::response::{IntoResponse, Response};
use downlink::Frame;
use http::header::CONNECTION;
use http::{HeaderValue, Method, Request};

use crate::feed::is_asked_for;
use crate::headers;
use crate::wire::{self, Code, Problem};

/// Why somebody is told to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// There are too many connections.
    All,
    /// The client has too much open.
    Client,
}

/// What a connection beyond a limit is told, before it is closed.
pub(super) fn last_answer<B>(request: &Request<B>, why: Why) -> Response {
    let mut answer = answer(request, why);
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// What somebody beyond a limit is told.
///
/// An `EventSource` gives up for good on any status but 200, so it gets an
/// empty stream that says when to come again. Nobody else does: a 200 to an
/// append would say that it is stored.
pub(super) fn answer<B>(request: &Request<B>, why: Why) -> Response {
    let pause = Duration::from_millis(rand::random_range(2_000..10_000));
    let mut answer = if is_event_source(request) {
        let bye = Frame::Bye { reason: why.code().to_string(), reconnect_after: pause };
        let mut answer = wire::frame_block(&bye, None).into_response();
        headers::event_stream(answer.headers_mut());
        answer
    } else {
        Problem::new(why.code(), why.detail()).with_retry_after(pause).into_response()
    };
    headers::fix(answer.headers_mut());
    answer
}

impl Why {
    fn code(self) -> Code {
        match self {
            Self::All => Code::Overloaded,
            Self::Client => Code::Limit,
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::All => {
                "the server is at its limit of connections: come again after the time in Retry-After"
            }
            Self::Client => {
                "too much is open from your address: close some, or come again after the time in \
                 Retry-After"
            }
        }
    }
}

fn is_event_source<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET
        && request.uri().path().ends_with("/feed")
        && is_asked_for(request.headers())
        && !request.headers().contains_key("feed-client")
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http::header::{CONTENT_TYPE, RETRY_AFTER};

    use super::*;

    fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
        let request = Request::builder().method(method).uri(path);
        let with = |request: http::request::Builder, (name, value): &(&str, &str)| {
            request.header(*name, *value)
        };
        headers.iter().fold(request, with).body(()).unwrap()
    }

    #[test]
    fn an_event_source_is_answered_with_a_stream_that_it_survives() {
        let asked = request("GET", "/api/feed?after=now", &[("accept", "Text/Event-Stream")]);
        let answer = answer(&asked, Why::Client);
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/event-stream");
        assert_eq!(answer.headers()["x-accel-buffering"], "no");
    }

    #[test]
    fn everybody_else_is_answered_with_a_status() {
        let stream = ("accept", "text/event-stream");
        for request in [
            request("GET", "/feed", &[]),
            request("GET", "/feed", &[stream, ("feed-client", "downlink-rust/0.1.0")]),
            request("GET", "/feed", &[("accept", "text/event-stream;q=0")]),
            request("HEAD", "/feed", &[stream]),
            request("POST", "/streams/flight-UA1545", &[stream]),
            request("GET", "/streams/flight-UA1545", &[stream]),
        ] {
            let answer = last_answer(&request, Why::All);
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{request:?}");
            assert_eq!(answer.headers()[CONNECTION], "close");
            assert!(answer.headers().contains_key(RETRY_AFTER));
            assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        }
    }
}
