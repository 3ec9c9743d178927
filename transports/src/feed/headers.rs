use std::convert::Infallible;

use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use bytes::Bytes;
use downlink::Cursor;
use futures::stream;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use http::request::Parts;
use http::{Method, StatusCode};

use super::{Feed, guard};
use crate::headers::{CROSS_ORIGIN_RESOURCE_POLICY, fix};

/// The header that says up to where of the log an answer is: `Feed-Cursor`.
///
/// Put it on answers of the application's own, such as a page of a read model:
/// a client that loads the page and then follows the feed with
/// `after=<Feed-Cursor>` has no gap.
///
/// # Examples
///
/// ```
/// use axum::Json;
/// use axum::response::IntoResponse;
/// use downlink::Cursor;
/// use downlink_transports::feed::FeedCursor;
///
/// async fn departures() -> impl IntoResponse {
///     let (rows, cursor) = (vec!["UA1545"], Cursor::START); // read in one snapshot
///     (FeedCursor(cursor), Json(rows))
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedCursor(pub Cursor);

impl FeedCursor {
    /// The header's name.
    pub const NAME: HeaderName = HeaderName::from_static("feed-cursor");

    fn value(self) -> HeaderValue {
        HeaderValue::try_from(self.0.to_string()).expect("a cursor is hex digits and a hyphen")
    }
}

impl IntoResponseParts for FeedCursor {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.headers_mut().insert(Self::NAME, self.value());
        Ok(parts)
    }
}

impl IntoResponse for FeedCursor {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

/// An answer of JSON.
pub(super) fn json(status: StatusCode, body: String) -> Response {
    let content_type = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, content_type, body).into_response()
}

/// Sets what every answer has, and takes the body off the answer to a HEAD.
pub(super) fn finish(feed: &Feed, parts: &Parts, mut response: Response) -> Response {
    let headers = response.headers_mut();
    fix(headers);
    if feed.cors {
        headers.remove(CROSS_ORIGIN_RESOURCE_POLICY);
        cross_origin(feed, parts, headers);
    }
    if parts.method == Method::HEAD { without_body(response) } else { response }
}

fn cross_origin(feed: &Feed, parts: &Parts, headers: &mut HeaderMap) {
    let Some(origin) = guard::listed_origin(feed, parts) else { return };
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
    Response::from_parts(head, nothing())
}

/// No body, for which no length is made up either.
pub(super) fn nothing() -> Body {
    Body::from_stream(stream::empty::<Result<Bytes, Infallible>>())
}
