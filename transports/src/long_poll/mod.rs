//! The transport that comes through every proxy.

use std::time::Duration;

use async_trait::async_trait;
use downlink::{Endpoint, Frame, Hub, Result, Subscribe, Transport};
use futures::stream::BoxStream;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, TransportKind};
use crate::feed;
use crate::serve::Server;

/// Long-poll, both ends: the feed's router at the root under [`Server`], and
/// pages that the [`Client`] asks for one after the other.
///
/// # Frames
///
/// A poll is answered with a page; the client makes the frames of it that a
/// stream would have had. `Ready` is the first answer. Where only the server
/// knows where that begins, which is after a bare position and with the last so
/// many events, `Ready` says the start of the log if there are events: nothing
/// is missed from there either. `Live` comes once, `Behind` never, and a poll that
/// was answered without an event is a `Checkpoint` or a `Heartbeat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct LongPoll {
    wait: Option<Duration>,
    page: Option<usize>,
    answer_deadline: Option<Duration>,
}

impl LongPoll {
    /// Polls as [`Client`] makes them by default.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a poll waits; see [`Client::with_poll_wait`].
    pub fn with_poll_wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// How many events a poll asks for; see [`Client::with_page_limit`].
    pub fn with_page_limit(mut self, events: usize) -> Self {
        self.page = Some(events);
        self
    }

    /// How long the server may take to answer beside the wait; see
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
        Server::new(feed::router(&hub)).serve(listener, shutdown).await
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
        subscribe: Subscribe,
    ) -> Result<BoxStream<'static, Result<Frame>>> {
        self.client(endpoint).connect(subscribe).await
    }
}
