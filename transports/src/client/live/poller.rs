use std::time::Duration;

use downlink::live::Token;
use downlink::{Error, ErrorKind};
use http::header::{ACCEPT, CONNECTION, HeaderValue};
use http::{HeaderMap, StatusCode};

use super::{Question, header};
use crate::client::connect_options::ConnectOptions;
use crate::client::failure::Failure;
use crate::client::http_connection::{HttpConnection, within};
use crate::client::request::{LAST_EVENT_ID, Target};
use crate::wire::{LiveMessage, parse_live};

/// Asks for the next answer, one request after the other.
pub(super) struct Poller {
    options: ConnectOptions,
    target: Target,
    question: Question,
    after: Option<Token>,
    /// The answer to the first request, which says whether the server has the query.
    first: Option<LiveMessage>,
    connection: Option<HttpConnection>,
}

impl Poller {
    pub(super) async fn open(
        options: &ConnectOptions,
        question: Question,
        after: Option<Token>,
    ) -> Result<Self, Failure> {
        let (options, target) = (options.clone(), options.target()?);
        let mut poller = Self { options, target, question, after, first: None, connection: None };
        poller.first = Some(poller.poll(Duration::ZERO).await?);
        Ok(poller)
    }

    pub(super) async fn next(&mut self) -> Result<LiveMessage, Failure> {
        let message = match self.first.take() {
            Some(first) => first,
            None => self.poll(self.options.poll_wait).await?,
        };
        self.after = match &message {
            LiveMessage::Result { token, .. }
            | LiveMessage::Rows { token, .. }
            | LiveMessage::Checkpoint { token } => Some(*token),
            LiveMessage::Ready { .. } => self.after,
        };
        Ok(message)
    }

    /// Asks on the current connection, and once more on a new one: a server may close an
    /// idle connection at any time.
    async fn poll(&mut self, wait: Duration) -> Result<LiveMessage, Failure> {
        if let Some(connection) = self.connection.take()
            && let Ok(message) = self.poll_on(connection, wait).await
        {
            return Ok(message);
        }
        let io = self.options.connect(&self.target).await?;
        let connection = HttpConnection::handshake(io).await?;
        self.poll_on(connection, wait).await
    }

    async fn poll_on(
        &mut self,
        mut connection: HttpConnection,
        wait: Duration,
    ) -> Result<LiveMessage, Failure> {
        let mut parameters = self.question.parameters();
        if self.after.is_some() && !wait.is_zero() {
            parameters.push(format!("wait={}", wait.as_secs()));
        }
        let path = self.target.path(&self.question.route(), &parameters);
        let mut request = self.options.request(&self.target, &path)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = self.after {
            request.headers_mut().insert(LAST_EVENT_ID, header(token));
        }
        let deadline = self.options.page_deadline();
        let parts = within(deadline + wait, connection.send(request)).await?;
        if parts.status != StatusCode::OK {
            let body = connection.refusal_body(self.options.answer_deadline).await;
            return Err(Failure::from_answer(&parts, &body, "not an answer of a live query"));
        }
        let body = connection.body(self.options.event_limit, deadline).await?;
        let message = parse_live(&body)?.ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, "an answer to a poll is not of a live query")
        })?;
        self.connection = (!is_last(&parts.headers)).then_some(connection);
        Ok(message)
    }
}

/// Whether the connection ends after this answer.
fn is_last(headers: &HeaderMap) -> bool {
    headers.get(CONNECTION).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}
