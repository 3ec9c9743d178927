use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use downlink::limits::MAX_WAIT;
use downlink::{Endpoint, Frame, Result, Subscribe};
use futures::StreamExt;
use futures::stream::BoxStream;
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::Empty;
use tokio::time::timeout;

use super::connector::{Connector, Tcp, Wire};
use super::event_stream::EventStream;
use super::failure::Failure;
use super::follow::Follow;
use super::frames::Frames;
use super::ladder::Ladder;
#[cfg(feature = "long-poll")]
use super::long_poll;
use super::pauses::Pauses;
use super::request::{self, Target};
use super::sse;
use super::transport_kind::TransportKind;
#[cfg(feature = "websocket")]
use super::websocket;

const NAME: &str = concat!("downlink-rust/", env!("CARGO_PKG_VERSION"));

/// Where a feed is, and how to speak to it.
///
/// Cheap to clone; clones share nothing.
#[derive(Clone)]
#[must_use]
pub struct Client {
    endpoint: Endpoint,
    headers: HeaderMap,
    /// `None` for plain TCP.
    connector: Option<Arc<dyn Connector>>,
    connect_deadline: Duration,
    pub(super) answer_deadline: Duration,
    pub(super) event_limit: usize,
    #[cfg(feature = "long-poll")]
    pub(super) polls: long_poll::Polls,
    pub(super) ladder: Ladder,
    pub(super) pauses: Pauses,
}

impl Client {
    /// A client of the feed at this endpoint. Nothing is sent yet.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            headers: HeaderMap::new(),
            connector: None,
            connect_deadline: Duration::from_secs(10),
            answer_deadline: Duration::from_secs(10),
            event_limit: EventStream::LIMIT,
            #[cfg(feature = "long-poll")]
            polls: long_poll::Polls::default(),
            ladder: TransportKind::Sse.into(),
            pauses: Pauses {
                from: Duration::from_secs(1),
                to: Duration::from_secs(10),
                longest: Duration::from_mins(1),
            },
        }
    }

    /// What carries the frames: one [`TransportKind`], which is [`TransportKind::Sse`] by
    /// default, or several, such as [`Ladder::best`].
    pub fn with_transport(mut self, transport: impl Into<Ladder>) -> Self {
        self.ladder = transport.into();
        self
    }

    /// A header for every request, such as `authorization`: none by default.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// What opens connections: plain TCP by default. With another connector an
    /// endpoint may be `https`.
    pub fn with_connector(mut self, connector: impl Connector) -> Self {
        self.connector = Some(Arc::new(connector));
        self
    }

    /// How long a connection may take to come about: 10 seconds by default, a
    /// day at most.
    pub fn with_connect_deadline(mut self, deadline: Duration) -> Self {
        self.connect_deadline = deadline.min(MAX_WAIT);
        self
    }

    /// How long the server may take to answer, beside what a poll asks it to
    /// wait: 10 seconds by default, a day at most.
    pub fn with_answer_deadline(mut self, deadline: Duration) -> Self {
        self.answer_deadline = deadline.min(MAX_WAIT);
        self
    }

    /// The longest event that is read, in bytes: 4 MiB by default, more than
    /// any store takes.
    pub fn with_event_limit(mut self, bytes: usize) -> Self {
        self.event_limit = bytes;
        self
    }

    /// How long a long-poll asks the server to wait for an event, in whole
    /// seconds: 15 by default, as often as a stream gives a sign of life, so
    /// that it comes through the same proxies; 1 to 55.
    #[cfg(feature = "long-poll")]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.polls.wait = Duration::from_secs(wait.as_secs().clamp(1, 55));
        self
    }

    /// The most events that a long-poll asks for at a time: 1,000 by default,
    /// which is also the most.
    #[cfg(feature = "long-poll")]
    pub fn with_page(mut self, events: usize) -> Self {
        self.polls.limit = events.clamp(1, downlink::limits::MAX_PAGE_EVENTS);
        self
    }

    /// The range from which the pause before a reconnect is drawn if the server
    /// has not said how long to wait: 1 to 10 seconds by default, a day at most.
    ///
    /// A server cannot ask for less than 100 milliseconds, or than the beginning of this range if
    /// that is shorter.
    pub fn with_reconnect(mut self, pause: RangeInclusive<Duration>) -> Self {
        let (from, to) = pause.into_inner();
        (self.pauses.from, self.pauses.to) = (from.min(MAX_WAIT), to.min(MAX_WAIT));
        self
    }

    /// The longest pause before a reconnect that a server may ask for: one
    /// minute by default, a day at most.
    pub fn with_longest_pause(mut self, pause: Duration) -> Self {
        self.pauses.longest = pause.min(MAX_WAIT);
        self
    }

    /// Opens one connection by the first transport and yields its frames as they
    /// were sent, until it ends.
    ///
    /// With long-poll a connection is a row of polls: it ends with the first
    /// that finds no server, or one that ends.
    ///
    /// # Errors
    ///
    /// [`Invalid`](downlink::ErrorKind::Invalid) if the URL or the filter cannot be
    /// said, or the server refuses; [`CursorAhead`](downlink::ErrorKind::CursorAhead) and
    /// [`HistoryChanged`](downlink::ErrorKind::HistoryChanged) for a refused resume;
    /// [`Unavailable`](downlink::ErrorKind::Unavailable) and
    /// [`Overloaded`](downlink::ErrorKind::Overloaded) if there is no connection now.
    ///
    /// The stream ends with [`Unavailable`](downlink::ErrorKind::Unavailable) if the
    /// connection breaks or is silent for two heartbeats, and with
    /// [`Corrupt`](downlink::ErrorKind::Corrupt) for bytes that are no feed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future or the stream closes the connection.
    pub async fn connect(&self, subscribe: Subscribe) -> Result<BoxStream<'static, Result<Frame>>> {
        let frames = self.open(self.ladder.first(), &subscribe).await;
        Ok(frames.map_err(|failure| failure.error)?.into_stream().boxed())
    }

    /// Follows the feed without end, through as many connections as it takes.
    ///
    /// # Errors
    ///
    /// [`Invalid`](downlink::ErrorKind::Invalid) and
    /// [`TooLarge`](downlink::ErrorKind::TooLarge) if the URL or the filter cannot be
    /// said by every transport. No connection is opened yet.
    pub fn follow(&self, subscribe: Subscribe) -> Result<Follow> {
        self.target()?;
        if self.ladder.transports().any(TransportKind::says_filters_in_the_url) {
            request::filter_query(subscribe.wanted())?;
        }
        Ok(Follow::new(self.clone(), subscribe))
    }

    pub(super) async fn open(
        &self,
        transport: TransportKind,
        subscribe: &Subscribe,
    ) -> Result<Frames, Failure> {
        match transport {
            #[cfg(feature = "websocket")]
            TransportKind::WebSocket => {
                websocket::open(self, subscribe).await.map(Frames::WebSocket)
            }
            TransportKind::Sse => sse::open(self, subscribe).await.map(Frames::Sse),
            #[cfg(feature = "long-poll")]
            TransportKind::LongPoll => long_poll::open(self, subscribe).await.map(Frames::LongPoll),
        }
    }

    pub(super) fn target(&self) -> Result<Target> {
        Target::parse(&self.endpoint, self.connector.is_none())
    }

    /// Opens a connection, within its deadline.
    pub(super) async fn dial(&self, target: &Target) -> Result<Box<dyn Wire>, Failure> {
        let connector = self.connector.as_deref().unwrap_or(&Tcp);
        let deadline = self.connect_deadline;
        match timeout(deadline, connector.connect(&target.host, target.port)).await {
            Ok(connected) => connected.map_err(|error| {
                Failure::passing(format!("no connection to {}", target.authority), error)
            }),
            Err(_) => Err(Failure::late(format!("no connection after {deadline:?}"))),
        }
    }

    /// A `GET` of this path, with what every request has.
    pub(super) fn request(
        &self,
        target: &Target,
        path: &str,
    ) -> Result<Request<Empty<Bytes>>, Failure> {
        let request =
            Request::get(path).header(HOST, &target.authority).header("feed-client", NAME);
        let mut request = request
            .body(Empty::new())
            .map_err(|error| Failure::passing("the request cannot be written", error))?;
        request.headers_mut().extend(self.headers.clone());
        Ok(request)
    }
}

impl fmt::Debug for Client {
    /// Leaves out the values of headers, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint)
            .field("transports", &self.ladder)
            .field("headers", &self.headers.keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::pauses::Told;
    use super::*;

    #[test]
    fn every_duration_can_be_added_to_a_moment() {
        let endpoint = Endpoint::new("http://127.0.0.1:9/");
        let client = Client::new(endpoint)
            .with_connect_deadline(Duration::MAX)
            .with_answer_deadline(Duration::MAX)
            .with_reconnect(Duration::MAX..=Duration::MAX)
            .with_longest_pause(Duration::MAX);
        assert_eq!((client.connect_deadline, client.answer_deadline), (MAX_WAIT, MAX_WAIT));
        for told in [Told::Nothing, Told::This(Duration::MAX), Told::AtLeast(Duration::MAX)] {
            assert!(client.pauses.next(told) <= MAX_WAIT);
        }
    }
}
