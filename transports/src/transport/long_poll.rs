use std::time::Duration;

use async_trait::async_trait;
use downlink::transport::{Endpoint, Frame};
use downlink::{Hub, Result, Subscribe, Transport};
use futures::stream::BoxStream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, TransportKind};
use crate::feed;
use crate::serve::serve;

/// Long-polling, which works through every proxy: pages that the [`Client`]
/// requests one after the other.
///
/// # Frames
///
/// The client turns each page into the frames that a stream would have sent.
/// `Ready` is the first answer. If only the server knows where the subscription
/// begins (after a bare position, or with the last N events), `Ready` has the
/// start of the log if there are events; resuming from there misses nothing
/// either. `Live` is sent once and `Behind` never. A poll that returned no event
/// is a `Checkpoint` or a `Heartbeat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct LongPoll {
    wait: Option<Duration>,
    page: Option<usize>,
    answer_deadline: Option<Duration>,
}

impl LongPoll {
    /// Polls with the defaults of [`Client`].
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a poll waits; see [`Client::with_poll_wait`].
    pub fn with_poll_wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// How many events a poll requests; see [`Client::with_page_limit`].
    pub fn with_page_limit(mut self, events: usize) -> Self {
        self.page = Some(events);
        self
    }

    /// How long the server may take to answer, in addition to the wait; see
    /// [`Client::with_answer_deadline`].
    pub fn with_answer_deadline(mut self, deadline: Duration) -> Self {
        self.answer_deadline = Some(deadline);
        self
    }

    fn client(self, endpoint: &Endpoint) -> Client {
        let client = Client::new(endpoint.clone()).with_transport(TransportKind::LongPoll);
        let client = self.wait.into_iter().fold(client, Client::with_poll_wait);
        let client = self.page.into_iter().fold(client, Client::with_page_limit);
        self.answer_deadline.into_iter().fold(client, Client::with_answer_deadline)
    }
}

#[async_trait]
impl Transport for LongPoll {
    fn name(&self) -> &'static str {
        "long-poll"
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
        self.client(endpoint).connect(subscribe).await
    }
}
