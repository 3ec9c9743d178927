//! The response headers that every route sets, and what `Accept` and
//! `Content-Type` say.

use http::Method;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    VARY, X_CONTENT_TYPE_OPTIONS,
};

use crate::wire::{Code, Problem};

pub(crate) const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Sent by clients that can read the status of a response. A browser's
/// `EventSource` gives up for good on any status but 200.
const FEED_CLIENT: HeaderName = HeaderName::from_static("feed-client");

/// Sets the headers that every response has; a stricter `Cache-Control` stays.
pub(crate) fn set_common(headers: &mut HeaderMap) {
    let fixed = HeaderValue::from_static;
    headers.entry(CACHE_CONTROL).or_insert(fixed("no-store"));
    headers.insert(VARY, fixed("Accept, Origin, Authorization, Cookie"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, fixed("same-origin"));
}

/// Sets the headers of an SSE stream, which also keep proxies from buffering it.
pub(crate) fn set_event_stream(headers: &mut HeaderMap) {
    let fixed = HeaderValue::from_static;
    headers.insert(CONTENT_TYPE, fixed("text/event-stream"));
    headers.insert(CACHE_CONTROL, fixed("no-store, no-transform"));
    headers.insert(X_ACCEL_BUFFERING, fixed("no"));
}

/// Whether the request is that of an `EventSource`, which does not survive an
/// error status.
pub(crate) fn is_event_source(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::GET && accepts_event_stream(headers) && !headers.contains_key(FEED_CLIENT)
}

/// Whether `Accept` names `text/event-stream`.
pub(crate) fn accepts_event_stream(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_named =
            parts.next().is_some_and(|name| name.eq_ignore_ascii_case("text/event-stream"));
        is_named && !parts.any(is_zero_weight)
    })
}

/// Whether this parameter of a media range is a weight of zero.
fn is_zero_weight(parameter: &str) -> bool {
    let Some((name, weight)) = parameter.split_once('=') else { return false };
    let is_zero = weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0);
    name.trim().eq_ignore_ascii_case("q") && is_zero
}

/// Refuses a body that is not declared as plain JSON. A page of another site cannot
/// declare it so without a preflight.
pub(crate) fn check_is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let mut content_types = headers.get_all(CONTENT_TYPE).iter();
    let content_type = content_types.next().and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    let is_json = essence.trim().eq_ignore_ascii_case("application/json");
    if !is_json || content_types.next().is_some() {
        let detail = "send 'Content-Type: application/json', once";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let encoding = headers.get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let detail = "send the body without 'Content-Encoding'";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_named_event_stream_is_accepted() {
        let accepts = |accept: &'static str| {
            let headers = [(ACCEPT, HeaderValue::from_static(accept))];
            accepts_event_stream(&headers.into_iter().collect())
        };
        assert!(accepts("text/event-stream"));
        assert!(accepts("application/json, Text/Event-Stream;q=0.5"));
        assert!(accepts("text/event-stream; charset=utf-8"));
        assert!(!accepts("*/*"));
        assert!(!accepts("text/*"));
        assert!(!accepts("text/event-stream;q=0"));
        assert!(!accepts("text/event-stream; q=0.000, text/html"));
        assert!(!accepts("text/event-streams"));
        assert!(!accepts_event_stream(&HeaderMap::new()));
    }
}
