use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use downlink::transport::{Endpoint, Frame};
use downlink::{
    After, Cursor, Error, ErrorKind, Event, EventId, Filter, Hub, Item, Position, Result,
    Subscribe, Transport,
};
use downlink_conformance_tests::{
    AuthorizingFixture, ReauthorizingFixture, ShortTimeoutFixture, TransportFixture, Visibility,
};
use futures::stream::BoxStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::transport_bug::TransportBug;
use crate::transport_client;
use crate::transport_text::{control, envelope, ready};

/// Makes transports with this bug or none.
pub(crate) struct BrokenTransports(pub(crate) Option<TransportBug>);

impl TransportFixture for BrokenTransports {
    fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(BrokenTransport::new(self.0))
    }
}

impl ShortTimeoutFixture for BrokenTransports {
    fn transport(&self, heartbeat: Duration, stall: Duration) -> Arc<dyn Transport> {
        let given = self.0 != Some(TransportBug::SendsNoHeartbeats);
        let heartbeat = given.then_some(heartbeat);
        let stall = if self.0 == Some(TransportBug::WaitsForeverToWrite) { NEVER } else { stall };
        Arc::new(BrokenTransport { heartbeat, stall, ..BrokenTransport::new(self.0) })
    }
}

impl AuthorizingFixture for BrokenTransports {
    fn transport(&self, visibility: Visibility) -> Arc<dyn Transport> {
        Arc::new(BrokenTransport { visibility, ..BrokenTransport::new(self.0) })
    }
}

impl ReauthorizingFixture for BrokenTransports {
    fn transport(&self, visibility: Visibility, changes: Filter) -> Arc<dyn Transport> {
        let changes = (self.0 != Some(TransportBug::KeepsRightsWhileOpen)).then_some(changes);
        Arc::new(BrokenTransport { visibility, changes, ..BrokenTransport::new(self.0) })
    }
}

const NEVER: Duration = Duration::from_hours(1);

/// A small transport that is correct except for its bug: the lines of SSE without
/// HTTP. A request is passed to the server in memory; the socket carries its number.
#[derive(Clone, Debug)]
pub(crate) struct BrokenTransport {
    bug: Option<TransportBug>,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) stall: Duration,
    visibility: Visibility,
    /// The events that change what may be seen.
    changes: Option<Filter>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    asked: Vec<Subscribe>,
    sent: Option<Cursor>,
    rights: Option<Filter>,
}

impl BrokenTransport {
    fn new(bug: Option<TransportBug>) -> Self {
        let visibility = Visibility::new(Filter::everything());
        Self {
            bug,
            heartbeat: None,
            stall: NEVER,
            visibility,
            changes: None,
            shared: Arc::default(),
        }
    }

    pub(crate) fn is(&self, bug: TransportBug) -> bool {
        self.bug == Some(bug)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(
        self,
        hub: Hub,
        mut socket: TcpStream,
        shutdown: CancellationToken,
    ) -> Option<()> {
        socket.set_nodelay(true).ok()?;
        let number = usize::try_from(socket.read_u32().await.ok()?).ok()?;
        let asked = self.shared().asked.get(number)?.clone();
        let mut session = match self.open(&hub, asked).await {
            Ok(session) => session,
            Err(error) => {
                let refusal = format!("{:?}\n", error.kind());
                return socket.write_all(refusal.as_bytes()).await.ok();
            }
        };
        socket.write_all(b"Ok\n").await.ok()?;
        let ready = session.ready(&hub).await;
        socket.write_all(ready.as_bytes()).await.ok()?;
        session.run(&hub, socket, &shutdown).await
    }

    /// The filter of the events that this connection may see.
    fn rights(&self) -> Filter {
        let now = self.visibility.filter();
        if self.is(TransportBug::ChecksRightsOnce) {
            return self.shared().rights.get_or_insert(now).clone();
        }
        now
    }

    async fn open(&self, hub: &Hub, asked: Subscribe) -> Result<Session> {
        let (mut after, filter) = (asked.after(), asked.filter().clone());
        let mut skip = 0;
        if let After::Cursor(cursor) = after {
            let ahead = cursor.position() > hub.cached_head().position();
            if self.is(TransportBug::ComparesWithAnOldHead) && ahead {
                return Err(Error::cursor_ahead(cursor.position(), hub.cached_head()));
            }
            let begins = cursor.position() > Position::ZERO;
            match self.bug {
                Some(TransportBug::ResumesInclusively) if begins => {
                    after = before(hub, cursor).await?;
                }
                Some(TransportBug::ResumesFromWhatItSent) => {
                    after = After::Cursor(cursor.max(self.shared().sent.unwrap_or(cursor)));
                }
                Some(TransportBug::CountsMatches) if begins => {
                    (after, skip) = (After::Start, cursor.position().get());
                }
                _ => {}
            }
        }
        let changes = match &self.changes {
            Some(filter) => {
                let now = Subscribe::new().with_after(After::Now).with_filter(filter.clone());
                Some(hub.subscribe(now).await?)
            }
            None => None,
        };
        let rights = self.rights();
        if let (After::Last(_), Some(TransportBug::CountsWhatIsHidden)) = (after, self.bug) {
            let any = Subscribe::new().with_after(after).with_filter(filter.clone());
            after = After::Cursor(hub.subscribe(any).await?.cursor());
        }
        let asked = match self.bug {
            Some(TransportBug::FiltersLiveOnly) => filter.clone(),
            Some(TransportBug::MergesRights) => Filter::everything(),
            _ => filter.clone().and(&rights)?,
        };
        let subscribe = Subscribe::new().with_after(after).with_filter(asked);
        let subscription = hub.subscribe(subscribe).await?;
        Ok(Session {
            transport: self.clone(),
            last: subscription.cursor(),
            subscription,
            changes,
            matches: 0,
            skip,
            filter,
            rights,
            is_live: false,
        })
    }
}

async fn before(hub: &Hub, cursor: Cursor) -> Result<After> {
    let read = downlink::Read::log().backward().with_after(cursor.position()).with_limit(1);
    let page = hub.store().read_log(read).await?;
    Ok(page.events.first().map_or(After::Start, |event| After::Cursor(event.cursor())))
}

pub(crate) struct Session {
    pub(crate) transport: BrokenTransport,
    pub(crate) subscription: downlink::Subscription,
    /// Yields the events that change what may be seen.
    pub(crate) changes: Option<downlink::Subscription>,
    last: Cursor,
    matches: u64,
    skip: u64,
    filter: Filter,
    rights: Filter,
    is_live: bool,
}

impl Session {
    /// Whether the client may see now what it might not see when it connected.
    pub(crate) fn is_wider(&self) -> bool {
        !self.rights.is_everything()
    }

    pub(crate) fn bug(&self) -> Option<TransportBug> {
        self.transport.bug
    }

    /// Whether this event is sent to the client.
    fn shows(&self, event: &Event) -> bool {
        match self.transport.bug {
            Some(TransportBug::FiltersLiveOnly) => {
                !self.is_live || self.rights.matches_event(event)
            }
            Some(TransportBug::MergesRights) => {
                let asked = !self.filter.is_everything() && self.filter.matches_event(event);
                asked || self.rights.matches_event(event)
            }
            _ => true,
        }
    }

    async fn ready(&mut self, hub: &Hub) -> String {
        let (cursor, head) = (self.subscription.cursor(), self.subscription.head_at_open());
        let mut text = String::new();
        if !self.transport.is(TransportBug::OmitsReady) {
            text += &ready(cursor, head, self.transport.heartbeat);
        }
        if self.transport.is(TransportBug::GivesHeartbeatsAnId) {
            let head = hub.store().head().await.unwrap_or(head);
            text += &control("checkpoint", Some(head), head);
        }
        if self.transport.is(TransportBug::SendsLiveAtOnce) {
            text += &control("live", Some(cursor), cursor);
        }
        text
    }

    pub(crate) fn text(&mut self, item: Item) -> String {
        let early = self.transport.is(TransportBug::SendsLiveAtOnce);
        let silent = self.transport.is(TransportBug::SendsNoCheckpoints);
        self.is_live |= matches!(item, Item::Live { .. });
        match item {
            Item::Event(event) if !self.shows(&event) => String::new(),
            Item::Event(event) => self.event(&event),
            Item::Live { .. } if early => String::new(),
            Item::Live { cursor, head } => control("live", Some(cursor), head),
            Item::Behind { cursor, head } => control("behind", Some(cursor), head),
            Item::Checkpoint(cursor) if !silent => control("checkpoint", Some(cursor), cursor),
            _ => String::new(),
        }
    }

    fn event(&mut self, event: &Event) -> String {
        self.matches += 1;
        if self.matches <= self.skip {
            return String::new();
        }
        let cursor = event.cursor();
        let data = envelope(event, self.transport.bug);
        let id = match self.transport.bug {
            Some(TransportBug::WritesTheIdOfTheFrameBefore) => self.last,
            Some(TransportBug::CountsMatches) => counted(self.matches, event.id()),
            _ => cursor,
        };
        self.last = cursor;
        self.transport.shared().sent = Some(cursor);
        let early = if self.transport.is(TransportBug::WritesTheIdBeforeTheData) {
            control("checkpoint", Some(id), id)
        } else {
            String::new()
        };
        format!("{early}id: {id}\ndata: {data}\n\n")
    }
}

fn counted(matches: u64, id: EventId) -> Cursor {
    Cursor::of(Position::new(matches).unwrap_or(Position::MAX), id)
}

#[async_trait]
impl Transport for BrokenTransport {
    fn name(&self) -> &'static str {
        "lines"
    }

    async fn serve(
        &self,
        hub: Hub,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<()> {
        let open = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.cancelled() => break,
            };
            if let Ok((socket, _)) = accepted {
                let (transport, hub, shutdown) = (self.clone(), hub.clone(), shutdown.clone());
                open.spawn(transport.answer(hub, socket, shutdown));
            }
        }
        open.close();
        open.wait().await;
        Ok(())
    }

    async fn connect(
        &self,
        endpoint: &Endpoint,
        subscribe: Subscribe,
    ) -> Result<BoxStream<'static, Result<Frame>>> {
        let number = {
            let mut shared = self.shared();
            shared.asked.push(subscribe);
            u32::try_from(shared.asked.len() - 1).unwrap_or(u32::MAX)
        };
        let address = endpoint.as_str().trim_start_matches("http://");
        let broken = |error| Error::with_source(ErrorKind::Unavailable, "no connection", error);
        let mut socket = TcpStream::connect(address).await.map_err(broken)?;
        socket.write_u32(number).await.map_err(broken)?;
        transport_client::frames(socket, self.bug).await
    }
}
