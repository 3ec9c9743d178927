use std::time::Duration;

use downlink::{After, Cursor, Error, ErrorKind, Subscribe};
use http::header::{ACCEPT, CONNECTION, HeaderValue};
use http::response::Parts;
use http::{StatusCode, Version};
use tokio::time::{Instant, sleep, timeout};

use super::page::Page;
use crate::client::connect_options::ConnectOptions;
use crate::client::failure::Failure;
use crate::client::http_connection::HttpConnection;
use crate::client::reconnect_delay::ServerDelay;
use crate::client::request::{self, LAST_EVENT_ID, Target};

/// The bytes of a page apart from its events: two cursors and the member names.
const PAGE_OVERHEAD: usize = 1 << 10;

/// The bytes of a page's events, unless it has only one.
const MAX_PAGE_BYTES: usize = 1 << 20;

/// Requests pages over one connection, and over another one after the server
/// closed it between two answers.
#[derive(Debug)]
pub(super) struct Poller {
    options: ConnectOptions,
    target: Target,
    filter: String,
    connection: Option<HttpConnection>,
    /// Whether the last answer came at once and moved nothing.
    is_idle: bool,
    /// Whether the server closes the connection after the last answer.
    is_closing: bool,
}

/// The reason why there is no next page.
#[derive(Debug)]
pub(super) enum PollError {
    /// The server cannot be reached, or closed the connection before its answer.
    Unreachable(Failure),
    /// The server refused the request.
    Refused(Failure),
    /// An answer was incomplete or not a page.
    Broken(Error),
}

impl PollError {
    fn into_failure(self) -> Failure {
        match self {
            Self::Unreachable(failure) | Self::Refused(failure) => failure,
            Self::Broken(error) => Failure::from(error).before_ready().allow_fallback(),
        }
    }
}

impl Poller {
    pub(super) fn new(options: &ConnectOptions, subscribe: &Subscribe) -> Result<Self, Failure> {
        Ok(Self {
            target: options.target()?,
            filter: request::filter_query(subscribe.filter())?,
            options: options.clone(),
            connection: None,
            is_idle: false,
            is_closing: false,
        })
    }

    /// Returns the first page at once.
    pub(super) async fn first_page(&mut self, after: After) -> Result<Page, Failure> {
        self.reconnect().await.map_err(PollError::into_failure)?;
        self.poll(after, Duration::ZERO).await.map_err(PollError::into_failure)
    }

    /// Returns the page after this cursor, once there is something. If the server
    /// answers at once that there is nothing, the next poll is delayed.
    pub(super) async fn next_page(
        &mut self,
        cursor: Cursor,
        is_live: bool,
    ) -> Result<Page, PollError> {
        if std::mem::take(&mut self.is_idle) {
            sleep(self.options.reconnect_delay.next(ServerDelay::Unspecified)).await;
        }
        let began = Instant::now();
        let wait = if is_live { self.options.poll_wait } else { Duration::ZERO };
        let page = self.poll_or_reconnect(cursor, wait).await?;
        let min = self.options.reconnect_delay.min;
        self.is_idle = page.cursor <= cursor && began.elapsed() < min;
        Ok(page)
    }

    /// Whether the server had nothing and closed the connection, as it does when
    /// it shuts down.
    pub(super) fn is_dismissed(&self) -> bool {
        self.is_idle && self.is_closing
    }

    /// Returns the current end of the log.
    pub(super) async fn head(&mut self) -> Result<Cursor, PollError> {
        self.reconnect().await?;
        Ok(self.poll(After::Now, Duration::ZERO).await?.head)
    }

    /// The delay before the next connection: none after an answer that moved
    /// something, or that the server delayed.
    pub(super) fn server_delay(&self) -> ServerDelay {
        if self.is_idle { ServerDelay::Unspecified } else { ServerDelay::Exactly(Duration::ZERO) }
    }

    /// Spreads a delay that the server asks all clients for.
    pub(super) fn spread(&self, retry_after: Duration) -> Duration {
        self.options.reconnect_delay.next(ServerDelay::AtLeast(retry_after))
    }

    /// Polls on the current connection, and retries once on a new one: a server
    /// may close an idle connection at any time.
    async fn poll_or_reconnect(
        &mut self,
        cursor: Cursor,
        wait: Duration,
    ) -> Result<Page, PollError> {
        if self.connection.is_some() {
            match self.poll(cursor.into(), wait).await {
                Err(PollError::Unreachable(failure)) => {
                    tracing::debug!(error = %failure.error, "polling on a new connection");
                }
                outcome => return outcome,
            }
        }
        self.reconnect().await?;
        self.poll(cursor.into(), wait).await
    }

    async fn reconnect(&mut self) -> Result<(), PollError> {
        let io = self.options.connect(&self.target).await.map_err(PollError::Unreachable)?;
        let connection = HttpConnection::handshake(io).await.map_err(PollError::Unreachable)?;
        self.connection = Some(connection);
        Ok(())
    }

    async fn poll(&mut self, after: After, wait: Duration) -> Result<Page, PollError> {
        let Self { options, target, filter, .. } = self;
        let (cursor, after) = request::encode_after(after);
        let limit = format!("limit={}", options.page_limit);
        let seconds = wait.as_secs();
        let wait_for = if seconds > 0 { format!("wait={seconds}") } else { String::new() };
        let path = target.path("/feed", &[filter.clone(), after, limit, wait_for]);
        let mut request = options.request(target, &path).map_err(PollError::Refused)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(cursor) = cursor {
            request.headers_mut().insert(LAST_EVENT_ID, cursor);
        }
        let deadline = options.page_deadline();
        // It is put back after a complete answer only: otherwise it cannot be used any more.
        let Some(mut connection) = self.connection.take() else {
            return Err(PollError::Unreachable(Failure::unavailable("no connection")));
        };
        let answer = timeout(deadline + wait, connection.send(request)).await;
        let parts = answer
            .map_err(|_| PollError::Broken(no_answer(deadline + wait)))?
            .map_err(PollError::Unreachable)?;
        if !is_page(&parts) {
            let body = connection.refusal_body(options.answer_deadline).await;
            return Err(PollError::Refused(Failure::from_answer(&parts, &body, "not a page")));
        }
        let limit = options.event_limit.max(MAX_PAGE_BYTES).saturating_add(PAGE_OVERHEAD);
        let body = connection.body(limit, deadline).await.map_err(PollError::Broken)?;
        let page = Page::parse(&body, options.event_limit).map_err(PollError::Broken)?;
        self.is_closing = is_last(&parts);
        self.connection = (!self.is_closing).then_some(connection);
        Ok(page)
    }
}

fn no_answer(deadline: Duration) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the server did not answer a poll for {deadline:?}"))
}

fn is_page(answer: &Parts) -> bool {
    let content_type = answer.headers.get(http::header::CONTENT_TYPE);
    let content_type = content_type.map_or(&b""[..], HeaderValue::as_bytes);
    answer.status == StatusCode::OK && content_type.starts_with(b"application/json")
}

/// Whether the connection ends after this answer.
fn is_last(answer: &Parts) -> bool {
    let connection = answer.headers.get(CONNECTION).map_or(&b""[..], HeaderValue::as_bytes);
    let is = |word: &[u8]| connection.eq_ignore_ascii_case(word);
    is(b"close") || (answer.version == Version::HTTP_10 && !is(b"keep-alive"))
}
