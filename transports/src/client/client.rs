use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use downlink::{Endpoint, Frame, Result, Subscribe};
use futures::StreamExt;
use futures::stream::BoxStream;
use http::header::{ACCEPT, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::Empty;

use super::event_stream::EventStream;
use super::exchange::Exchange;
use super::failure::Failure;
use super::follow::Follow;
use super::frames::Frames;
use super::pauses::Pauses;
use super::request::{self, Target};

const NAME: &str = concat!("downlink-rust/", env!("CARGO_PKG_VERSION"));

/// Where a feed is, and how to speak to it.
///
/// Cheap to clone; clones share nothing.
#[derive(Clone)]
#[must_use]
pub struct Client {
    endpoint: Endpoint,
    headers: HeaderMap,
    connect_deadline: Duration,
    answer_deadline: Duration,
    event_limit: usize,
    pub(super) pauses: Pauses,
}

impl Client {
    /// A client of the feed at this endpoint. Nothing is sent yet.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            headers: HeaderMap::new(),
            connect_deadline: Duration::from_secs(10),
            answer_deadline: Duration::from_secs(10),
            event_limit: EventStream::LIMIT,
            pauses: Pauses {
                from: Duration::from_secs(1),
                to: Duration::from_secs(10),
                longest: Duration::from_mins(1),
            },
        }
    }

    /// A header for every request, such as `authorization`: none by default.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// How long a connection may take to come about: 10 seconds by default.
    pub fn with_connect_deadline(mut self, deadline: Duration) -> Self {
        self.connect_deadline = deadline;
        self
    }

    /// How long the server may take to answer: 10 seconds by default.
    pub fn with_answer_deadline(mut self, deadline: Duration) -> Self {
        self.answer_deadline = deadline;
        self
    }

    /// The longest event that is read, in bytes: 4 MiB by default, more than
    /// any store takes.
    pub fn with_event_limit(mut self, bytes: usize) -> Self {
        self.event_limit = bytes;
        self
    }

    /// The range from which the pause before a reconnect is drawn if the server
    /// has not said how long to wait: 1 to 10 seconds by default.
    ///
    /// A server cannot ask for less than 100 milliseconds, or than the beginning of this range if
    /// that is shorter.
    pub fn with_reconnect(mut self, pause: RangeInclusive<Duration>) -> Self {
        (self.pauses.from, self.pauses.to) = pause.into_inner();
        self
    }

    /// The longest pause before a reconnect that a server may ask for: one
    /// minute by default.
    pub fn with_longest_pause(mut self, pause: Duration) -> Self {
        self.pauses.longest = pause;
        self
    }

    /// Opens one connection and yields its frames as they were sent, until it
    /// ends.
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
        let frames = self.open(&subscribe).await.map_err(|failure| failure.error)?;
        Ok(frames.into_stream().boxed())
    }

    /// Follows the feed without end, through as many connections as it takes.
    ///
    /// # Errors
    ///
    /// [`Invalid`](downlink::ErrorKind::Invalid) and
    /// [`TooLarge`](downlink::ErrorKind::TooLarge) if the URL or the filter cannot be
    /// said. No connection is opened yet.
    pub fn follow(&self, subscribe: Subscribe) -> Result<Follow> {
        Target::parse(&self.endpoint)?;
        request::filter_query(subscribe.wanted())?;
        Ok(Follow::new(self.clone(), subscribe))
    }

    pub(super) async fn open(&self, subscribe: &Subscribe) -> Result<Frames, Failure> {
        let target = Target::parse(&self.endpoint)?;
        let filter = request::filter_query(subscribe.wanted())?;
        let (cursor, after) = request::beginning(subscribe.begins_after());
        let mut request = Request::get(target.feed(&filter, after.as_deref()))
            .header(HOST, &target.authority)
            .header(ACCEPT, "text/event-stream")
            .header("feed-client", NAME);
        if let Some(cursor) = cursor {
            request = request.header("last-event-id", cursor.to_string());
        }
        let mut request = request
            .body(Empty::new())
            .map_err(|error| Failure::passing("the request cannot be written", error))?;
        request.headers_mut().extend(self.headers.clone());
        let (connect, answer) = (self.connect_deadline, self.answer_deadline);
        let (parts, exchange) = Exchange::open(&target, request, connect, answer).await?;
        if is_event_stream(&parts) {
            return Ok(Frames::new(exchange, self.event_limit));
        }
        Err(Failure::refused(&parts, &exchange.explanation(answer).await))
    }
}

fn is_event_stream(answer: &http::response::Parts) -> bool {
    let content_type = answer.headers.get(http::header::CONTENT_TYPE);
    let content_type = content_type.map_or(&b""[..], HeaderValue::as_bytes);
    answer.status == http::StatusCode::OK && content_type.starts_with(b"text/event-stream")
}

impl fmt::Debug for Client {
    /// Leaves out the values of headers, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint)
            .field("headers", &self.headers.keys())
            .finish_non_exhaustive()
    }
}
