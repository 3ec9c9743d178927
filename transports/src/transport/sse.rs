use async_trait::async_trait;
use downlink::transport::{Endpoint, Frame};
use downlink::{Hub, Result, Subscribe, Transport};
use futures::stream::BoxStream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::feed;
use crate::serve::serve;

/// Server-sent events, which browsers support natively: one streaming request
/// of the [`Client`] per subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sse;

impl Sse {
    fn client(endpoint: &Endpoint) -> Client {
        Client::new(endpoint.clone())
    }
}

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
