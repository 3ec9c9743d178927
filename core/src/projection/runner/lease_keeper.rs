use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use crate::error::Result;
use crate::id::ProjectionId;
use crate::projection::{Lease, LeaseOutcome, LeaseToken, ProjectionStore};
use crate::supervise::{logged, unwound};

/// How long the end of a projection waits for its lease to be given up.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

const RELEASE_PAUSE: Duration = Duration::from_millis(50);

/// Takes the lease of one projection, prolongs it and gives it up. A worker without a lease needs
/// none, and never loses it.
///
/// What it knows of the lease decides when to ask for it again, and nothing else: the store
/// refuses the steps of a worker that has lost it.
pub(in crate::projection) struct LeaseKeeper<Tx: ?Sized> {
    id: ProjectionId,
    store: Arc<dyn ProjectionStore<Tx = Tx>>,
    lease: Option<Lease>,
    state: Mutex<State>,
    /// The state was confirmed, or is another.
    told: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    NotHeld,
    /// It was asked for, and the answer is not known.
    Asked,
    /// Held, and to be prolonged at this time.
    Held(Instant),
    /// Another worker has taken it.
    Lost,
}

impl<Tx: ?Sized + Send + 'static> LeaseKeeper<Tx> {
    pub(in crate::projection) fn new(
        id: ProjectionId,
        store: Arc<dyn ProjectionStore<Tx = Tx>>,
        lease: Option<Lease>,
    ) -> Self {
        Self { id, store, lease, state: Mutex::new(State::NotHeld), told: Notify::new() }
    }

    pub(super) fn lease(&self) -> Option<Lease> {
        self.lease
    }

    /// Asks for the lease.
    pub(super) async fn take(&self) -> Result<LeaseOutcome> {
        let Some(lease) = self.lease else { return Ok(LeaseOutcome::Held) };
        self.set(State::Asked);
        let asked = Instant::now();
        let outcome = self.store.lease(&self.id, lease).await?;
        match outcome {
            LeaseOutcome::Held => self.set_held_since(asked),
            LeaseOutcome::HeldByAnother { .. } => self.set(State::NotHeld),
        }
        Ok(outcome)
    }

    /// Remembers that the lease was prolonged at this time or later.
    pub(super) fn set_held_since(&self, asked: Instant) {
        if let Some(lease) = self.lease {
            self.set(State::Held(asked + interval(lease)));
        }
    }

    /// Remembers that another worker has it.
    pub(super) fn set_lost(&self) {
        self.set(State::Lost);
    }

    /// Prolongs the lease whenever that is due, for as long as it is polled.
    pub(super) async fn keep(&self) -> Infallible {
        let Some(lease) = self.lease else { return std::future::pending().await };
        loop {
            let State::Held(due) = self.state() else {
                sleep(interval(lease)).await;
                continue;
            };
            sleep_until(due).await;
            if self.state() == State::Held(due) {
                self.prolong(lease).await;
            }
        }
    }

    async fn prolong(&self, lease: Lease) {
        let asked = Instant::now();
        match unwound(async { self.store.lease(&self.id, lease).await }).await.flatten() {
            // A step has found out meanwhile that it is lost.
            _ if !matches!(self.state(), State::Held(_)) => return,
            Ok(LeaseOutcome::Held) => self.set_held_since(asked),
            Ok(LeaseOutcome::HeldByAnother { .. }) => self.set_lost(),
            Err(error) => {
                let id = &self.id;
                logged(|| warn!(projection = %id, %error, "could not prolong a lease; retrying"));
                self.set(State::Held(Instant::now() + interval(lease) / 4));
            }
        }
        self.told.notify_one();
    }

    /// Waits until another worker has taken the lease.
    pub(super) async fn lost(&self) {
        while self.state() != State::Lost {
            self.told.notified().await;
        }
    }

    /// Waits until the lease was prolonged apart from a step. Returns `false` if it is lost.
    pub(super) async fn prolonged(&self) -> bool {
        self.told.notified().await;
        self.state() != State::Lost
    }

    /// Gives the lease up, so that another worker need not wait until it expires.
    pub(super) async fn release(&self) {
        let may_be_held = matches!(self.state(), State::Held(_) | State::Asked);
        self.set(State::NotHeld);
        let Some(lease) = self.lease.filter(|_| may_be_held) else { return };
        let release = unwound(self.release_at_last(lease.token()));
        if !matches!(timeout(RELEASE_LIMIT, release).await, Ok(Ok(Ok(())))) {
            let (id, after) = (&self.id, lease.duration());
            logged(
                || info!(projection = %id, ?after, "could not give up a lease; others take over when it expires"),
            );
        }
    }

    /// Repeats what may succeed: a step that was dropped may still be in progress in the store.
    async fn release_at_last(&self, token: LeaseToken) -> Result<()> {
        loop {
            match self.store.release(&self.id, token).await {
                Err(error) if error.is_retryable() => sleep(RELEASE_PAUSE).await,
                released => return released,
            }
        }
    }

    fn state(&self) -> State {
        *self.locked()
    }

    fn set(&self, state: State) {
        *self.locked() = state;
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Often enough that an attempt may fail.
fn interval(lease: Lease) -> Duration {
    lease.duration() / 3
}
