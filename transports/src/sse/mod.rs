//! The transport that browsers have built in.

use async_trait::async_trait;
use downlink::{Endpoint, Frame, Hub, Result, Subscribe, Transport};
use futures::stream::BoxStream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::feed;
use crate::serve::Server;

/// Server-sent events, both ends: the feed's router at the root under
/// [`Server`], and one connection of the [`Client`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sse;

#[async_trait]
impl Transport for Sse {
    fn name(&self) -> &'static str {
        "sse"
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
        Client::new(endpoint.clone()).connect(subscribe).await
    }
}
