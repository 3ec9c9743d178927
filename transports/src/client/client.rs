use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use downlink::limits::MAX_WAIT;
use downlink::live::Params;
use downlink::transport::{Endpoint, Frame};
use downlink::{Result, Subscribe};
use futures::StreamExt;
use futures::stream::BoxStream;
use http::{HeaderName, HeaderValue};

use super::connect_options::ConnectOptions;
use super::connector::Connector;
use super::fallback::Fallback;
use super::follow::Follow;
use super::frames::Frames;
use super::live::FollowLive;
use super::reconnector::Reconnector;
use super::request;
use super::token::{TokenProvider, TokenReason};
use super::transport_kind::TransportKind;
#[cfg(feature = "websocket")]
use super::websocket::Socket;

/// The address of a feed, and how to connect to it.
///
/// Cheap to clone. Clones are independent: no connection is shared.
#[derive(Clone, Debug)]
#[must_use]
pub struct Client {
    options: ConnectOptions,
    fallback: Fallback,
}

impl Client {
    /// Creates a client of the feed at this endpoint. Nothing is sent yet.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { options: ConnectOptions::new(endpoint), fallback: TransportKind::Sse.into() }
    }

    /// Sets the transport: one [`TransportKind`], or several to fall back to, such
    /// as [`Fallback::all`]. [`TransportKind::Sse`] by default.
    pub fn with_transport(mut self, transport: impl Into<Fallback>) -> Self {
        self.fallback = transport.into();
        self
    }

    /// Sets a header of every request, such as `authorization`: none by default. For
    /// tokens that expire, see [`with_token_provider`](Self::with_token_provider).
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.options.headers.insert(name, value);
        self
    }

    /// Sets a function that returns bearer tokens, for `Authorization: Bearer`: none
    /// by default. It replaces an `authorization` [header](Self::with_header).
    ///
    /// It is called before each connection, and once more with
    /// [`TokenReason::Renew`] if the token is refused (401). The client ends only if
    /// the feed refuses that token, too. When rights expire in the middle of a
    /// connection, the client connects again with a new token and misses nothing.
    ///
    /// # Errors
    ///
    /// If the function returns an error of the kind
    /// [`Invalid`](downlink::ErrorKind::Invalid), the client ends with it. It is
    /// called again after any other error, and if it takes longer than the
    /// [connect deadline](Self::with_connect_deadline), after the usual delay.
    ///
    /// # Cancel safety
    ///
    /// The client drops the function's future at the deadline, and when it is
    /// itself dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn fetch_token(_: &str) -> downlink::Result<String> { Ok(String::new()) }
    /// use std::sync::Arc;
    ///
    /// use downlink::transport::Endpoint;
    /// use downlink_transports::client::{Client, TokenReason};
    /// use tokio::sync::Mutex;
    ///
    /// let cached = Arc::new(Mutex::new(None::<String>));
    /// let client = Client::new(Endpoint::new("http://feed.example")).with_token_provider(
    ///     move |reason| {
    ///         let cached = Arc::clone(&cached);
    ///         async move {
    ///             let mut cached = cached.lock().await;
    ///             match &*cached {
    ///                 Some(token) if reason == TokenReason::Connect => Ok(token.clone()),
    ///                 _ => {
    ///                     let token = fetch_token("the-client-id").await?;
    ///                     Ok(cached.insert(token).clone())
    ///                 }
    ///             }
    ///         }
    ///     },
    /// );
    /// ```
    pub fn with_token_provider<P, T>(mut self, provide: P) -> Self
    where
        P: Fn(TokenReason) -> T + Send + Sync + 'static,
        T: Future<Output = Result<String>> + Send + 'static,
    {
        self.options.token_provider = Some(TokenProvider::new(provide));
        self
    }

    /// Sets the connector: plain TCP by default. With another connector an
    /// endpoint may be `https`.
    pub fn with_connector(mut self, connector: impl Connector) -> Self {
        self.options.connector = Some(Arc::new(connector));
        self
    }

    /// Sets how long connecting may take, to whichever address of the host answers
    /// first: 10 seconds by default, a day at most.
    pub fn with_connect_deadline(mut self, deadline: Duration) -> Self {
        self.options.connect_deadline = deadline.min(MAX_WAIT);
        self
    }

    /// Sets how long the server may take to answer, in addition to the wait of a
    /// long-poll: 10 seconds by default, a day at most.
    pub fn with_answer_deadline(mut self, deadline: Duration) -> Self {
        self.options.answer_deadline = deadline.min(MAX_WAIT);
        self
    }

    /// Sets how long at least a connection may pass without a byte before the client
    /// gives it up, a day at most. By default, two and a half of the heartbeats that
    /// the server announces, and 10 seconds within an answer to a poll; these count
    /// as well if they are longer. Set it for networks that pause.
    ///
    /// Bytes count, not frames: a long event on a slow connection is not silence.
    pub fn with_read_stall_timeout(mut self, timeout: Duration) -> Self {
        self.options.read_stall_timeout = timeout.min(MAX_WAIT);
        self
    }

    /// Sets the size of the largest event that is read, in bytes: 4 MiB by
    /// default, more than any store accepts.
    pub fn with_event_limit(mut self, bytes: usize) -> Self {
        self.options.event_limit = bytes;
        self
    }

    /// Sets how long a long-poll asks the server to wait for an event, in whole
    /// seconds from 1 to 55. The default is 15 seconds, the interval of a stream's
    /// heartbeats, so that polls pass the same proxies as streams.
    #[cfg(feature = "long-poll")]
    pub fn with_poll_wait(mut self, wait: Duration) -> Self {
        self.options.poll_wait = Duration::from_secs(wait.as_secs().clamp(1, 55));
        self
    }

    /// Sets how many events a long-poll asks for at most: 1,000 by default, which
    /// is also the maximum.
    #[cfg(feature = "long-poll")]
    pub fn with_page_limit(mut self, events: usize) -> Self {
        self.options.page_limit = events.clamp(1, downlink::limits::MAX_PAGE_EVENTS);
        self
    }

    /// Sets the range of the random delay before a reconnect if the server does
    /// not ask for one: 1 to 10 seconds by default, a day at most.
    ///
    /// A shorter delay that a server asks for is raised to 100 milliseconds, or to
    /// the start of this range, whichever is less.
    pub fn with_reconnect_delay(mut self, delay: RangeInclusive<Duration>) -> Self {
        let (min, max) = delay.into_inner();
        let delay = &mut self.options.reconnect_delay;
        (delay.min, delay.max) = (min.min(MAX_WAIT), max.min(MAX_WAIT));
        self
    }

    /// Sets the longest delay before a reconnect that a server may ask for: one
    /// minute by default, a day at most. It also caps the client's own [random
    /// delay](Self::with_reconnect_delay).
    pub fn with_max_server_delay(mut self, delay: Duration) -> Self {
        self.options.reconnect_delay.server_max = delay.min(MAX_WAIT);
        self
    }

    /// Opens one connection with the first transport and yields its frames as
    /// they were sent, until it ends.
    ///
    /// With long-poll, a connection is a series of polls. It ends with the first
    /// poll that does not reach the server, or that reaches a server that is
    /// shutting down.
    ///
    /// # Errors
    ///
    /// [`Invalid`](downlink::ErrorKind::Invalid) if the URL is not valid, the transport
    /// cannot express the filter, or the server refuses the request;
    /// [`CursorAhead`](downlink::ErrorKind::CursorAhead) and
    /// [`HistoryChanged`](downlink::ErrorKind::HistoryChanged) for a refused resume;
    /// [`Unavailable`](downlink::ErrorKind::Unavailable) and
    /// [`Overloaded`](downlink::ErrorKind::Overloaded) if there is no connection now.
    ///
    /// The stream ends with [`Unavailable`](downlink::ErrorKind::Unavailable) if the
    /// connection breaks or is [silent](Self::with_read_stall_timeout) for too long, and with
    /// [`Corrupt`](downlink::ErrorKind::Corrupt) if the bytes are not a feed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future or the stream closes the connection.
    pub async fn connect(&self, subscribe: Subscribe) -> Result<BoxStream<'static, Result<Frame>>> {
        let (transport, subscribe) = (self.fallback.first(), &subscribe);
        let open = |options: ConnectOptions, _| async move {
            Frames::open(transport, &options, subscribe).await
        };
        let frames = self.options.authorized(TokenReason::Connect, open).await;
        Ok(frames.map_err(|failure| failure.error)?.into_stream().boxed())
    }

    /// Follows the feed without end, and reconnects whenever a connection ends.
    ///
    /// # Errors
    ///
    /// [`Invalid`](downlink::ErrorKind::Invalid) and
    /// [`TooLarge`](downlink::ErrorKind::TooLarge) if the URL is not valid, or one of the
    /// transports cannot express the filter. No connection is opened yet.
    pub fn follow(&self, subscribe: Subscribe) -> Result<Follow> {
        self.options.target()?;
        if self.fallback.transports().any(TransportKind::needs_filter_in_url) {
            request::filter_query(subscribe.filter())?;
        }
        let (options, fallback) = (self.options.clone(), self.fallback.clone());
        Ok(Follow::new(Reconnector::new(options, fallback, subscribe)))
    }

    /// Follows a live query, and reconnects whenever a connection ends.
    ///
    /// # Errors
    ///
    /// [`Invalid`](downlink::ErrorKind::Invalid) if the URL is not valid. No connection is
    /// opened yet.
    pub fn live(&self, query: impl Into<String>, params: Params) -> Result<FollowLive> {
        self.options.target()?;
        Ok(FollowLive::new(self.options.clone(), &self.fallback, query.into(), params))
    }

    /// Opens a WebSocket for several subscriptions and for appends, regardless of
    /// the [transport](Self::with_transport) for following.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    #[cfg(feature = "websocket")]
    pub async fn socket(&self) -> Result<Socket> {
        let open = |options: ConnectOptions, _| async move { Socket::open(&options).await };
        let socket = self.options.authorized(TokenReason::Connect, open).await;
        socket.map_err(|failure| failure.error)
    }
}

#[cfg(test)]
mod tests {
    use super::super::reconnect_delay::ServerDelay;
    use super::*;

    #[test]
    fn every_duration_can_be_added_to_an_instant() {
        let endpoint = Endpoint::new("http://127.0.0.1:9/");
        let client = Client::new(endpoint)
            .with_connect_deadline(Duration::MAX)
            .with_answer_deadline(Duration::MAX)
            .with_read_stall_timeout(Duration::MAX)
            .with_reconnect_delay(Duration::MAX..=Duration::MAX)
            .with_max_server_delay(Duration::MAX);
        let options = client.options;
        assert_eq!((options.connect_deadline, options.answer_deadline), (MAX_WAIT, MAX_WAIT));
        assert_eq!(options.read_stall_timeout, MAX_WAIT);
        for server in [
            ServerDelay::Unspecified,
            ServerDelay::Exactly(Duration::MAX),
            ServerDelay::AtLeast(Duration::MAX),
        ] {
            assert!(options.reconnect_delay.next(server) <= MAX_WAIT);
        }
    }
}
