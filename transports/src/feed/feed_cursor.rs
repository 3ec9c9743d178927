use std::convert::Infallible;

use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use downlink::Cursor;
use http::header::{HeaderName, HeaderValue};

/// The `Feed-Cursor` response header: the cursor up to which a response is
/// current.
///
/// Set it on the application's own responses, such as a page of a read model: a
/// client that loads the page and then follows the feed with
/// `after=<Feed-Cursor>` misses nothing. The rows and the cursor have to be of one
/// snapshot, as the `query` of a store and
/// [`live_state_with_checkpoint`](downlink::memory::MemoryProjections::live_state_with_checkpoint)
/// return them. In a tuple it can stand before any body, also after a status.
///
/// # Examples
///
/// ```
/// use axum::Json;
/// use axum::extract::State;
/// use axum::response::IntoResponse;
/// use downlink::memory::MemoryProjections;
/// use downlink_transports::feed::FeedCursor;
/// use downlink_transports::wire::{Code, Problem};
///
/// type Departures = MemoryProjections<Vec<String>>;
///
/// async fn departures(State(models): State<Departures>) -> Result<impl IntoResponse, Problem> {
///     let (rows, cursor) = models
///         .live_state_with_checkpoint("departures")
///         .ok_or_else(|| Problem::new(Code::Unavailable, "the board is being built: try again later"))?;
///     Ok((FeedCursor(cursor), Json(Vec::clone(&rows))))
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
