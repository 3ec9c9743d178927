use axum::handler::Handler;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{self, MethodRouter};
use http::StatusCode;
use http::header::ALLOW;

use crate::headers::set_common;
use crate::wire::{Code, Problem};

const METHODS: &str = "GET, HEAD, OPTIONS";

/// A `GET` route that follows the wire contract, for routes next to the feed: it
/// sets the common headers, answers `OPTIONS`, and refuses other methods with a
/// problem.
///
/// It checks neither hosts nor origins; see
/// [`Feed::guard`](crate::feed::Feed::guard).
///
/// # Examples
///
/// ```
/// use axum::Router;
/// use downlink_transports::feed;
///
/// let app: Router = Router::new().route("/", feed::get(async || "departures"));
/// ```
pub fn get<H, T, S>(handler: H) -> MethodRouter<S>
where
    H: Handler<T, S>,
    T: 'static,
    S: Clone + Send + Sync + 'static,
{
    routing::get(handler)
        .options(async || (StatusCode::NO_CONTENT, [(ALLOW, METHODS)]))
        .fallback(async || {
            let detail = format!("the methods of this path are {METHODS}");
            Problem::new(Code::MethodNotAllowed, detail).with_allow(METHODS)
        })
        .layer(map_response(async |mut response: Response| {
            set_common(response.headers_mut());
            response
        }))
}
