//! The implementations of [`Transport`](downlink::Transport): the feed's router
//! under [`Server`] on one end, a [`Client`](crate::client::Client) on the
//! other.

#[cfg(feature = "long-poll")]
mod long_poll;
mod sse;
#[cfg(feature = "websocket")]
mod websocket;

use downlink::{Hub, Result};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::feed;
use crate::serve::Server;

#[cfg(feature = "long-poll")]
pub use long_poll::LongPoll;
pub use sse::Sse;
#[cfg(feature = "websocket")]
pub use websocket::WebSocket;

/// Serves every transport: they share one router and differ in their clients.
async fn serve(hub: &Hub, listener: TcpListener, shutdown: CancellationToken) -> Result<()> {
    Server::new(feed::router(hub)).serve(listener, shutdown).await
}
