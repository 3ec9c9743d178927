use std::fmt;
use std::sync::Arc;

use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::shared::Shared;
use super::{HubBuilder, HubStats, Subscribe, Subscription, append};
use crate::store::to_append;
use crate::{
    Append, Appended, Bus, Cursor, Error, ErrorKind, Event, EventStore, EventStoreExt, Expected,
    IntoNewEvent, Page, Read, Result, StreamId,
};

/// A store, a bus and a tail: what an application holds.
///
/// Appends through a hub are stored first and then told. Subscriptions are
/// served from the newest events, which one task reads once for all of them,
/// and from the store when they are older.
///
/// # Clones and handles
///
/// Clones are the same hub. When the last one is dropped, or by
/// [`shutdown`](Self::shutdown), its tasks end, subscriptions end, and appends
/// are [`Unavailable`](ErrorKind::Unavailable).
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> downlink::Result<()> {
/// use downlink::{Expected, Hub, Item, LocalBus, MemoryStore, NewEvent, Subscribe};
///
/// let hub = Hub::builder(MemoryStore::new(), LocalBus::new()).start().await?;
/// let departed = NewEvent::with_json("FlightDeparted", "{}")?;
/// hub.append("flight-UA1545", Expected::NoStream, [departed]).await?;
///
/// let mut subscription = hub.subscribe(Subscribe::new()).await?;
/// let Some(Item::Event(event)) = subscription.next().await.transpose()? else { panic!() };
/// assert_eq!(event.stream().as_str(), "flight-UA1545");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Hub {
    /// Begins to set a hub up.
    pub fn builder(store: impl EventStore, bus: impl Bus) -> HubBuilder {
        Self::builder_of(Arc::new(store), Arc::new(bus))
    }

    /// Begins to set a hub up over a store and a bus that are chosen at run
    /// time.
    pub fn builder_of(store: Arc<dyn EventStore>, bus: Arc<dyn Bus>) -> HubBuilder {
        HubBuilder::new(store, bus)
    }

    pub(super) fn new(shared: Arc<Shared>, tasks: TaskTracker) -> Self {
        Self { inner: Arc::new(Inner { shared, tasks }) }
    }

    /// Stores events at the end of one stream, and then wakes subscribers.
    ///
    /// The events are [`NewEvent`](crate::NewEvent)s or variants of a serde enum.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`]; [`Invalid`](ErrorKind::Invalid) if the stream
    /// or an event cannot be made from what was given;
    /// [`Unavailable`](ErrorKind::Unavailable) after a shutdown.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves all events stored or none, and if they are
    /// stored, subscribers are told.
    pub async fn append<S, E>(&self, stream: S, expected: Expected, events: E) -> Result<Appended>
    where
        S: TryInto<StreamId>,
        Error: From<S::Error>,
        E: IntoIterator<Item: IntoNewEvent>,
    {
        let append = to_append(stream, expected, events)?;
        self.append_all(append).await
    }

    /// Stores an append of several streams, with checks, and then wakes
    /// subscribers.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`], and [`Unavailable`](ErrorKind::Unavailable)
    /// after a shutdown.
    ///
    /// # Cancel safety
    ///
    /// As [`append`](Self::append).
    pub async fn append_all(&self, append: Append) -> Result<Appended> {
        append.validate()?;
        let Inner { shared, tasks } = &*self.inner;
        if shared.stop.is_cancelled() {
            return Err(append::shut_down());
        }
        let task = tasks.spawn(append::run(Arc::clone(shared), append));
        task.await.unwrap_or_else(|error| {
            let message = "the append ended without an answer: repeat it with the same event ids";
            Err(Error::with_source(ErrorKind::OutcomeUnknown, message, error))
        })
    }

    /// Follows the log: everything after the given place that matches, in
    /// order, without end.
    ///
    /// # Errors
    ///
    /// [`CursorAhead`](ErrorKind::CursorAhead) and
    /// [`HistoryChanged`](ErrorKind::HistoryChanged) for a place that is not of
    /// this log, decided against a head read after the call;
    /// [`Invalid`](ErrorKind::Invalid) for more than the last 1,000; those of
    /// [`EventStore::read`]; [`Unavailable`](ErrorKind::Unavailable) after a
    /// shutdown.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn subscribe(&self, subscribe: Subscribe) -> Result<Subscription> {
        Subscription::open(Arc::clone(&self.inner.shared), subscribe).await
    }

    /// Reads a page; see [`EventStore::read`].
    ///
    /// # Errors
    ///
    /// As [`EventStore::read`].
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn read(&self, read: Read) -> Result<Page> {
        self.inner.shared.store.read(read).await
    }

    /// All events of a read, page after page; see [`EventStoreExt::events`].
    #[must_use]
    pub fn events(&self, read: Read) -> BoxStream<'_, Result<Event>> {
        self.inner.shared.store.events(read)
    }

    /// Folds a stream into a state; see [`EventStoreExt::load`].
    ///
    /// # Errors
    ///
    /// As [`EventStoreExt::load`].
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn load<S, T, F>(&self, stream: S, initial: T, fold: F) -> Result<(T, Expected)>
    where
        S: TryInto<StreamId>,
        Error: From<S::Error>,
        T: Send,
        F: FnMut(T, &Event) -> Result<T> + Send,
    {
        self.inner.shared.store.load(stream, initial, fold).await
    }

    /// The end of the log, read now.
    ///
    /// # Errors
    ///
    /// As [`EventStore::head`].
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn head(&self) -> Result<Cursor> {
        self.inner.shared.store.head().await
    }

    /// The end of the log as far as the tail has read: without any work, and
    /// perhaps a moment old.
    #[must_use]
    pub fn tip(&self) -> Cursor {
        self.inner.shared.tip()
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.inner.shared.store
    }

    /// What happened in this hub since it started.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        self.inner.shared.counters.read()
    }

    /// Cancelled when the hub is shut down. Does not keep the hub alive.
    #[must_use]
    pub fn stopped(&self) -> CancellationToken {
        self.inner.shared.stop.child_token()
    }

    /// Ends the hub for all its clones: refuses new appends, ends every
    /// subscription, and waits until the appends under way have their answers.
    ///
    /// # Cancel safety
    ///
    /// The hub ends also if the future is dropped.
    pub async fn shutdown(&self) {
        self.inner.shared.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("store", &self.inner.shared.store)
            .field("tip", &self.tip())
            .finish_non_exhaustive()
    }
}
