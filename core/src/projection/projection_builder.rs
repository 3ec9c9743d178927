use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::{mpsc, watch};

use super::projection_handle::ReadDeadLetters;
use super::runner::{self, Bounds, OnApplied, Runner};
use super::{FailurePolicy, Progress, Projection, ProjectionHandle, ProjectionStore, Status};
use crate::cursor::Cursor;
use crate::error::Result;
use crate::event::Event;
use crate::hub::{Hub, HubLink};
use crate::id::ProjectionId;

/// Sets up how a projection follows a log, and starts it; see
/// [`Hub::project`](crate::Hub::project).
#[must_use]
pub struct ProjectionBuilder {
    hub: HubLink,
    settings: Settings,
    /// Starts the runner, whatever the type of the transactions is.
    start: Box<dyn FnOnce(HubLink, Settings) -> Result<ProjectionHandle> + Send>,
}

struct Settings {
    policy: FailurePolicy,
    bounds: Bounds,
    on_applied: Option<OnApplied>,
}

impl ProjectionBuilder {
    fn new<Tx: Send + 'static>(
        hub: HubLink,
        projection: Arc<dyn Projection<Tx = Tx>>,
        store: Arc<dyn ProjectionStore<Tx = Tx>>,
    ) -> Self {
        let bounds = Bounds { events: 1_000, bytes: 1 << 20 };
        let settings = Settings { policy: FailurePolicy::default(), bounds, on_applied: None };
        let start = Box::new(move |hub, settings| start(projection, store, hub, settings));
        Self { hub, settings, start }
    }

    /// What happens to an event that the projection cannot apply: it
    /// [stops](FailurePolicy::stop) by default.
    pub fn with_policy(mut self, policy: FailurePolicy) -> Self {
        self.settings.policy = policy;
        self
    }

    /// How many events, and bytes of them, are applied in one transaction at
    /// most: 1,000 and 1 MiB by default, and always one event. Appends to the
    /// same database wait while it works.
    pub fn with_batch(mut self, events: usize, bytes: usize) -> Self {
        self.settings.bounds = Bounds { events: events.max(1), bytes };
        self
    }

    /// What to do because of events once they are in the read model of the
    /// live version: send a mail, tell another service.
    ///
    /// Each event comes **at most once**, and once as long as nothing dies,
    /// whatever versions, resets and workers there are: what one version has not
    /// told when another takes its place, that one tells. What a version or a
    /// worker without this applies counts as told. Never those that were passed
    /// over, nor those that were there before the projection was first
    /// complete; and not those of a step after which the program or the handle
    /// ended before this was done, or whose outcome the store could not tell. What
    /// must not be left out belongs into the read model, as
    /// an outbox. If the log is replaced, as by a restore, and the read models
    /// are not, what the new log has when that is noticed is not told.
    ///
    /// The projection goes on when the future is done. A panic is logged.
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
    /// [`Invalid`](crate::ErrorKind::Invalid) and [`TooLarge`](crate::ErrorKind::TooLarge) for a
    /// name that no projection may have. Everything else is told by the
    /// handle.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub fn start(self) -> Result<ProjectionHandle> {
        (self.start)(self.hub, self.settings)
    }
}

fn start<Tx: Send + 'static>(
    projection: Arc<dyn Projection<Tx = Tx>>,
    store: Arc<dyn ProjectionStore<Tx = Tx>>,
    hub: HubLink,
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
    let runner = Runner {
        id,
        projection,
        store,
        hub: hub.clone(),
        policy: settings.policy,
        bounds: settings.bounds,
        on_applied: settings.on_applied,
        commands: received,
        progress,
        stop,
        is_built: false,
    };
    hub.spawn(runner::run(runner));
    Ok(handle)
}

fn dead_letters<Tx: Send + 'static>(
    store: Arc<dyn ProjectionStore<Tx = Tx>>,
    id: ProjectionId,
) -> ReadDeadLetters {
    Arc::new(move |after, limit| {
        let (store, id) = (Arc::clone(&store), id.clone());
        async move { store.dead_letters(&id, after, limit).await }.boxed()
    })
}

impl Hub {
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
            .field("bounds", &self.settings.bounds)
            .finish_non_exhaustive()
    }
}
