//! The transport that goes both ways.

use async_trait::async_trait;
use downlink::{Endpoint, Frame, Hub, Result, Subscribe, Transport};
use futures::stream::BoxStream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, TransportKind};
use crate::feed;
use crate::serve::Server;

/// WebSocket, both ends: the feed's router at the root under [`Server`], and
/// one socket of the [`Client`] for one subscription.
///
/// # Slow readers
///
/// A socket lives by the answers to its pings, which whoever takes the frames
/// gives along the way: who takes none for three heartbeats is taken for dead.
/// [`Socket`](crate::client::Socket) has a task of its own for that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebSocket;

#[async_trait]
impl Transport for WebSocket {
    fn name(&self) -> &'static str {
        "websocket"
    }

    async fn serve(
        &self,
        hub: Hub,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<()> {
        Server::new(feed::router(&hub)).serve(listener, shutdown).await
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
        subscribe: Subscribe,
    ) -> Result<BoxStream<'static, Result<Frame>>> {
        let client = Client::new(endpoint.clone()).with_transport(TransportKind::WebSocket);
        client.connect(subscribe).await
    }
}
