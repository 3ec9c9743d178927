use std::time::Duration;

use downlink::{Cursor, Error, ErrorKind, Frame, Result, Subscribe};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::client::Client;
use super::failure::Failure;
use super::frames::Frames;
use super::ladder::Rung;
use super::pauses::Told;
use super::transport_kind::TransportKind;
use crate::wire::parse;

/// Connections in a row that may bring nothing and end soon before the server's
/// wishes count less.
const VAIN: u32 = 3;

/// What is behind a [`Follow`](super::Follow): one connection at a time, and
/// what to do when it ends.
pub(super) struct Following {
    client: Client,
    subscribe: Subscribe,
    /// Everything up to here was handed out, or is not wanted.
    cursor: Option<Cursor>,
    rung: Rung,
    connection: Option<Box<Connection>>,
    /// When the next connection is due.
    due: Option<Instant>,
    /// Connections in a row that brought nothing and ended soon.
    vain: u32,
    climb: Climb,
}

struct Connection {
    frames: Frames,
    began: Instant,
    has_brought: bool,
    is_ready: bool,
    /// Until when it has to be ready, if there is another transport.
    ready_by: Option<Instant>,
}

/// On the way to a better transport.
enum Climb {
    /// There is none.
    No,
    /// It is looked for at this time.
    At(Instant),
    /// It is looked for.
    Looking(BoxFuture<'static, Option<Better>>),
}

/// A better transport that is ready.
type Better = (TransportKind, Box<Connection>);

enum Event {
    Frame(Option<Result<Frame>>),
    NotReady,
    Climbed(Option<Better>),
    LookUp,
}

impl Connection {
    fn new(frames: Frames, ready_by: Option<Instant>) -> Box<Self> {
        let began = Instant::now();
        Box::new(Self { frames, began, has_brought: false, is_ready: false, ready_by })
    }

    /// The next frame; `None` if it has to be ready by now and is not.
    async fn next(&mut self) -> Option<Option<Result<Frame>>> {
        match self.ready_by {
            Some(ready_by) if !self.is_ready => timeout_at(ready_by, self.frames.next()).await.ok(),
            _ => Some(self.frames.next().await),
        }
    }
}

impl Climb {
    async fn event(&mut self) -> Event {
        match self {
            Self::No => std::future::pending().await,
            Self::At(time) => {
                sleep_until(*time).await;
                Event::LookUp
            }
            Self::Looking(found) => Event::Climbed(found.await),
        }
    }
}

impl Following {
    pub(super) fn new(client: Client, subscribe: Subscribe) -> Self {
        Self {
            rung: Rung::top_of(client.ladder.clone()),
            client,
            subscribe,
            cursor: None,
            connection: None,
            due: None,
            vain: 0,
            climb: Climb::No,
        }
    }

    /// The next frame that is of use to the caller.
    pub(super) async fn next(&mut self) -> Option<Result<Frame>> {
        loop {
            let step = match &mut self.connection {
                None => self.connect().await,
                Some(connection) => {
                    let event = tokio::select! {
                        biased;
                        frame = connection.next() => frame.map_or(Event::NotReady, Event::Frame),
                        event = self.climb.event() => event,
                    };
                    self.handle(event)
                }
            };
            if let Some(answer) = step.transpose() {
                return Some(answer);
            }
        }
    }

    fn handle(&mut self, event: Event) -> Result<Option<Frame>> {
        match event {
            Event::Frame(Some(Ok(frame))) => return self.take(frame),
            Event::Frame(Some(Err(error))) => return self.broke(error),
            Event::Frame(None) => {
                tracing::debug!("the connection ended");
                self.end(Told::Nothing);
            }
            Event::NotReady => {
                tracing::debug!("the feed is not ready in time");
                self.end(Told::Nothing);
            }
            Event::LookUp => self.look_up(),
            Event::Climbed(Some((transport, connection))) => self.change(transport, connection),
            Event::Climbed(None) => self.climb = Climb::At(self.rung.stays()),
        }
        Ok(None)
    }

    /// From where the caller is.
    fn resume(&self) -> Subscribe {
        let subscribe = self.subscribe.clone();
        match self.cursor {
            Some(cursor) => subscribe.after(cursor),
            None => subscribe,
        }
    }

    async fn connect(&mut self) -> Result<Option<Frame>> {
        if let Some(due) = self.due.take() {
            sleep_until(due).await;
        }
        let ready_by = self.rung.ready_by();
        match self.client.open(self.rung.transport(), &self.resume()).await {
            Ok(frames) => self.connection = Some(Connection::new(frames, ready_by)),
            Err(failure) => return self.failed(failure),
        }
        Ok(None)
    }

    fn failed(&mut self, failure: Failure) -> Result<Option<Frame>> {
        let Failure { error, is_permanent, is_of_the_transport, retry_after, .. } = failure;
        let transport = self.rung.transport();
        if is_of_the_transport && self.rung.falls(is_permanent) {
            tracing::warn!(%error, %transport, next = %self.rung.transport(), "the transport does not come through");
            return Ok(None);
        }
        if is_permanent {
            return Err(error);
        }
        tracing::warn!(%error, %transport, "no feed for now");
        self.vain += 1;
        self.pause(retry_after.map_or(Told::Nothing, Told::AtLeast));
        Ok(None)
    }

    fn take(&mut self, frame: Frame) -> Result<Option<Frame>> {
        match frame {
            Frame::Ready { cursor, .. } => {
                self.cursor = self.cursor.max(Some(cursor));
                self.ready();
                Ok(None)
            }
            Frame::Event { ref event, .. } => {
                let is_new = self.cursor.is_none_or(|cursor| cursor.position() < event.position());
                self.cursor = self.cursor.max(Some(event.cursor()));
                self.brought(is_new);
                Ok(is_new.then_some(frame))
            }
            Frame::Checkpoint { cursor } => {
                let is_new = self.cursor < Some(cursor);
                self.cursor = self.cursor.max(Some(cursor));
                self.brought(is_new);
                Ok(is_new.then_some(frame))
            }
            Frame::Live { cursor, .. } | Frame::Behind { cursor, .. } => {
                self.brought(self.cursor < Some(cursor));
                self.cursor = self.cursor.max(Some(cursor));
                Ok(Some(frame))
            }
            Frame::Reset { reason, head } => Err(another_history(&reason, head)),
            Frame::Bye { reason, reconnect_after } => {
                tracing::debug!(%reason, ?reconnect_after, "the server ends the connection");
                self.end(Told::This(reconnect_after));
                Ok(None)
            }
            Frame::Problem { code, detail, retryable } => {
                let error = parse::problem(&code, &detail, retryable);
                if !retryable {
                    return Err(error);
                }
                tracing::warn!(%error, "the feed has a problem");
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn ready(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.is_ready = true;
        }
        if let Some(look_up_at) = self.rung.holds()
            && let Climb::No = self.climb
        {
            self.climb = Climb::At(look_up_at);
        }
    }

    fn brought(&mut self, is_new: bool) {
        if let Some(connection) = &mut self.connection {
            connection.has_brought |= is_new;
        }
    }

    fn broke(&mut self, error: Error) -> Result<Option<Frame>> {
        if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::TooLarge) {
            return Err(error);
        }
        tracing::debug!(%error, "the connection broke");
        self.end(Told::Nothing);
        Ok(None)
    }

    /// Ends the connection, and says when the next is due, or takes the next
    /// transport.
    fn end(&mut self, told: Told) {
        let Some(connection) = self.connection.take() else { return };
        let transport = self.rung.transport();
        let is_of_the_transport = !connection.is_ready && told == Told::Nothing;
        if is_of_the_transport && self.rung.falls(false) {
            tracing::warn!(%transport, next = %self.rung.transport(), "the transport does not become ready");
            return;
        }
        let lasted = connection.began.elapsed() >= self.client.pauses.to;
        self.vain = if connection.has_brought || lasted { 0 } else { self.vain + 1 };
        let told = if let Told::Nothing = told { connection.frames.told() } else { told };
        self.pause(told);
    }

    fn pause(&mut self, told: Told) {
        let pauses = &self.client.pauses;
        let untold = if self.vain > VAIN { pauses.next(Told::Nothing) } else { Duration::ZERO };
        self.due = Some(Instant::now() + pauses.next(told).max(untold));
    }

    /// Looks for a better transport beside the connection that there is.
    fn look_up(&mut self) {
        let (client, subscribe) = (self.client.clone(), self.resume());
        self.climb = Climb::Looking(look_up(client, self.rung.better(), subscribe).boxed());
    }

    /// What the better connection repeats is left out by its cursor.
    fn change(&mut self, transport: TransportKind, connection: Box<Connection>) {
        tracing::info!(from = %self.rung.transport(), to = %transport, "a better transport comes through");
        self.climb = Climb::No;
        self.rung.climbs_to(transport);
        self.connection = Some(connection);
        self.ready();
    }
}

/// The first of these transports that becomes ready.
async fn look_up(
    client: Client,
    transports: Vec<TransportKind>,
    subscribe: Subscribe,
) -> Option<Better> {
    for transport in transports {
        let ready_by = Instant::now() + client.ladder.ready_deadline();
        let Ok(Ok(frames)) = timeout_at(ready_by, client.open(transport, &subscribe)).await else {
            continue;
        };
        let mut connection = Connection::new(frames, Some(ready_by));
        if let Some(Some(Ok(Frame::Ready { .. }))) = connection.next().await {
            return Some((transport, connection));
        }
    }
    None
}

fn another_history(reason: &str, head: Cursor) -> Error {
    let kind = match reason {
        "cursor-ahead" => ErrorKind::CursorAhead,
        _ => ErrorKind::HistoryChanged,
    };
    let message = format!(
        "the log became another one, now at {head}: start again from a state that you trust ({reason})"
    );
    Error::new(kind, message)
}
