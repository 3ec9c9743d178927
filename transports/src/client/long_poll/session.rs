use std::time::Duration;

use downlink::{After, Cursor, Error, ErrorKind, Subscribe};
use http::header::{ACCEPT, CONNECTION, HeaderValue};
use http::response::Parts;
use http::{StatusCode, Version};
use tokio::time::{Instant, sleep, timeout};

use super::page::Page;
use crate::client::client::Client;
use crate::client::exchange::Exchange;
use crate::client::failure::Failure;
use crate::client::pauses::Told;
use crate::client::request::{self, LAST_EVENT_ID, Target};

/// What a page may have beside its events, in bytes: two cursors and its
/// members.
const AROUND: usize = 1 << 10;

/// The events of a page together are not larger, but for a page of one.
const PAGE: usize = 1 << 20;

/// Asks for pages, over one connection as long as that is kept, and over
/// another when it was closed between two answers.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    target: Target,
    filter: String,
    exchange: Option<Exchange>,
    /// Whether the last answer brought nothing, and that at once.
    is_idle: bool,
    /// Whether the last answer was the last of its connection.
    is_closing: bool,
}

/// Why there is no further page.
#[derive(Debug)]
pub(super) enum End {
    /// The server is not there, or does not answer: between two pages.
    Away(Failure),
    /// The server refuses.
    Refused(Failure),
    /// A page broke, or is none.
    Broke(Error),
}

impl End {
    fn into_failure(self) -> Failure {
        match self {
            Self::Away(failure) | Self::Refused(failure) => failure,
            Self::Broke(error) => Failure::from(error).of_the_transport(),
        }
    }
}

impl Session {
    pub(super) fn new(client: &Client, subscribe: &Subscribe) -> Result<Self, Failure> {
        Ok(Self {
            target: client.target()?,
            filter: request::filter_query(subscribe.wanted())?,
            client: client.clone(),
            exchange: None,
            is_idle: false,
            is_closing: false,
        })
    }

    /// The page where the session begins, as it is now.
    pub(super) async fn first(&mut self, after: After) -> Result<Page, Failure> {
        self.exchange = Some(connect(&self.client, &self.target).await.map_err(End::into_failure)?);
        self.ask(after, Duration::ZERO).await.map_err(End::into_failure)
    }

    /// The page after this cursor, as soon as there is something. A server that
    /// has nothing and says so at once is not asked without a pause.
    pub(super) async fn after(&mut self, cursor: Cursor, is_live: bool) -> Result<Page, End> {
        if std::mem::take(&mut self.is_idle) {
            sleep(self.client.pauses.next(Told::Nothing)).await;
        }
        let began = Instant::now();
        let wait = if is_live { self.client.polls.wait } else { Duration::ZERO };
        let page = self.ask_again(cursor, wait).await?;
        self.is_idle = page.cursor <= cursor && began.elapsed() < self.client.pauses.from;
        Ok(page)
    }

    /// Whether the server has nothing and closes the connection, as one does
    /// that ends.
    pub(super) fn is_sent_away(&self) -> bool {
        self.is_idle && self.is_closing
    }

    /// The end of the log as it is now.
    pub(super) async fn head(&mut self) -> Result<Cursor, End> {
        self.exchange = Some(connect(&self.client, &self.target).await?);
        Ok(self.ask(After::Now, Duration::ZERO).await?.head)
    }

    /// What the last answer says about the next connection: one that brought
    /// something, or waited, may be followed by another at once.
    pub(super) fn told(&self) -> Told {
        if self.is_idle { Told::Nothing } else { Told::This(Duration::ZERO) }
    }

    /// What to tell those who were asked to stay away for so long.
    pub(super) fn spread(&self, retry_after: Duration) -> Duration {
        self.client.pauses.next(Told::AtLeast(retry_after))
    }

    /// Asks on the connection that is there, and once more on a fresh one: a
    /// server may close a connection that is idle at any time.
    async fn ask_again(&mut self, cursor: Cursor, wait: Duration) -> Result<Page, End> {
        if self.exchange.is_some() {
            match self.ask(cursor.into(), wait).await {
                Err(End::Away(failure)) => tracing::debug!(error = %failure.error, "polls anew"),
                outcome => return outcome,
            }
        }
        self.exchange = Some(connect(&self.client, &self.target).await?);
        self.ask(cursor.into(), wait).await
    }

    async fn ask(&mut self, after: After, wait: Duration) -> Result<Page, End> {
        let Self { client, target, filter, .. } = self;
        let (cursor, after) = request::beginning(after);
        let limit = format!("limit={}", client.polls.limit);
        let seconds = wait.as_secs();
        let wait_for = if seconds > 0 { format!("wait={seconds}") } else { String::new() };
        let path = target.path("/feed", &[filter.clone(), after, limit, wait_for]);
        let mut request = client.request(target, &path).map_err(End::Refused)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(cursor) = cursor {
            request.headers_mut().insert(LAST_EVENT_ID, cursor);
        }
        let deadline = client.answer_deadline;
        // Put back only after a whole answer: half a connection is none.
        let Some(mut exchange) = self.exchange.take() else {
            return Err(End::Away(Failure::late("no connection")));
        };
        let answer = timeout(deadline + wait, exchange.ask(request)).await;
        let parts = answer.map_err(|_| End::Broke(silent(deadline + wait)))?.map_err(End::Away)?;
        if !is_page(&parts) {
            let why = exchange.explanation(deadline).await;
            return Err(End::Refused(Failure::refused(&parts, &why, "no page")));
        }
        let limit = client.event_limit.max(PAGE) + AROUND;
        let body = exchange.body(limit, deadline).await.map_err(End::Broke)?;
        let page = Page::parse(&body, client.event_limit).map_err(End::Broke)?;
        self.is_closing = is_last(&parts);
        self.exchange = (!self.is_closing).then_some(exchange);
        Ok(page)
    }
}

async fn connect(client: &Client, target: &Target) -> Result<Exchange, End> {
    let wire = client.dial(target).await.map_err(End::Away)?;
    Exchange::over(wire).await.map_err(End::Away)
}

fn silent(deadline: Duration) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the server did not answer a poll for {deadline:?}"))
}

fn is_page(answer: &Parts) -> bool {
    let content_type = answer.headers.get(http::header::CONTENT_TYPE);
    let content_type = content_type.map_or(&b""[..], HeaderValue::as_bytes);
    answer.status == StatusCode::OK && content_type.starts_with(b"application/json")
}

fn is_last(answer: &Parts) -> bool {
    let connection = answer.headers.get(CONNECTION).map_or(&b""[..], HeaderValue::as_bytes);
    let says = |word: &[u8]| connection.eq_ignore_ascii_case(word);
    says(b"close") || (answer.version == Version::HTTP_10 && !says(b"keep-alive"))
}
