//! The headers of every answer.

use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, VARY, X_CONTENT_TYPE_OPTIONS,
};

pub(crate) const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Sets the headers of every answer, and keeps an existing `Cache-Control`.
pub(crate) fn fix(headers: &mut HeaderMap) {
    let fixed = HeaderValue::from_static;
    headers.entry(CACHE_CONTROL).or_insert(fixed("no-store"));
    headers.insert(VARY, fixed("Accept, Origin, Authorization, Cookie"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, fixed("same-origin"));
}

/// Sets the further headers of an SSE stream, so that proxies do not buffer it.
pub(crate) fn event_stream(headers: &mut HeaderMap) {
    let fixed = HeaderValue::from_static;
    headers.insert(CONTENT_TYPE, fixed("text/event-stream"));
    headers.insert(CACHE_CONTROL, fixed("no-store, no-transform"));
    headers.insert(X_ACCEL_BUFFERING, fixed("no"));
}
