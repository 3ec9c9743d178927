use std::convert::Infallible;

use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CONNECTION,
    CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue,
};
use http::request::Parts;
use http::{Method, StatusCode};

use super::feed::Feed;
use super::origin_check::listed_origin;
use crate::headers::{CROSS_ORIGIN_RESOURCE_POLICY, set_common};

/// A JSON response.
pub(super) fn json(status: StatusCode, body: String) -> Response {
    let content_type = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, content_type, body).into_response()
}

/// Sets the common headers, and removes the body of a response to `HEAD`.
pub(super) fn finish(feed: &Feed, parts: &Parts, mut response: Response) -> Response {
    let headers = response.headers_mut();
    set_common(headers);
    if feed.cors {
        headers.remove(CROSS_ORIGIN_RESOURCE_POLICY);
        set_cors(feed, parts, headers);
    }
    if parts.method == Method::HEAD { without_body(response) } else { response }
}

fn set_cors(feed: &Feed, parts: &Parts, headers: &mut HeaderMap) {
    let Some(origin) = listed_origin(feed, parts) else { return };
    let mut set = |name, text| headers.insert(name, HeaderValue::from_static(text));
    set(ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    set(ACCESS_CONTROL_EXPOSE_HEADERS, "Feed-Cursor, Retry-After");
    if parts.method == Method::OPTIONS {
        set(ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST");
        set(
            ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Last-Event-ID, Content-Type, Feed-Client",
        );
        set(ACCESS_CONTROL_MAX_AGE, "600");
    }
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
}

fn without_body(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(head, empty_body())
}

/// An empty body without a known length, so that no `Content-Length` is added.
pub(super) fn empty_body() -> Body {
    Body::from_stream(stream::empty::<Result<Bytes, Infallible>>())
}

/// Asks the client to close the connection after this response.
pub(super) fn close_connection(response: &mut Response) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}
