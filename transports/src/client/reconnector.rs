use std::time::Duration;

use downlink::transport::Frame;
use downlink::{Cursor, Error, ErrorKind, Result, Subscribe};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::connect_options::ConnectOptions;
use super::failure::Failure;
use super::fallback::{Fallback, FallbackState};
use super::frames::Frames;
use super::reconnect_delay::ServerDelay;
use super::transport_kind::TransportKind;
use crate::wire::{Code, problem_error};

/// After this many unproductive connections in a row, a server can no longer
/// shorten the delay.
const MAX_UNPRODUCTIVE: u32 = 3;

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
    /// How many connections in a row delivered nothing and ended soon.
    unproductive: u32,
    upgrade: Upgrade,
}

struct ActiveConnection {
    frames: Frames,
    opened_at: Instant,
    is_productive: bool,
    is_ready: bool,
    /// When it has to be ready, if there is another transport.
    ready_by: Option<Instant>,
}

/// The upgrade to a preferred transport.
enum Upgrade {
    /// There is no preferred transport.
    None,
    /// It starts at this time.
    At(Instant),
    /// A preferred transport is being connected.
    Connecting(BoxFuture<'static, Option<Upgraded>>),
}

/// A preferred transport that is ready.
type Upgraded = (TransportKind, Box<ActiveConnection>);

enum ConnectionEvent {
    Frame(Option<Result<Frame>>),
    NotReadyInTime,
    UpgradeDue,
    UpgradeDone(Option<Upgraded>),
}

impl ActiveConnection {
    fn new(frames: Frames, ready_by: Option<Instant>) -> Box<Self> {
        let opened_at = Instant::now();
        Box::new(Self { frames, opened_at, is_productive: false, is_ready: false, ready_by })
    }

    async fn event(&mut self) -> ConnectionEvent {
        let frame = match self.ready_by {
            Some(ready_by) if !self.is_ready => timeout_at(ready_by, self.frames.next()).await,
            _ => Ok(self.frames.next().await),
        };
        frame.map_or(ConnectionEvent::NotReadyInTime, ConnectionEvent::Frame)
    }
}

impl Upgrade {
    async fn event(&mut self) -> ConnectionEvent {
        match self {
            Self::None => std::future::pending().await,
            Self::At(time) => {
                sleep_until(*time).await;
                ConnectionEvent::UpgradeDue
            }
            Self::Connecting(upgraded) => ConnectionEvent::UpgradeDone(upgraded.await),
        }
    }
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
            unproductive: 0,
            upgrade: Upgrade::None,
        }
    }

    /// The next frame for the caller.
    pub(super) async fn next(&mut self) -> Option<Result<Frame>> {
        loop {
            let next = match &mut self.connection {
                None => self.connect().await,
                Some(connection) => {
                    let event = tokio::select! {
                        biased;
                        event = connection.event() => event,
                        event = self.upgrade.event() => event,
                    };
                    self.on_event(event)
                }
            };
            if let Some(answer) = next.transpose() {
                return Some(answer);
            }
        }
    }

    fn on_event(&mut self, event: ConnectionEvent) -> Result<Option<Frame>> {
        match event {
            ConnectionEvent::Frame(Some(Ok(frame))) => return self.on_frame(frame),
            ConnectionEvent::Frame(Some(Err(error))) => return self.on_error(error),
            ConnectionEvent::Frame(None) => {
                tracing::debug!("the connection ended");
                self.close(ServerDelay::Unspecified);
            }
            ConnectionEvent::NotReadyInTime => {
                tracing::debug!("the feed did not become ready in time");
                self.close(ServerDelay::Unspecified);
            }
            ConnectionEvent::UpgradeDue => self.start_upgrade(),
            ConnectionEvent::UpgradeDone(Some((transport, connection))) => {
                self.switch_to(transport, connection);
            }
            ConnectionEvent::UpgradeDone(None) => {
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

    async fn connect(&mut self) -> Result<Option<Frame>> {
        if let Some(time) = self.reconnect_at.take() {
            sleep_until(time).await;
        }
        let ready_by = self.fallback.ready_by();
        match Frames::open(self.fallback.transport(), &self.options, &self.resume()).await {
            Ok(frames) => self.connection = Some(ActiveConnection::new(frames, ready_by)),
            Err(failure) => return self.on_failure(failure),
        }
        Ok(None)
    }

    fn on_failure(&mut self, failure: Failure) -> Result<Option<Frame>> {
        let Failure { error, is_permanent, may_fall_back, retry_after, .. } = failure;
        let transport = self.fallback.transport();
        if may_fall_back && self.fallback.on_failure(is_permanent) {
            let next = self.fallback.transport();
            tracing::warn!(%error, %transport, %next, "the transport does not work, falling back");
            return Ok(None);
        }
        if is_permanent {
            return Err(error);
        }
        tracing::warn!(%error, %transport, "cannot connect to the feed, retrying");
        self.unproductive += 1;
        self.schedule(retry_after.map_or(ServerDelay::Unspecified, ServerDelay::AtLeast));
        Ok(None)
    }

    fn on_frame(&mut self, frame: Frame) -> Result<Option<Frame>> {
        match frame {
            Frame::Ready { cursor, .. } => {
                self.cursor = self.cursor.max(Some(cursor));
                self.on_ready();
                Ok(None)
            }
            Frame::Event { ref event, .. } => {
                let is_new = self.cursor.is_none_or(|cursor| cursor.position() < event.position());
                self.cursor = self.cursor.max(Some(event.cursor()));
                self.mark_productive(is_new);
                Ok(is_new.then_some(frame))
            }
            Frame::Checkpoint { cursor } => {
                let is_new = self.cursor < Some(cursor);
                self.cursor = self.cursor.max(Some(cursor));
                self.mark_productive(is_new);
                Ok(is_new.then_some(frame))
            }
            Frame::Live { cursor, .. } | Frame::Behind { cursor, .. } => {
                self.mark_productive(self.cursor < Some(cursor));
                self.cursor = self.cursor.max(Some(cursor));
                Ok(Some(frame))
            }
            Frame::Reset { reason, head } => Err(reset(&reason, head)),
            Frame::Bye { reason, reconnect_after } => {
                tracing::debug!(%reason, ?reconnect_after, "the server ends the connection");
                self.close(ServerDelay::Exactly(reconnect_after));
                Ok(None)
            }
            Frame::Problem { code, detail, retryable, .. } => {
                let error = problem_error(&code, &detail, retryable);
                if !retryable {
                    return Err(error);
                }
                tracing::warn!(%error, "the feed reports a problem");
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn on_ready(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.is_ready = true;
        }
        if let Some(upgrade_at) = self.fallback.on_ready()
            && let Upgrade::None = self.upgrade
        {
            self.upgrade = Upgrade::At(upgrade_at);
        }
    }

    fn mark_productive(&mut self, is_new: bool) {
        if let Some(connection) = &mut self.connection {
            connection.is_productive |= is_new;
        }
    }

    fn on_error(&mut self, error: Error) -> Result<Option<Frame>> {
        if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::TooLarge) {
            return Err(error);
        }
        tracing::debug!(%error, "the connection broke");
        self.close(ServerDelay::Unspecified);
        Ok(None)
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
        let is_long = connection.opened_at.elapsed() >= self.options.reconnect_delay.max;
        let is_productive = connection.is_productive || is_long;
        self.unproductive = if is_productive { 0 } else { self.unproductive + 1 };
        self.schedule(match server {
            ServerDelay::Unspecified => connection.frames.server_delay(),
            server => server,
        });
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

    /// Connects with a preferred transport in addition to the current connection.
    fn start_upgrade(&mut self) {
        let connecting = connect_first(
            self.fallback.preferred(),
            self.fallback.ready_deadline(),
            self.options.clone(),
            self.resume(),
        );
        self.upgrade = Upgrade::Connecting(connecting.boxed());
    }

    /// Replaces the connection. The cursor filters out what the new one repeats.
    fn switch_to(&mut self, transport: TransportKind, connection: Box<ActiveConnection>) {
        tracing::info!(from = %self.fallback.transport(), to = %transport, "switching to a preferred transport");
        self.upgrade = Upgrade::None;
        self.fallback.on_upgrade(transport);
        self.connection = Some(connection);
        self.on_ready();
    }
}

/// Returns the first of these transports that becomes ready.
async fn connect_first(
    transports: Vec<TransportKind>,
    deadline: Duration,
    options: ConnectOptions,
    subscribe: Subscribe,
) -> Option<Upgraded> {
    for transport in transports {
        let ready_by = Instant::now() + deadline;
        let open = Frames::open(transport, &options, &subscribe);
        let Ok(Ok(frames)) = timeout_at(ready_by, open).await else { continue };
        let mut connection = ActiveConnection::new(frames, Some(ready_by));
        if let ConnectionEvent::Frame(Some(Ok(Frame::Ready { .. }))) = connection.event().await {
            return Some((transport, connection));
        }
    }
    None
}

fn reset(reason: &str, head: Cursor) -> Error {
    let kind = match Code::parse(reason) {
        Some(Code::CursorAhead) => ErrorKind::CursorAhead,
        _ => ErrorKind::HistoryChanged,
    };
    let message = format!(
        "the log was replaced by another one, now at {head}: start again from a state that you \
         trust ({reason})"
    );
    Error::new(kind, message)
}
