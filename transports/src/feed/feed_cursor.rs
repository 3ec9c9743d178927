use std::convert::Infallible;

use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use downlink::Cursor;
use http::header::{HeaderName, HeaderValue};

/// The `Feed-Cursor` response header: the cursor up to which a response is
/// current.
///
/// Set it on the application's own responses, such as a page of a read model: a
/// client that loads the page and then follows the feed with
/// `after=<Feed-Cursor>` misses nothing.
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
