//! The feed over HTTP: the streams, pages and appends of the wire contract.
//!
//! [`router`] serves a hub with the defaults; [`Feed`] has the options.

mod append;
mod authority;
mod authorize;
mod detached;
mod drain;
#[expect(clippy::module_inception, reason = "the main type, in a file of its name")]
mod feed;
mod feed_cursor;
mod get;
mod guard;
mod hosts;
mod live;
mod origin;
mod origin_check;
mod page;
mod parse_pool;
mod reauthorization;
mod reauthorize;
mod reconnect;
mod refusal;
mod response;
mod rights;
mod router;
mod sse;
mod stream;
mod stream_deadline;
#[cfg(feature = "websocket")]
mod websocket;

use axum::Router;
use downlink::Hub;

pub(crate) use drain::draining;

pub use authorize::{Authorize, AuthorizeFn};
pub use downlink::live::Principal;
pub use feed::Feed;
#[cfg(feature = "auth")]
pub(crate) use feed::TICKET;
pub use feed_cursor::FeedCursor;
pub use get::get;
#[cfg(feature = "auth")]
pub(crate) use origin_check::has_token;
pub use reauthorization::Reauthorization;
pub use refusal::Refusal;
pub use rights::Rights;

/// The routes of a feed with the defaults: read-only, for programs on this
/// machine only. See [`Feed`] for the options.
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
pub fn router<S>(hub: &Hub) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Feed::new(hub).router()
}
