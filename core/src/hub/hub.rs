use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::shared::Shared;
use super::start_cursor::read_translated;
use super::{HubBuilder, HubLink, HubStats, Subscribe, Subscription, append};
use crate::bus::Bus;
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::event::{Event, IntoNewEvent};
use crate::filter::Filter;
use crate::id::StreamId;
use crate::store::{
    Append, Appended, EventStore, EventStoreExt, Expected, Page, ReadLog, ReadStream, to_append,
};

/// Connects a store and a bus, appends events, and serves subscriptions: the
/// handle that an application holds.
///
/// Appends through a hub are first stored and then delivered. The newest events
/// are kept in memory: one task, the tail, reads them once for all
/// subscriptions. Older events are read from the store.
///
/// # Clones and handles
///
/// Clones refer to the same hub. When the last one is dropped, or after
/// [`shutdown`](Self::shutdown), its tasks and subscriptions end, and appends
/// fail with [`Unavailable`](crate::ErrorKind::Unavailable).
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> downlink::Result<()> {
/// use downlink::{Expected, Hub, Item, LocalBus, MemoryStore, NewEvent, Subscribe};
///
/// let hub = Hub::builder(MemoryStore::new(), LocalBus::new()).start().await?;
/// let departed = NewEvent::json("FlightDeparted", "{}")?;
/// hub.append_to("flight-UA1545", Expected::NoStream, [departed]).await?;
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
    /// Configures a hub for this store and this bus. If they are chosen at run
    /// time, pass an `Arc<dyn EventStore>` and an `Arc<dyn Bus>`.
    pub fn builder(store: impl EventStore, bus: impl Bus) -> HubBuilder {
        HubBuilder::new(Arc::new(store), Arc::new(bus))
    }

    /// The handle for tasks of the hub, which does not keep the hub alive.
    pub(crate) fn link(&self) -> HubLink {
        let Inner { shared, tasks } = &*self.inner;
        HubLink::new(Arc::clone(shared), tasks.clone())
    }

    pub(super) fn new(shared: Arc<Shared>, tasks: TaskTracker) -> Self {
        Self { inner: Arc::new(Inner { shared, tasks }) }
    }

    /// Stores events at the end of one stream, and then wakes subscriptions.
    ///
    /// The events are [`NewEvent`](crate::NewEvent)s or variants of a serde enum.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`], [`StreamId::new`] and
    /// [`NewEvent::from_variant`](crate::NewEvent::from_variant);
    /// [`Unavailable`](crate::ErrorKind::Unavailable) after a shutdown.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, all events are stored or none. If they are
    /// stored, subscriptions receive them.
    pub async fn append_to<S, E>(
        &self,
        stream: S,
        expected: Expected,
        events: E,
    ) -> Result<Appended>
    where
        S: TryInto<StreamId>,
        Error: From<S::Error>,
        E: IntoIterator<Item: IntoNewEvent>,
    {
        let append = to_append(stream, expected, events)?;
        self.append(append).await
    }

    /// Stores an append, which may have several streams and checks, and then
    /// wakes subscriptions.
    ///
    /// # Errors
    ///
    /// As [`EventStore::append`], and [`Unavailable`](crate::ErrorKind::Unavailable)
    /// after a shutdown.
    ///
    /// # Cancel safety
    ///
    /// As [`append_to`](Self::append_to).
    pub async fn append(&self, append: Append) -> Result<Appended> {
        let shared = &self.inner.shared;
        if shared.reports_commits {
            append::append_reported(shared, append).await
        } else {
            append::append_and_hint(shared, append).await
        }
    }

    /// Whether the store is currently blocked, because a transaction of the
    /// application is past its deadline and has not ended. `false` if the store
    /// does not report its commits.
    #[must_use]
    pub fn has_overdue_transaction(&self) -> bool {
        self.inner.shared.store.commits().is_some_and(|commits| commits.has_overdue_transaction())
    }

    /// Whether the tail can read the log: `false` after a failed read until the
    /// next successful one, and after a shutdown. Meanwhile subscriptions may
    /// receive nothing, even if appends are stored.
    #[must_use]
    pub fn is_following(&self) -> bool {
        let shared = &self.inner.shared;
        !shared.stop.is_cancelled() && !shared.counters.tail_fails.load(Ordering::Relaxed)
    }

    /// Subscribes to the log: yields every matching event after the given
    /// place, in order, without end.
    ///
    /// # Errors
    ///
    /// [`CursorAhead`](crate::ErrorKind::CursorAhead) and
    /// [`HistoryChanged`](crate::ErrorKind::HistoryChanged) for a cursor that
    /// does not belong to this log, checked against a head read after the call
    /// (a cursor of an event in memory is accepted at once, and verified before
    /// the first item);
    /// [`Invalid`](crate::ErrorKind::Invalid) for
    /// [`After::Last`](crate::After::Last) with more than 1,000; those of
    /// [`EventStore::read_log`]; [`Unavailable`](crate::ErrorKind::Unavailable)
    /// after a shutdown.
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn subscribe(&self, subscribe: Subscribe) -> Result<Subscription> {
        Subscription::open(Arc::clone(&self.inner.shared), subscribe).await
    }

    /// Subscribes from a cursor that is among the newest events in memory,
    /// without reading the store; `None` for any other cursor, and after a
    /// shutdown.
    ///
    /// For clients that reconnect often, such as those of long polling. Such a
    /// subscription does not begin with [`Item::Live`](crate::Item::Live). The
    /// cursor is verified against the events in memory only. If the log was
    /// replaced a moment ago, the subscription ends with
    /// [`HistoryChanged`](crate::ErrorKind::HistoryChanged) once the tail
    /// notices, like all open subscriptions.
    #[must_use]
    pub fn subscribe_cached(&self, after: Cursor, filter: Filter) -> Option<Subscription> {
        Subscription::open_cached(Arc::clone(&self.inner.shared), after, filter)
    }

    /// Reads a page of the log; see [`EventStore::read_log`]. Waits its
    /// [turn](HubBuilder::with_max_reads), in the order of the calls; one that begins
    /// near the end of the log may come earlier. A cursor of a log that was moved into this
    /// one is [translated](HubBuilder::with_moved_cursors), if the hub does that.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read_log`].
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn read_log(&self, read: ReadLog) -> Result<Page> {
        read_translated(&self.inner.shared, read).await
    }

    /// Reads a page of one stream; see [`EventStore::read_stream`]. Waits its
    /// [turn](HubBuilder::with_max_reads), in the order of the calls.
    ///
    /// # Errors
    ///
    /// As [`EventStore::read_stream`].
    ///
    /// # Cancel safety
    ///
    /// Has no effects.
    pub async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        self.inner.shared.read_stream(read).await
    }

    /// Streams all events of a read of the log, page by page; see
    /// [`EventStoreExt::log_events`].
    #[must_use]
    pub fn log_events(&self, read: ReadLog) -> BoxStream<'_, Result<Event>> {
        self.inner.shared.store.log_events(read)
    }

    /// Streams all events of a read of one stream, page by page; see
    /// [`EventStoreExt::stream_events`].
    #[must_use]
    pub fn stream_events(&self, read: ReadStream) -> BoxStream<'_, Result<Event>> {
        self.inner.shared.store.stream_events(read)
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

    /// Reads the end of the log from the store.
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

    /// The end of the log as far as the hub has read it: reads nothing, and may
    /// be slightly out of date.
    #[must_use]
    pub fn cached_head(&self) -> Cursor {
        self.inner.shared.tip()
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.inner.shared.store
    }

    /// Statistics of this hub since it started.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        let commits = self.inner.shared.store.commits();
        let clock_behind = commits.map_or(Duration::ZERO, |commits| commits.clock_behind());
        HubStats { clock_behind, ..self.inner.shared.counters.read() }
    }

    /// A token that is cancelled when the hub is shut down. It does not keep
    /// the hub alive.
    #[must_use]
    pub fn shutdown_token(&self) -> CancellationToken {
        self.inner.shared.stop.child_token()
    }

    /// Shuts the hub down for all its clones: refuses new appends, ends every
    /// subscription, and waits until the appends in progress have completed.
    ///
    /// # Cancel safety
    ///
    /// The hub is shut down even if the future is dropped.
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
            .field("cached_head", &self.cached_head())
            .finish_non_exhaustive()
    }
}
