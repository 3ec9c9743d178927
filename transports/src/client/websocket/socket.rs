use std::fmt;
use std::sync::Arc;

use downlink::event::IntoNewEvent;
use downlink::{Error, ErrorKind, Expected, NewEvent, Result, StreamId, Subscribe};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::connection::Connection;
use super::driver::{Append, Driver, SocketRequest};
use super::frames::not_expressible;
use super::socket_subscription::SocketSubscription;
use super::upgrade::upgrade;
use crate::client::connect_options::ConnectOptions;
use crate::client::failure::Failure;
use crate::wire::{self, Receipt};

/// How many unanswered appends a server accepts.
const MAX_APPENDS: usize = 16;

/// One WebSocket of a feed for several subscriptions and for appends.
///
/// It is one connection: when it ends, all its subscriptions end. To continue,
/// open another one and resume from the cursors.
/// [`Client::follow`](crate::client::Client::follow) does that by itself, for
/// one subscription.
///
/// # Clones and handles
///
/// Clones share the socket. It is closed by [`close`](Self::close), or when the
/// last clone and the last [`SocketSubscription`] are dropped. A task of its own
/// reads it, so that pings are answered and subscribers do not wait for each
/// other.
///
/// # Examples
///
/// ```no_run
/// # async fn run() -> downlink::Result<()> {
/// use downlink::{Expected, Filter, NewEvent, Subscribe};
/// use downlink::transport::Endpoint;
/// use downlink_transports::client::Client;
/// use futures::TryStreamExt;
///
/// let client = Client::new(Endpoint::new("http://127.0.0.1:3000"));
/// let socket = client.socket().await?;
/// let delays = Filter::types(["FlightDelayed"]);
/// let mut delays = socket.subscribe(Subscribe::new().with_filter(delays)).await?;
///
/// let delayed = NewEvent::json("FlightDelayed", r#"{"minutes":20}"#)?;
/// let receipt = socket.append_to("flight-UA1545", Expected::Any, [delayed]).await?;
/// while let Some(frame) = delays.try_next().await? {
///     if frame.cursor() >= Some(receipt.cursor) {
///         break;
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Socket {
    requests: mpsc::Sender<SocketRequest>,
    appends: Arc<Semaphore>,
}

impl Socket {
    pub(in crate::client) async fn open(options: &ConnectOptions) -> Result<Self, Failure> {
        let io = upgrade(options, &[], None).await?;
        let connection = Connection::new(io, options).await;
        let (requests, receiver) = mpsc::channel(8);
        tokio::spawn(Driver::new(connection, receiver).run());
        Ok(Self { requests, appends: Arc::new(Semaphore::new(MAX_APPENDS)) })
    }

    /// Opens a subscription, and returns once the server has accepted it.
    ///
    /// # Errors
    ///
    /// [`CursorAhead`](ErrorKind::CursorAhead) and
    /// [`HistoryChanged`](ErrorKind::HistoryChanged) for a refused resume;
    /// [`Invalid`](ErrorKind::Invalid) for any other refusal, and for a filter
    /// that the wire format cannot express; [`Overloaded`](ErrorKind::Overloaded) for
    /// more than 32 subscriptions; [`Unavailable`](ErrorKind::Unavailable) if the
    /// socket has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the subscription.
    pub async fn subscribe(&self, subscribe: Subscribe) -> Result<SocketSubscription> {
        wire::filter_to_json(subscribe.filter()).ok_or_else(not_expressible)?;
        let (opened, opening) = oneshot::channel();
        self.request(SocketRequest::Subscribe { subscribe, opened }).await?;
        opening.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Appends events to one stream, and waits until they are stored. Up to 16
    /// appends of a socket are in flight at a time, and are stored in the order of
    /// the calls; further ones wait.
    ///
    /// # Errors
    ///
    /// - The server's error, as for
    ///   [`EventStore::append`](downlink::EventStore::append): a
    ///   [`Conflict`](ErrorKind::Conflict) lists every failed check.
    /// - [`TooLarge`](ErrorKind::TooLarge) for more than 256 KiB in one message.
    /// - [`Invalid`](ErrorKind::Invalid) if the feed does not take appends.
    /// - [`OutcomeUnknown`](ErrorKind::OutcomeUnknown) if the socket ends before
    ///   the answer. Append the *same* [`NewEvent`]s again; do not serialize them
    ///   anew.
    /// - [`Unavailable`](ErrorKind::Unavailable) if the socket had ended before.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, all events are stored or none.
    pub async fn append_to<S, E>(&self, stream: S, expected: Expected, events: E) -> Result<Receipt>
    where
        S: TryInto<StreamId>,
        Error: From<S::Error>,
        E: IntoIterator<Item: IntoNewEvent>,
    {
        let stream = stream.try_into()?;
        let events = events.into_iter().map(IntoNewEvent::into_new_event);
        self.append_events(stream, expected, events.collect::<Result<_>>()?).await
    }

    async fn append_events(
        &self,
        stream: StreamId,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Receipt> {
        let permit = Arc::clone(&self.appends).acquire_owned().await.map_err(|_| ended())?;
        let (stored, storing) = oneshot::channel();
        let append = Append { stream, expected, events, stored, permit };
        self.request(SocketRequest::Append(append)).await?;
        storing.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Sends a ping, and waits for the server's answer.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the socket ends before the answer.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn ping(&self) -> Result<()> {
        let (answered, answer) = oneshot::channel();
        self.request(SocketRequest::Ping { answered }).await?;
        answer.await.map_err(|_| ended())
    }

    /// Closes the socket and its subscriptions, and waits for the server to
    /// answer, five seconds at most.
    ///
    /// # Cancel safety
    ///
    /// The socket is closed even if the future is dropped.
    pub async fn close(&self) {
        let (closed, closing) = oneshot::channel();
        if self.request(SocketRequest::Close { closed }).await.is_ok() {
            // The task may also end without reporting it.
            let _ = closing.await;
        }
    }

    async fn request(&self, request: SocketRequest) -> Result<()> {
        self.requests.send(request).await.map_err(|_| ended())
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Unavailable, "the socket has ended: open another one")
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("has_ended", &self.requests.is_closed())
            .finish_non_exhaustive()
    }
}
