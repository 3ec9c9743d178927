use async_trait::async_trait;
use downlink::transport::{Endpoint, Frame};
use downlink::{Hub, Result, Subscribe, Transport};
use futures::stream::BoxStream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, TransportKind};
use crate::feed;
use crate::serve::serve;

/// WebSocket, the bidirectional transport: one socket of the [`Client`] per
/// subscription.
///
/// # Slow readers
///
/// Pings are answered only while the frames are polled, and the server closes a
/// socket that has answered none for three heartbeats. A caller that may pause
/// for longer uses [`Socket`](crate::client::Socket), which has its own task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebSocket;

impl WebSocket {
    fn client(endpoint: &Endpoint) -> Client {
        Client::new(endpoint.clone()).with_transport(TransportKind::WebSocket)
    }
}

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
        serve(listener, feed::router(&hub), shutdown).await
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
        subscribe: Subscribe,
    ) -> Result<BoxStream<'static, Result<Frame>>> {
        Self::client(endpoint).connect(subscribe).await
    }
}
