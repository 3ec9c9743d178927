//! The feed over HTTP: streams, pages and appends, as the wire contract has
//! them.
//!
//! [`router`] serves a hub with the defaults; [`Feed`] sets up the rest.

mod append;
mod builder;
mod drain;
mod ending;
mod guard;
mod headers;
mod hosts;
mod page;
mod rights;
mod route;
pub(crate) mod sse;
mod stream;
#[cfg(feature = "websocket")]
mod websocket;

use axum::Router;
use downlink::Hub;

pub use builder::Feed;
pub use headers::FeedCursor;
pub use rights::{Authorize, AuthorizeFn, Refusal, Rights};
pub(crate) use sse::is_asked_for;

/// The routes of a feed with the defaults: read-only, and for programs on this
/// machine. See [`Feed`] for everything else.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> downlink::Result<()> {
/// use downlink_transports::feed;
///
/// let hub = downlink::memory::hub().await?;
/// let app: axum::Router = axum::Router::new().nest("/api", feed::router(&hub));
/// # Ok(()) }
/// ```
pub fn router(hub: &Hub) -> Router {
    Feed::new(hub).router()
}
