use std::time::Duration;

use downlink::transport::Frame;
use downlink::{Cursor, Error, ErrorKind, Result, Subscribe};
use tokio::time::{Instant, sleep_until};

use super::active_connection::{ActiveConnection, ConnectionEvent, skips_events};
use super::connect_options::ConnectOptions;
use super::failure::{Cause, Failure};
use super::fallback::{Fallback, FallbackState};
use super::frames::Frames;
use super::reconnect_delay::ServerDelay;
use super::token::TokenReason;
use super::upgrade::{Upgrade, UpgradeEvent, Upgraded};
use crate::wire::Code;

/// After this many unproductive connections in a row, a server can no longer
/// shorten the delay.
const MAX_UNPRODUCTIVE: u32 = 3;

/// After this many connections in a row that a feed ended with bytes that cannot be
/// read, without anything new in between, the feed itself is the cause.
const MAX_UNREADABLE: u32 = 3;

/// The state of a [`Follow`](super::Follow): one connection at a time, and a new
/// one when it ends.
pub(super) struct Reconnector {
    options: ConnectOptions,
    subscribe: Subscribe,
    /// Everything up to here was handed out, or does not match.
    cursor: Option<Cursor>,
    fallback: FallbackState,
    connection: Option<Box<ActiveConnection>>,
    /// When to open the next connection.
    reconnect_at: Option<Instant>,
    /// Which token the next connection needs.
    token_reason: TokenReason,
    /// Whether the feed was reached: then only itself can end the client.
    was_ready: bool,
    /// How many connections in a row delivered nothing and ended soon.
    unproductive: u32,
    /// How many of them ended with bytes that cannot be read.
    unreadable: u32,
    upgrade: Upgrade,
}

enum Event {
    Connection(ConnectionEvent),
    Upgrade(UpgradeEvent),
}

impl Reconnector {
    pub(super) fn new(options: ConnectOptions, fallback: Fallback, subscribe: Subscribe) -> Self {
        Self {
            options,
            subscribe,
            cursor: None,
            fallback: FallbackState::new(fallback),
            connection: None,
            reconnect_at: None,
            token_reason: TokenReason::Connect,
            was_ready: false,
            unproductive: 0,
            unreadable: 0,
            upgrade: Upgrade::None,
        }
    }

    /// The next frame for the caller.
    pub(super) async fn next(&mut self) -> Option<Result<Frame>> {
        loop {
            let next = match &mut self.connection {
                None => self.connect().await.map(|()| None),
                Some(connection) => {
                    let event = tokio::select! {
                        biased;
                        event = connection.event() => Event::Connection(event),
                        event = self.upgrade.event() => Event::Upgrade(event),
                    };
                    self.on_event(event)
                }
            };
            if let Some(answer) = next.transpose() {
                return Some(answer);
            }
        }
    }

    fn on_event(&mut self, event: Event) -> Result<Option<Frame>> {
        match event {
            Event::Connection(ConnectionEvent::Frame(Some(Ok(frame)))) => {
                return self.on_frame(frame);
            }
            Event::Connection(ConnectionEvent::Frame(Some(Err(failure)))) => {
                self.on_broken(failure)?;
            }
            Event::Connection(ConnectionEvent::Frame(None)) => {
                tracing::debug!("the connection ended");
                self.close(ServerDelay::Unspecified);
            }
            Event::Connection(ConnectionEvent::NotReadyInTime) => {
                let transport = self.fallback.transport();
                tracing::warn!(%transport, "the feed accepts the request and does not become ready");
                self.close(ServerDelay::Unspecified);
            }
            Event::Upgrade(UpgradeEvent::Due) => {
                let (preferred, deadline) =
                    (self.fallback.preferred(), self.fallback.ready_deadline());
                let (options, subscribe) = (self.options.clone(), self.resume());
                self.upgrade = Upgrade::start(preferred, deadline, options, subscribe);
            }
            Event::Upgrade(UpgradeEvent::Done(Some(upgraded))) => self.switch_to(upgraded),
            Event::Upgrade(UpgradeEvent::Done(None)) => {
                self.upgrade = Upgrade::At(self.fallback.on_failed_upgrade());
            }
        }
        Ok(None)
    }

    /// The subscription from the caller's cursor.
    fn resume(&self) -> Subscribe {
        let subscribe = self.subscribe.clone();
        match self.cursor {
            Some(cursor) => subscribe.with_after(cursor),
            None => subscribe,
        }
    }

    async fn connect(&mut self) -> Result<()> {
        if let Some(time) = self.reconnect_at.take() {
            sleep_until(time).await;
        }
        match self.open().await {
            Ok(connection) => self.connection = Some(connection),
            Err(failure) => self.on_failure(failure)?,
        }
        Ok(())
    }

    async fn open(&mut self) -> Result<Box<ActiveConnection>, Failure> {
        let reason = std::mem::take(&mut self.token_reason);
        let subscribe = self.resume();
        let (fallback, subscribe) = (&self.fallback, &subscribe);
        let open = |options: ConnectOptions, reason| async move {
            let last_resort = Instant::now() + options.ready_deadline();
            let ready_by = fallback.ready_by().unwrap_or(last_resort);
            let frames = Frames::open(fallback.transport(), &options, subscribe).await?;
            Ok(ActiveConnection::new(frames, reason, ready_by))
        };
        self.options.authorized(reason, open).await
    }

    /// Handles a connection that could not be opened.
    fn on_failure(&mut self, failure: Failure) -> Result<()> {
        let Failure { error, cause, may_fall_back, retry_after, .. } = failure;
        let transport = self.fallback.transport();
        let is_final = self.is_final(cause);
        if may_fall_back && self.fallback.on_failure(is_final) {
            let next = self.fallback.transport();
            tracing::warn!(%error, %transport, %next, "the transport does not work, falling back");
            return Ok(());
        }
        if is_final {
            return Err(error);
        }
        tracing::warn!(%error, %transport, "cannot connect to the feed, retrying");
        self.unproductive += 1;
        self.schedule(retry_after.map_or(ServerDelay::Unspecified, ServerDelay::AtLeast));
        Ok(())
    }

    /// Whether a failure would come again at the next attempt. What is not a feed
    /// will be one again, if it was one before.
    fn is_final(&self, cause: Cause) -> bool {
        match cause {
            Cause::Permanent => true,
            Cause::NotAFeed => !self.was_ready,
            Cause::Unreadable => self.unreadable >= MAX_UNREADABLE,
            Cause::Temporary => false,
        }
    }

    /// Handles the failure of a connection that was open.
    fn on_broken(&mut self, failure: Failure) -> Result<()> {
        let Some(connection) = &self.connection else { return Ok(()) };
        let is_productive = self.is_productive(connection);
        if self.options.can_renew(&failure)
            && (is_productive || connection.token_reason != TokenReason::Renew)
        {
            tracing::debug!(error = %failure.error, "reconnecting with a new token");
            self.token_reason = TokenReason::Renew;
            self.close(ServerDelay::Exactly(Duration::ZERO));
            return Ok(());
        }
        let failure = if connection.is_ready { failure } else { failure.before_ready() };
        if failure.cause == Cause::Unreadable && !is_productive {
            self.unreadable += 1;
        }
        if self.is_final(failure.cause) {
            self.connection = None;
            return self.on_failure(failure);
        }
        let error = &failure.error;
        if failure.cause == Cause::Temporary {
            tracing::debug!(%error, "the connection broke");
        } else {
            tracing::warn!(%error, "this is not what a feed sends, reconnecting");
        }
        self.close(ServerDelay::Unspecified);
        Ok(())
    }

    fn on_problem(&mut self, failure: Failure) -> Result<()> {
        if failure.cause != Cause::Temporary {
            return self.on_broken(failure);
        }
        tracing::warn!(error = %failure.error, "the feed reports a problem");
        let is_ready = self.connection.as_ref().is_some_and(|connection| connection.is_ready);
        if !is_ready {
            // It was refused what it asked for. The transport works.
            self.close(ServerDelay::AtLeast(self.options.reconnect_delay.min));
        }
        // Otherwise the server says goodbye, with a delay, if it cannot go on.
        Ok(())
    }

    fn on_frame(&mut self, frame: Frame) -> Result<Option<Frame>> {
        if let Err(failure) = self.check_order(&frame) {
            self.on_broken(failure)?;
            return Ok(None);
        }
        match frame {
            Frame::Ready { cursor, .. } => {
                self.cursor = self.cursor.max(Some(cursor));
                self.on_ready();
                Ok(None)
            }
            Frame::Event { ref event, .. } => {
                let is_new = self.cursor.is_none_or(|cursor| cursor.position() < event.position());
                self.advance(event.cursor(), is_new);
                Ok(is_new.then_some(frame))
            }
            Frame::Checkpoint { cursor } => {
                let is_new = self.cursor < Some(cursor);
                self.advance(cursor, is_new);
                Ok(is_new.then_some(frame))
            }
            Frame::Live { cursor, head } => {
                let cursor = self.advance(cursor, self.cursor < Some(cursor));
                Ok(Some(Frame::Live { cursor, head }))
            }
            Frame::Behind { cursor, head } => {
                let cursor = self.advance(cursor, self.cursor < Some(cursor));
                Ok(Some(Frame::Behind { cursor, head }))
            }
            Frame::Reset { reason, head } => Err(reset(&reason, head)),
            Frame::Bye { reason, reconnect_after } => {
                tracing::debug!(%reason, ?reconnect_after, "the server ends the connection");
                if reason == "expired" {
                    self.token_reason = TokenReason::Renew;
                }
                self.close(ServerDelay::Exactly(reconnect_after));
                Ok(None)
            }
            Frame::Problem { code, detail, retryable, .. } => {
                self.on_problem(Failure::from_problem(&code, &detail, retryable))?;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// Checks that `Ready` comes first and once, and where the connection has to
    /// resume: a proxy that answers with the stream of another client would
    /// otherwise make events disappear.
    fn check_order(&self, frame: &Frame) -> Result<(), Failure> {
        let is_ready = self.connection.as_ref().is_some_and(|connection| connection.is_ready);
        match frame {
            Frame::Ready { .. } if is_ready => Err(Failure::unreadable(
                "the feed sent `ready` twice on a connection: check for a proxy that caches or \
                 merges streams",
            )),
            Frame::Ready { cursor, .. } if skips_events(*cursor, self.resume().after()) => {
                Err(Failure::unreadable(format!(
                    "the feed resumed at {cursor}, which is after the cursor of the request: \
                     check for a proxy that caches or merges streams"
                )))
            }
            Frame::Event { .. }
            | Frame::Checkpoint { .. }
            | Frame::Live { .. }
            | Frame::Behind { .. }
                if !is_ready =>
            {
                Err(Failure::unreadable("the feed sent an event before `ready`"))
            }
            _ => Ok(()),
        }
    }

    /// Moves the cursor, and never back. Returns where it is.
    fn advance(&mut self, cursor: Cursor, is_new: bool) -> Cursor {
        if let Some(connection) = &mut self.connection {
            connection.is_productive |= is_new;
        }
        let cursor = self.cursor.map_or(cursor, |current| current.max(cursor));
        self.cursor = Some(cursor);
        cursor
    }

    fn on_ready(&mut self) {
        self.was_ready = true;
        if let Some(connection) = &mut self.connection {
            connection.is_ready = true;
        }
        if let Some(upgrade_at) = self.fallback.on_ready()
            && let Upgrade::None = self.upgrade
        {
            self.upgrade = Upgrade::At(upgrade_at);
        }
    }

    /// Closes the connection, and either schedules the next one or falls back to
    /// the next transport.
    fn close(&mut self, server: ServerDelay) {
        let Some(connection) = self.connection.take() else { return };
        let transport = self.fallback.transport();
        let may_fall_back = !connection.is_ready && server == ServerDelay::Unspecified;
        if may_fall_back && self.fallback.on_failure(false) {
            let next = self.fallback.transport();
            tracing::warn!(%transport, %next, "the transport does not become ready, falling back");
            return;
        }
        if self.is_productive(&connection) {
            (self.unproductive, self.unreadable) = (0, 0);
        } else {
            self.unproductive += 1;
        }
        self.schedule(match server {
            ServerDelay::Unspecified => connection.frames.server_delay(),
            server => server,
        });
    }

    /// Whether the connection delivered something, or lasted long enough.
    fn is_productive(&self, connection: &ActiveConnection) -> bool {
        let is_long = connection.opened_at.elapsed() >= self.options.reconnect_delay.max;
        connection.is_productive || (connection.is_ready && is_long)
    }

    fn schedule(&mut self, server: ServerDelay) {
        let reconnect_delay = &self.options.reconnect_delay;
        let shortest = if self.unproductive > MAX_UNPRODUCTIVE {
            reconnect_delay.next(ServerDelay::Unspecified)
        } else {
            Duration::ZERO
        };
        let delay = reconnect_delay.next(server).max(shortest);
        self.reconnect_at = Some(Instant::now() + delay);
    }

    /// Replaces the connection. The cursor filters out what the new one repeats.
    fn switch_to(&mut self, (transport, connection): Upgraded) {
        tracing::info!(from = %self.fallback.transport(), to = %transport, "switching to a preferred transport");
        self.upgrade = Upgrade::None;
        self.fallback.on_upgrade(transport);
        self.connection = Some(connection);
        self.on_ready();
    }
}

fn reset(reason: &str, head: Cursor) -> Error {
    let code = Code::parse(reason);
    let kind = match code {
        Some(Code::CursorAhead) => ErrorKind::CursorAhead,
        _ => ErrorKind::HistoryChanged,
    };
    let what = match code {
        Some(Code::RightsChanged) => {
            "you may see other events than before, also before your cursor"
        }
        _ => "the log was replaced by another one",
    };
    let message =
        format!("{what}, now at {head}: start again from a state that you trust ({reason})");
    Error::new(kind, message)
}
