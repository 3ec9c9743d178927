use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use downlink::transport::Frame;
use http::Request;
use http::header::ORIGIN;

use super::cors;
use crate::headers::{is_event_source, set_common, set_event_stream};
use crate::wire::{self, Code, Problem};

/// The limit for which a connection or request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitReached {
    /// The server has too many connections.
    Connections,
    /// The client has too many connections or requests.
    PerClient,
}

/// The response to a request beyond a limit, with the CORS headers of the router.
pub(super) async fn response<B>(
    router: Router,
    request: Request<B>,
    limit: LimitReached,
) -> Response {
    let mut response = refusal(&request, limit);
    let (parts, body) = request.into_parts();
    // Dropped, so that the rest of it is discarded meanwhile.
    drop(body);
    if parts.headers.contains_key(ORIGIN) {
        let preflight = cors::preflight(&router, parts).await;
        cors::copy(&preflight, response.headers_mut());
    }
    response
}

/// An `EventSource` gives up for good on any status but 200, so it gets an empty
/// stream with the time to reconnect. Other clients get an error status: a 200 to
/// an append would mean that it is stored.
fn refusal<B>(request: &Request<B>, limit: LimitReached) -> Response {
    let pause = Duration::from_millis(rand::random_range(2_000..10_000));
    let mut response = if is_feed_of_event_source(request) {
        let bye = Frame::Bye { reason: limit.code().to_string(), reconnect_after: pause };
        let mut response = wire::frame_block(&bye, None).into_response();
        set_event_stream(response.headers_mut());
        response
    } else {
        Problem::new(limit.code(), limit.detail()).with_retry_after(pause).into_response()
    };
    set_common(response.headers_mut());
    response
}

impl LimitReached {
    fn code(self) -> Code {
        match self {
            Self::Connections => Code::Overloaded,
            Self::PerClient => Code::Limit,
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Connections => {
                "the server has too many connections: retry after the time in Retry-After"
            }
            Self::PerClient => {
                "your address has too many connections or requests open: close some, or retry after the \
                 time in Retry-After"
            }
        }
    }
}

fn is_feed_of_event_source<B>(request: &Request<B>) -> bool {
    request.uri().path().ends_with("/feed") && is_event_source(request.method(), request.headers())
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
    fn an_event_source_gets_an_empty_stream() {
        let request = request("GET", "/api/feed?after=now", &[("accept", "Text/Event-Stream")]);
        let response = refusal(&request, LimitReached::PerClient);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
    }

    #[test]
    fn other_clients_get_an_error_status() {
        let stream = ("accept", "text/event-stream");
        for request in [
            request("GET", "/feed", &[]),
            request("GET", "/feed", &[stream, ("feed-client", "downlink-rust/0.1.0")]),
            request("GET", "/feed", &[("accept", "text/event-stream;q=0")]),
            request("HEAD", "/feed", &[stream]),
            request("POST", "/streams/flight-UA1545", &[stream]),
            request("GET", "/streams/flight-UA1545", &[stream]),
        ] {
            let response = refusal(&request, LimitReached::Connections);
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{request:?}");
            assert!(response.headers().contains_key(RETRY_AFTER));
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        }
    }
}
