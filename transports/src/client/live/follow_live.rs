use std::fmt;

use downlink::transport::Frame;
use downlink::{ErrorKind, Result};
use tokio::time::{Instant, sleep_until};

use super::connection::{LiveConnection, LiveEvent};
use super::{LiveRows, Question};
use crate::client::connect_options::ConnectOptions;
use crate::client::failure::{Cause, Failure};
use crate::client::fallback::Fallback;
use crate::client::reconnect_delay::ServerDelay;
use crate::client::token::TokenReason;
use crate::client::transport_kind::TransportKind;
use crate::wire::LiveMessage;

/// The rows of a live query, which are kept up to date across reconnects.
///
/// When a connection ends, the next one resumes with the [token](LiveRows::token) of the
/// rows: if they are still the answer, they are not sent again. If the log was replaced, the
/// rows are dropped, and those of the new log follow.
///
/// # Examples
///
/// ```no_run
/// # async fn run(client: downlink_transports::client::Client) -> downlink::Result<()> {
/// use downlink::live::Params;
///
/// #[derive(serde::Deserialize)]
/// struct Departure {
///     flight: String,
///     gate: String,
/// }
///
/// let mut board = client.live("board", Params::new().with("airport", "EWR"))?;
/// while let Some(rows) = board.next().await? {
///     for Departure { flight, gate } in rows.decode()? {
///         println!("{flight} at {gate}");
///     }
/// }
/// # Ok(()) }
/// ```
#[must_use = "nothing is requested until it is polled"]
pub struct FollowLive {
    options: ConnectOptions,
    question: Question,
    transports: Vec<TransportKind>,
    /// The transport in use, as an index.
    transport: usize,
    rows: LiveRows,
    connection: Option<LiveConnection>,
    reconnect_at: Option<Instant>,
    token_reason: TokenReason,
    /// Whether the server was reached: then only itself can end the client.
    was_reached: bool,
    /// Whether the connection has brought anything.
    is_productive: bool,
    /// Why the token was asked for with which it was opened.
    opened_with: TokenReason,
    has_ended: bool,
}

impl FollowLive {
    pub(in crate::client) fn new(
        options: ConnectOptions,
        fallback: &Fallback,
        query: String,
        params: downlink::live::Params,
    ) -> Self {
        Self {
            options,
            question: Question { query, params },
            transports: fallback.transports().collect(),
            transport: 0,
            rows: LiveRows::new(),
            connection: None,
            reconnect_at: None,
            token_reason: TokenReason::Connect,
            was_reached: false,
            is_productive: false,
            opened_with: TokenReason::Connect,
            has_ended: false,
        }
    }

    /// The rows as of the last call of [`next`](Self::next).
    #[must_use]
    pub fn rows(&self) -> &LiveRows {
        &self.rows
    }

    /// Waits for the next frame that changes the rows or their cursor, and returns them;
    /// `None` after an error.
    ///
    /// # Errors
    ///
    /// Those that retrying cannot fix: [`Invalid`](ErrorKind::Invalid) if the server refuses
    /// the query, or if there is no server at the URL and never was;
    /// [`TooLarge`](ErrorKind::TooLarge) if the answer is.
    ///
    /// # Cancel safety
    ///
    /// No change is lost.
    pub async fn next(&mut self) -> Result<Option<&LiveRows>> {
        while !self.has_ended {
            match self.step().await {
                Ok(true) => return Ok(Some(&self.rows)),
                Ok(false) => {}
                Err(error) => {
                    self.has_ended = true;
                    self.connection = None;
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// Connects, or takes one frame. Returns whether there is news.
    async fn step(&mut self) -> Result<bool> {
        let Some(connection) = &mut self.connection else {
            self.connect().await?;
            return Ok(false);
        };
        match connection.next().await {
            Some(Ok(event)) => {
                (self.was_reached, self.is_productive) = (true, true);
                match event {
                    LiveEvent::Live(message) => Ok(self.apply(message)),
                    LiveEvent::Control(frame) => self.on_control(frame).map(|()| false),
                }
            }
            Some(Err(failure)) => self.on_broken(failure).map(|()| false),
            None => {
                let delay = connection.server_delay();
                self.close(delay);
                Ok(false)
            }
        }
    }

    async fn connect(&mut self) -> Result<()> {
        if let Some(time) = self.reconnect_at {
            sleep_until(time).await;
            self.reconnect_at = None;
        }
        let transport = self.transports[self.transport];
        let (question, after) = (&self.question, self.rows.token());
        let open = |options: ConnectOptions, _| async move {
            LiveConnection::open(transport, &options, question, after).await
        };
        let reason = std::mem::take(&mut self.token_reason);
        (self.is_productive, self.opened_with) = (false, reason);
        match self.options.authorized(reason, open).await {
            Ok(connection) => {
                self.connection = Some(connection);
                Ok(())
            }
            Err(failure) => self.on_failure(failure),
        }
    }

    fn apply(&mut self, message: LiveMessage) -> bool {
        let is_ready = matches!(message, LiveMessage::Ready { .. });
        match self.rows.apply(message) {
            Ok(_) => !is_ready,
            Err(error) => {
                tracing::warn!(%error, "loading the rows of a live query again");
                self.rows.clear();
                self.close(ServerDelay::Unspecified);
                false
            }
        }
    }

    fn on_control(&mut self, frame: Frame) -> Result<()> {
        match frame {
            Frame::Reset { reason, .. } => {
                tracing::warn!(%reason, "the log was replaced, loading the rows again");
                self.rows.clear();
                self.close(ServerDelay::Unspecified);
            }
            Frame::Bye { reason, reconnect_after } => {
                tracing::debug!(%reason, ?reconnect_after, "the server ends the connection");
                if reason == "expired" {
                    self.token_reason = TokenReason::Renew;
                }
                self.close(ServerDelay::Exactly(reconnect_after));
            }
            Frame::Problem { code, detail, retryable, .. } => {
                let failure = Failure::from_problem(&code, &detail, retryable);
                if failure.error.is_other_history() || self.rows.token().is_none() {
                    return self.on_failure(failure);
                }
                // The rows stay, and the server tries again.
                tracing::warn!(error = %failure.error, "the live query has a problem");
            }
            _ => {}
        }
        Ok(())
    }

    /// A connection that was open has failed: a token may have expired, and what has not sent
    /// anything may be held back by a proxy.
    fn on_broken(&mut self, failure: Failure) -> Result<()> {
        if self.options.can_renew(&failure)
            && (self.is_productive || self.opened_with != TokenReason::Renew)
        {
            tracing::debug!(error = %failure.error, "reconnecting with a new token");
            self.token_reason = TokenReason::Renew;
            self.close(ServerDelay::Exactly(std::time::Duration::ZERO));
            return Ok(());
        }
        let is_productive = self.is_productive;
        let before_ready = |failure: Failure| failure.before_ready().allow_fallback();
        self.on_failure(if is_productive { failure } else { before_ready(failure) })
    }

    fn on_failure(&mut self, failure: Failure) -> Result<()> {
        let Failure { error, cause, may_fall_back, retry_after, .. } = failure;
        if error.is_other_history() && self.rows.token().is_some() {
            tracing::warn!(%error, "the log was replaced, loading the rows again");
            self.rows.clear();
            self.close(ServerDelay::Exactly(std::time::Duration::ZERO));
            return Ok(());
        }
        let may_fall_back = may_fall_back && (cause == Cause::NotAFeed || !self.was_reached);
        if may_fall_back && self.transport + 1 < self.transports.len() {
            self.transport += 1;
            let next = self.transports[self.transport];
            tracing::warn!(%error, %next, "the transport does not work, falling back");
            self.connection = None;
            return Ok(());
        }
        let is_final = match cause {
            Cause::Permanent => error.kind() != ErrorKind::Unavailable,
            Cause::NotAFeed => !self.was_reached,
            Cause::Unreadable | Cause::Temporary => false,
        };
        if is_final {
            return Err(error);
        }
        tracing::debug!(%error, "a connection of a live query ended, reconnecting");
        self.close(retry_after.map_or(ServerDelay::Unspecified, ServerDelay::AtLeast));
        Ok(())
    }

    fn close(&mut self, delay: ServerDelay) {
        self.connection = None;
        self.reconnect_at = Some(Instant::now() + self.options.reconnect_delay.next(delay));
    }
}

impl fmt::Debug for FollowLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowLive")
            .field("question", &self.question)
            .field("token", &self.rows.token())
            .finish_non_exhaustive()
    }
}
