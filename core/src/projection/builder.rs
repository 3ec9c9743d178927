use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::{mpsc, watch};

use super::batch::Bounds;
use super::command;
use super::target::{Pair, Target};
use super::task::{self, After, Task};
use super::{FailurePolicy, Progress, ProjectionHandle, Status};
use crate::hub::HubLink;
use crate::{Cursor, Event, Projection, ProjectionStore, Result};

/// Sets up how a projection follows a log, and starts it; see
/// [`Hub::project`](crate::Hub::project).
#[must_use]
pub struct ProjectionBuilder {
    hub: HubLink,
    target: Result<Arc<dyn Target>>,
    policy: FailurePolicy,
    bounds: Bounds,
    after: Option<After>,
}

impl ProjectionBuilder {
    pub(crate) fn new<Tx: Send + 'static>(
        hub: HubLink,
        projection: Arc<dyn Projection<Tx = Tx>>,
        store: Arc<dyn ProjectionStore<Tx = Tx>>,
    ) -> Self {
        let target = Pair::new(projection, store).map(|pair| Arc::new(pair) as Arc<dyn Target>);
        let bounds = Bounds { events: 1_000, bytes: 1 << 20 };
        Self { hub, target, policy: FailurePolicy::default(), bounds, after: None }
    }

    /// What happens to an event that the projection cannot apply: it
    /// [stops](FailurePolicy::stop) by default.
    pub fn policy(mut self, policy: FailurePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// How many events, and bytes of them, are applied in one transaction at
    /// most: 1,000 and 1 MiB by default, and always one event. Appends to the
    /// same database wait while it works.
    pub fn batch(mut self, events: usize, bytes: usize) -> Self {
        self.bounds = Bounds { events: events.max(1), bytes };
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
    pub fn after<F, D>(mut self, tell: F) -> Self
    where
        F: Fn(Vec<Event>) -> D + Send + Sync + 'static,
        D: Future<Output = ()> + Send + 'static,
    {
        self.after = Some(Box::new(move |events| tell(events).boxed()));
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
        let target = self.target?;
        let (orders, commands) = mpsc::channel(command::QUEUE);
        let progress = watch::Sender::new(Progress {
            status: Status::CatchingUp,
            position: Cursor::START,
            checkpoint: Cursor::START,
            head: self.hub.tip(),
            live: None,
            applied: 0,
            skipped: 0,
        });
        let watched = progress.subscribe();
        let stop = self.hub.stop().child_token();
        let handle = ProjectionHandle {
            target: Arc::clone(&target),
            hub: self.hub.clone(),
            stop: stop.clone(),
            orders,
            progress: watched,
        };
        let task = Task {
            target,
            hub: self.hub.clone(),
            policy: self.policy,
            bounds: self.bounds,
            after: self.after,
            commands,
            progress,
            stop,
            is_built: false,
        };
        self.hub.spawn(task::run(task));
        Ok(handle)
    }
}

impl fmt::Debug for ProjectionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProjectionBuilder")
            .field("policy", &self.policy)
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
