use std::fmt;
use std::sync::Arc;

use downlink::{Error, ErrorKind, Expected, IntoNewEvent, NewEvent, Result, StreamId, Subscribe};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::channel::Channel;
use super::driver::{Append, Ask, Driver};
use super::frames::unsayable;
use super::link::Link;
use super::upgrade::upgrade;
use crate::client::client::Client;
use crate::wire::{self, Receipt};

/// The appends that a server takes before it has answered one.
const APPENDS: usize = 16;

/// One WebSocket of a feed for many subscriptions, and for appends.
///
/// It is one connection: when it ends, everything on it ends, and whoever wants
/// more opens another one and resumes from his cursors.
/// [`Client::follow`](crate::client::Client::follow) does that by itself, for
/// one subscription.
///
/// # Clones and handles
///
/// Clones are the same socket. It is closed by [`close`](Self::close), or when
/// the last clone and the last [`Channel`] are gone. A task of its own reads
/// it, so that pings are answered and subscribers do not wait for each other.
///
/// # Examples
///
/// ```no_run
/// # async fn run() -> downlink::Result<()> {
/// use downlink::{Endpoint, Expected, FilterItem, NewEvent, Subscribe};
/// use downlink_transports::client::Client;
/// use futures::TryStreamExt;
///
/// let client = Client::new(Endpoint::new("http://127.0.0.1:3000"));
/// let socket = client.socket().await?;
/// let delays = FilterItem::new().with_type("FlightDelayed")?;
/// let mut delays = socket.subscribe(Subscribe::new().filter(delays.into())).await?;
///
/// let delayed = NewEvent::with_json("FlightDelayed", r#"{"minutes":20}"#)?;
/// let receipt = socket.append("flight-UA1545", Expected::Any, [delayed]).await?;
/// while let Some(frame) = delays.try_next().await? {
///     if frame.cursor() >= Some(receipt.cursor) {
///         break;
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Socket {
    asks: mpsc::Sender<Ask>,
    appends: Arc<Semaphore>,
}

impl Client {
    /// Opens a WebSocket for many subscriptions and for appends, whatever
    /// [transport](Self::with_transport) is chosen for following.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn socket(&self) -> Result<Socket> {
        let io = upgrade(self, &[], None).await.map_err(|failure| failure.error)?;
        let link = Link::new(io, self.event_limit).await;
        let (asks, asked) = mpsc::channel(8);
        tokio::spawn(Driver::new(link, asked).run());
        Ok(Socket { asks, appends: Arc::new(Semaphore::new(APPENDS)) })
    }
}

impl Socket {
    /// Opens a subscription, and returns once the server has taken it.
    ///
    /// # Errors
    ///
    /// [`CursorAhead`](ErrorKind::CursorAhead) and
    /// [`HistoryChanged`](ErrorKind::HistoryChanged) for a refused resume;
    /// [`Invalid`](ErrorKind::Invalid) for any other refusal, and for a filter
    /// that the wire cannot say; [`Overloaded`](ErrorKind::Overloaded) for more
    /// than 32 subscriptions; [`Unavailable`](ErrorKind::Unavailable) if the
    /// socket has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes the subscription back.
    pub async fn subscribe(&self, subscribe: Subscribe) -> Result<Channel> {
        wire::filter_to_json(subscribe.wanted()).ok_or_else(unsayable)?;
        let (opened, opening) = oneshot::channel();
        self.ask(Ask::Subscribe { subscribe, opened }).await?;
        opening.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Appends to one stream, and waits until that is stored. Up to 16 appends
    /// of a socket are under way at a time, and stored in the order in which
    /// they were asked for; more wait.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`](downlink::EventStore::append), told by the
    /// server: a [`Conflict`](ErrorKind::Conflict) lists every check that
    /// failed. [`TooLarge`](ErrorKind::TooLarge) for more than 256 KiB in one
    /// message; [`Invalid`](ErrorKind::Invalid) if the feed takes no appends;
    /// [`OutcomeUnknown`](ErrorKind::OutcomeUnknown) if the socket ends before
    /// the answer: append the very same events again, with their ids and the bytes
    /// of their payloads, since JSON that is serialised anew may be another event;
    /// [`Unavailable`](ErrorKind::Unavailable) if it had ended before.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves all events stored or none.
    pub async fn append<S, E>(&self, stream: S, expected: Expected, events: E) -> Result<Receipt>
    where
        S: TryInto<StreamId>,
        Error: From<S::Error>,
        E: IntoIterator<Item: IntoNewEvent>,
    {
        let stream = stream.try_into()?;
        let events = events.into_iter().map(IntoNewEvent::into_new_event);
        self.append_all(stream, expected, events.collect::<Result<_>>()?).await
    }

    async fn append_all(
        &self,
        stream: StreamId,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Receipt> {
        let permit = Arc::clone(&self.appends).acquire_owned().await.map_err(|_| ended())?;
        let (stored, storing) = oneshot::channel();
        let append = Append { stream, expected, events, stored, permit };
        self.ask(Ask::Append(append)).await?;
        storing.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Waits for an answer of the server.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the socket ends before it.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn ping(&self) -> Result<()> {
        let (answered, answer) = oneshot::channel();
        self.ask(Ask::Ping { answered }).await?;
        answer.await.map_err(|_| ended())
    }

    /// Ends the socket with everything on it, in good order: says goodbye, and
    /// waits until the server agrees, five seconds at most.
    ///
    /// # Cancel safety
    ///
    /// The socket ends also if the future is dropped.
    pub async fn close(&self) {
        let (closed, closing) = oneshot::channel();
        if self.ask(Ask::Close { closed }).await.is_ok() {
            // Whoever ends without a word has ended, too.
            let _ = closing.await;
        }
    }

    async fn ask(&self, ask: Ask) -> Result<()> {
        self.asks.send(ask).await.map_err(|_| ended())
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Unavailable, "the socket has ended: open another one")
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("has_ended", &self.asks.is_closed()).finish_non_exhaustive()
    }
}
