use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use crate::wire::{Code, Control, Problem};

/// What a connection beyond the limit is told.
///
/// An `EventSource` gives up for good on any status but 200, so it gets an
/// empty stream that says when to come again.
pub(super) fn answer(request: &HeaderMap) -> Response {
    let pause = Duration::from_millis(rand::random_range(2_000..10_000));
    let mut answer = if is_event_source(request) {
        let bye = Control::Bye { reason: "overloaded", reconnect_after: pause };
        ([(CONTENT_TYPE, "text/event-stream")], bye.sse(None)).into_response()
    } else {
        let detail =
            "the server is at its limit of connections: come again after the time in Retry-After";
        Problem::new(Code::Overloaded, detail).with_retry_after(pause).into_response()
    };
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn is_event_source(request: &HeaderMap) -> bool {
    let accepts_events = request
        .get_all(ACCEPT)
        .iter()
        .any(|value| value.as_bytes().windows(17).any(|part| part == b"text/event-stream"));
    accepts_events && !request.contains_key("feed-client")
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http::header::RETRY_AFTER;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn an_event_source_is_answered_with_a_stream_that_it_survives() {
        let answer = answer(&headers(&[("accept", "text/event-stream")]));
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/event-stream");
    }

    #[test]
    fn everybody_else_is_answered_with_a_status() {
        for pairs in
            [&[][..], &[("accept", "text/event-stream"), ("feed-client", "downlink-rust/0.1.0")]]
        {
            let answer = answer(&headers(pairs));
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.headers()[CONNECTION], "close");
            assert!(answer.headers().contains_key(RETRY_AFTER));
        }
    }
}
