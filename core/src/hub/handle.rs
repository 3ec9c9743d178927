use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::shared::Shared;
use super::{HubBuilder, HubLink, HubStats, Subscribe, Subscription, append};
use crate::store::to_append;
use crate::{
    Append, Appended, Bus, Cursor, Error, Event, EventStore, EventStoreExt, Expected, Filter,
    IntoNewEvent, Page, Projection, ProjectionBuilder, ProjectionStore, Read, Result, StreamId,
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
/// are [`Unavailable`](crate::ErrorKind::Unavailable).
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
    /// As [`EventStore::append`]; [`Invalid`](crate::ErrorKind::Invalid) if the stream
    /// or an event cannot be made from what was given;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) after a shutdown.
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
    /// As [`EventStore::append`], and [`Unavailable`](crate::ErrorKind::Unavailable)
    /// after a shutdown.
    ///
    /// # Cancel safety
    ///
    /// As [`append`](Self::append).
    pub async fn append_all(&self, append: Append) -> Result<Appended> {
        let shared = &self.inner.shared;
        if shared.is_told {
            append::told_by_the_store(shared, append).await
        } else {
            append::told_by_the_hub(shared, append).await
        }
    }

    /// Whether the store can commit nothing just now, because a transaction of
    /// the application is past its deadline and has not ended. `false` if the
    /// store does not tell.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.inner.shared.store.commits().is_some_and(|commits| commits.is_stuck())
    }

    /// Whether the tail reads the log: `false` from a read that failed to the next
    /// one that does not. Subscriptions may hear of nothing meanwhile, also if
    /// appends are stored. `false` after a shutdown.
    #[must_use]
    pub fn is_following(&self) -> bool {
        let shared = &self.inner.shared;
        !shared.stop.is_cancelled() && !shared.counters.tail_fails.load(Ordering::Relaxed)
    }

    /// Follows the log: everything after the given place that matches, in
    /// order, without end.
    ///
    /// # Errors
    ///
    /// [`CursorAhead`](crate::ErrorKind::CursorAhead) and
    /// [`HistoryChanged`](crate::ErrorKind::HistoryChanged) for a place that is not of
    /// this log, decided against a head read after the call;
    /// [`Invalid`](crate::ErrorKind::Invalid) for more than the last 1,000; those of
    /// [`EventStore::read`]; [`Unavailable`](crate::ErrorKind::Unavailable) after a
    /// shutdown.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn subscribe(&self, subscribe: Subscribe) -> Result<Subscription> {
        Subscription::open(Arc::clone(&self.inner.shared), subscribe).await
    }

    /// Begins to set a projection up: a read model that is made of this log
    /// and kept in `store`.
    ///
    /// # Examples
    ///
    /// Counts delays, in memory; over SQLite only `Tx` and what `apply` writes
    /// are other ones.
    ///
    /// ```
    /// use downlink::memory::MemoryProjections;
    /// use downlink::{BoxError, Event, Expected, Filter, FilterItem, NewEvent, Projection};
    ///
    /// #[derive(Debug)]
    /// struct Delays(Filter);
    ///
    /// #[async_trait::async_trait]
    /// impl Projection for Delays {
    ///     type Tx = u64;
    ///
    ///     fn name(&self) -> &str {
    ///         "delays"
    ///     }
    ///
    ///     fn version(&self) -> u32 {
    ///         1
    ///     }
    ///
    ///     fn filter(&self) -> Filter {
    ///         self.0.clone()
    ///     }
    ///
    ///     async fn prepare(&self, count: &mut u64) -> Result<(), BoxError> {
    ///         *count = 0;
    ///         Ok(())
    ///     }
    ///
    ///     async fn apply(&self, events: &[Event], count: &mut u64) -> Result<(), BoxError> {
    ///         *count += u64::try_from(events.len())?;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> downlink::Result<()> {
    /// let hub = downlink::memory::hub().await?;
    /// let models = MemoryProjections::new();
    /// let filter = FilterItem::new().with_type("FlightDelayed")?.into();
    /// let delays = hub.project(Delays(filter), models.clone()).start()?;
    ///
    /// let delayed = NewEvent::with_json("FlightDelayed", r#"{"minutes":20}"#)?;
    /// let appended = hub.append("flight-UA1545", Expected::Any, [delayed]).await?;
    /// delays.wait_for(appended.cursor).await?;
    /// assert_eq!(models.state(delays.id()).as_deref(), Some(&1));
    /// # Ok(()) }
    /// ```
    pub fn project<P, S>(&self, projection: P, store: S) -> ProjectionBuilder
    where
        P: Projection,
        S: ProjectionStore<Tx = P::Tx>,
    {
        self.project_of(Arc::new(projection), Arc::new(store))
    }

    /// Begins to set up a projection whose store is chosen at run time.
    pub fn project_of<Tx: Send + 'static>(
        &self,
        projection: Arc<dyn Projection<Tx = Tx>>,
        store: Arc<dyn ProjectionStore<Tx = Tx>>,
    ) -> ProjectionBuilder {
        let Inner { shared, tasks } = &*self.inner;
        ProjectionBuilder::new(HubLink::new(Arc::clone(shared), tasks.clone()), projection, store)
    }

    /// Follows the log from a cursor that is among the newest events in memory,
    /// and does not ask the store for anything; `None` for any other cursor, and
    /// after a shutdown.
    ///
    /// For those who come back again and again, as a long-poll does. Such a
    /// subscription does not begin by saying [`Item::Live`](crate::Item::Live).
    /// That the cursor is of this log is as certain as what open subscriptions
    /// are sent: a log that was replaced a moment ago ends it with
    /// [`HistoryChanged`](crate::ErrorKind::HistoryChanged).
    #[must_use]
    pub fn tail(&self, after: Cursor, filter: Filter) -> Option<Subscription> {
        Subscription::at_the_tail(Arc::clone(&self.inner.shared), after, filter)
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
        let commits = self.inner.shared.store.commits();
        let clock_behind = commits.map_or(Duration::ZERO, |commits| commits.clock_behind());
        HubStats { clock_behind, ..self.inner.shared.counters.read() }
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
