use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{mpsc, watch};

use super::projection_handle::ReadDeadLetters;
use super::runner::{self, BatchLimits, LeaseKeeper, OnApplied, Runner};
use super::{
    FailurePolicy, Lease, LeaseToken, Progress, Projection, ProjectionHandle, ProjectionStore,
    Status,
};
use crate::cursor::Cursor;
use crate::error::Result;
use crate::event::Event;
use crate::hub::{Hub, HubLink};
use crate::id::ProjectionId;

/// Configures and starts a projection; see
/// [`Hub::project`](crate::Hub::project).
#[must_use]
pub struct ProjectionBuilder {
    hub: HubLink,
    settings: Settings,
    start: Start,
}

/// Starts the runner, whatever the type of the transactions is.
type Start = Box<dyn FnOnce(&HubLink, Settings) -> Result<ProjectionHandle> + Send>;

struct Settings {
    policy: FailurePolicy,
    limits: BatchLimits,
    on_applied: Option<OnApplied>,
    lease: Option<Duration>,
}

impl ProjectionBuilder {
    fn new<Tx: ?Sized + Send + 'static>(
        hub: HubLink,
        projection: Arc<dyn Projection<Tx = Tx>>,
        store: Arc<dyn ProjectionStore<Tx = Tx>>,
    ) -> Self {
        let limits = BatchLimits { events: 1_000, bytes: 1 << 20 };
        let policy = FailurePolicy::default();
        let settings = Settings { policy, limits, on_applied: None, lease: None };
        let start =
            Box::new(move |hub: &HubLink, settings| start(projection, store, hub, settings));
        Self { hub, settings, start }
    }

    /// Sets what happens to an event that the projection cannot apply: the
    /// projection [stops](FailurePolicy::stop) by default.
    pub fn with_policy(mut self, policy: FailurePolicy) -> Self {
        self.settings.policy = policy;
        self
    }

    /// Limits the events, and their bytes, that are applied in one transaction:
    /// 1,000 events and 1 MiB by default, but always at least one event.
    /// Appends to the same database wait during the transaction.
    pub fn with_batch(mut self, events: usize, bytes: usize) -> Self {
        self.settings.limits = BatchLimits { events: events.max(1), bytes };
        self
    }

    /// Lets only one of many workers of this projection work at a time, in this process or in
    /// others: the one that has the lease, which it keeps in the projection store. The others
    /// [stand by](Status::Standby). No lease by default.
    ///
    /// Without a lease several workers are correct as well, since only one of them makes each
    /// step, but all of them read the log and apply events in vain. Give all workers of a
    /// projection the same duration: one without a lease is not kept from working, and one with a
    /// shorter lease may take over.
    ///
    /// Another worker takes over at once when the worker with the lease is
    /// [paused](ProjectionHandle::pause), fails or is shut down, and after at most `duration` plus
    /// a second if its process is killed, stopped or disconnected from the store. If that one then
    /// continues, its step is refused, and it stands by. No step is made twice, and no event is
    /// announced twice.
    ///
    /// The lease is prolonged by each step, and otherwise three times in its duration. Ten seconds
    /// are a good choice: longer than the longest step and the longest stall of a busy machine.
    /// Durations below [`Lease::SHORTEST`] and above [`Lease::LONGEST`] are replaced by these.
    ///
    /// A worker that stands by reads its checkpoint from the store when a hint of another process
    /// comes, and twice in a second, so that
    /// [`wait_for`](ProjectionHandle::wait_for) and live queries work in every process. If a worker
    /// fails at an event, the next one tries it, too, and at the end all of them have
    /// [failed](Status::Failed).
    pub fn with_lease(mut self, duration: Duration) -> Self {
        self.settings.lease = Some(duration);
        self
    }

    /// Sets a function that is called with events after the live version has
    /// applied them, for side effects such as sending mail or calling another
    /// service. None by default.
    ///
    /// To *announce* an event is to pass it to this function. Each event is
    /// announced **at most once**, and exactly once as long as no process
    /// fails, across all versions, resets and workers. If a new version takes
    /// over, it announces what the old one has not. Events applied without this
    /// function count as announced.
    ///
    /// Never announced are events that were skipped, and those that were in the
    /// log before the projection was first complete. The function also misses
    /// the events of a step if the program or the handle ended before the
    /// function was done, or if the store could not determine the step's
    /// outcome. For effects that must not be lost, write an outbox to the read
    /// model. If only the log is replaced, for example by a restore, the events
    /// that the new log has when this is noticed are never passed to the
    /// function.
    ///
    /// The projection continues when the returned future has completed. A panic
    /// is logged.
    pub fn on_applied<F, D>(mut self, run: F) -> Self
    where
        F: Fn(Vec<Event>) -> D + Send + Sync + 'static,
        D: Future<Output = ()> + Send + 'static,
    {
        self.settings.on_applied = Some(Box::new(move |events| run(events).boxed()));
        self
    }

    /// Starts the projection, in a task that ends when the hub is shut down or
    /// the last handle is dropped.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) and
    /// [`TooLarge`](crate::ErrorKind::TooLarge) for an invalid name. All other
    /// errors are reported by the handle.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub fn start(self) -> Result<ProjectionHandle> {
        (self.start)(&self.hub, self.settings)
    }
}

fn start<Tx: ?Sized + Send + 'static>(
    projection: Arc<dyn Projection<Tx = Tx>>,
    store: Arc<dyn ProjectionStore<Tx = Tx>>,
    hub: &HubLink,
    settings: Settings,
) -> Result<ProjectionHandle> {
    let id = ProjectionId::of(&*projection)?;
    let (commands, received) = mpsc::channel(runner::QUEUE);
    let progress = watch::Sender::new(Progress {
        status: Status::CatchingUp,
        position: Cursor::START,
        checkpoint: Cursor::START,
        head: hub.cached_head(),
        live: None,
        applied: 0,
        skipped: 0,
        is_rebuilt_elsewhere: false,
    });
    let watched = progress.subscribe();
    let stop = hub.stop().child_token();
    let handle = ProjectionHandle {
        id: id.clone(),
        dead_letters: dead_letters(Arc::clone(&store), id.clone()),
        hub: hub.clone(),
        stop: stop.clone(),
        commands,
        progress: watched,
    };
    let lease = settings.lease.map(|lasts| Lease::new(LeaseToken::generate(), lasts));
    let runner = Runner {
        keeper: Arc::new(LeaseKeeper::new(id.clone(), Arc::clone(&store), lease)),
        id,
        projection,
        store,
        hub: hub.clone(),
        policy: settings.policy,
        limits: settings.limits,
        on_applied: settings.on_applied,
        commands: received,
        progress,
        stop,
        is_built: false,
    };
    hub.spawn(runner::run(runner));
    Ok(handle)
}

fn dead_letters<Tx: ?Sized + Send + 'static>(
    store: Arc<dyn ProjectionStore<Tx = Tx>>,
    id: ProjectionId,
) -> ReadDeadLetters {
    Arc::new(move |after, limit| {
        let (store, id) = (Arc::clone(&store), id.clone());
        async move { store.dead_letters(&id, after, limit).await }.boxed()
    })
}

impl Hub {
    /// Configures a projection: a read model that is built from this log and
    /// kept in `store`.
    ///
    /// # Examples
    ///
    /// Counts delays in memory. With SQLite, only `Tx` and the bodies of
    /// `prepare` and `apply` differ.
    ///
    /// ```
    /// use downlink::memory::MemoryProjections;
    /// use downlink::{BoxError, Event, Expected, Filter, NewEvent, Projection};
    ///
    /// #[derive(Debug)]
    /// struct Delays;
    ///
    /// #[async_trait::async_trait]
    /// impl Projection for Delays {
    ///     type Tx = u64;
    ///
    ///     fn name(&self) -> &str {
    ///         "delays"
    ///     }
    ///
    ///     fn filter(&self) -> Filter {
    ///         Filter::types(["FlightDelayed"])
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
    /// let delays = hub.project(Delays, models.clone()).start()?;
    ///
    /// let delayed = NewEvent::json("FlightDelayed", r#"{"minutes":20}"#)?;
    /// let appended = hub.append_to("flight-UA1545", Expected::Any, [delayed]).await?;
    /// delays.wait_for(appended.cursor).await?;
    /// assert_eq!(models.state(delays.id()).as_deref(), Some(&1));
    /// # Ok(()) }
    /// ```
    pub fn project<P, S>(&self, projection: P, store: S) -> ProjectionBuilder
    where
        P: Projection,
        S: ProjectionStore<Tx = P::Tx>,
    {
        ProjectionBuilder::new(self.link(), Arc::new(projection), Arc::new(store))
    }
}

impl fmt::Debug for ProjectionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProjectionBuilder")
            .field("policy", &self.settings.policy)
            .field("limits", &self.settings.limits)
            .finish_non_exhaustive()
    }
}
