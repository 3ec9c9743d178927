use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use downlink::id::ProjectionId;
use downlink::projection::{
    DeadLetter, Lease, LeaseOutcome, LeaseToken, ProjectionStore, Step, StepOutcome,
};
use downlink::{Cursor, Error, ErrorKind, Position, Projection, Result};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Gate;

/// Wraps a projection store, and is busy or waits on request.
pub struct FaultyProjections<Tx: ?Sized> {
    inner: Arc<dyn ProjectionStore<Tx = Tx>>,
    faults: ProjectionFaults,
}

/// The faults of a [`FaultyProjections`]. Clones share them.
#[derive(Clone, Debug)]
pub struct ProjectionFaults {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    busy: AtomicUsize,
    /// The read model whose steps wait, and how many steps it makes first.
    held: Mutex<Option<(ProjectionId, usize)>>,
    gate: Gate,
    /// Closed while the worker is stalled.
    stalled: Gate,
    /// The read models that write next, in this order.
    turns: Mutex<VecDeque<ProjectionId>>,
    turn_passed: Notify,
}

/// How long a turn waits for its read model to write.
const TURN: Duration = Duration::from_millis(10);

impl ProjectionFaults {
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        let (busy, held) = (AtomicUsize::new(0), Mutex::default());
        let (turns, turn_passed) = (Mutex::default(), Notify::new());
        let (gate, stalled) = (Gate::open(), Gate::open());
        Self { inner: Arc::new(Inner { busy, held, gate, stalled, turns, turn_passed }) }
    }

    /// Makes this many steps fail with `Busy`.
    pub fn be_busy(&self, steps: usize) {
        self.inner.busy.store(steps, Ordering::SeqCst);
    }

    /// How many of these failures are left.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.inner.busy.load(Ordering::SeqCst)
    }

    /// Makes the steps of this read model wait, after this many more were made.
    pub fn hold_after(&self, steps: usize, id: &ProjectionId) {
        *self.held() = Some((id.clone(), steps));
        self.inner.gate.close();
    }

    /// Makes everything that is written wait from now on, as in a process that is stopped.
    pub fn stall(&self) {
        self.inner.stalled.close();
    }

    /// Waits until a write waits because of a stall.
    pub async fn until_stalled(&self) {
        self.inner.stalled.until_waiting().await;
    }

    /// Lets everything continue that waits because of a stall.
    pub fn go_on(&self) {
        self.inner.stalled.release();
    }

    /// Waits until a step waits.
    pub async fn until_waiting(&self) {
        self.inner.gate.until_waiting().await;
    }

    /// Lets all steps continue.
    pub fn release(&self) {
        *self.held() = None;
        self.inner.gate.release();
    }

    fn held(&self) -> MutexGuard<'_, Option<(ProjectionId, usize)>> {
        self.inner.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits(&self, id: &ProjectionId) -> bool {
        match &mut *self.held() {
            Some((held, 0)) => held == id,
            Some((held, left)) if held == id => {
                *left -= 1;
                false
            }
            _ => false,
        }
    }

    /// Makes read models write in this order, one write for each turn, and then
    /// in any order. A turn that is not taken for a while is skipped.
    pub fn order(&self, turns: impl IntoIterator<Item = ProjectionId>) {
        self.turns().extend(turns);
    }

    fn turns(&self) -> MutexGuard<'_, VecDeque<ProjectionId>> {
        self.inner.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn turn_of(&self, id: &ProjectionId) {
        loop {
            let moved = self.inner.turn_passed.notified();
            let left = {
                let mut turns = self.turns();
                if turns.front().is_none_or(|next| next == id) {
                    turns.pop_front();
                    self.inner.turn_passed.notify_waiters();
                    return;
                }
                turns.len()
            };
            let is_taken = timeout(TURN, moved).await.is_ok();
            let mut turns = self.turns();
            if !is_taken && turns.len() == left {
                turns.pop_front();
                self.inner.turn_passed.notify_waiters();
            }
        }
    }

    async fn before_step(&self, id: &ProjectionId) -> Result<()> {
        self.inner.stalled.pass().await;
        self.turn_of(id).await;
        if self.waits(id) {
            self.inner.gate.pass().await;
        }
        let one_less = |left: usize| left.checked_sub(1);
        match self.inner.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Ok(_) => Err(Error::new(ErrorKind::Busy, "the store is busy, on purpose")),
            Err(_) => Ok(()),
        }
    }
}

impl<Tx: ?Sized> FaultyProjections<Tx> {
    /// Wraps a projection store with these faults.
    #[must_use]
    pub fn new(inner: Arc<dyn ProjectionStore<Tx = Tx>>, faults: ProjectionFaults) -> Self {
        Self { inner, faults }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<Tx: ?Sized + Send + 'static> ProjectionStore for FaultyProjections<Tx> {
    type Tx = Tx;

    async fn checkpoint(&self, id: &ProjectionId) -> Result<Cursor> {
        self.inner.checkpoint(id).await
    }

    async fn step(
        &self,
        projection: &Arc<dyn Projection<Tx = Tx>>,
        step: Step,
    ) -> Result<StepOutcome> {
        self.faults.before_step(&ProjectionId::of(&**projection)?).await?;
        self.inner.step(projection, step).await
    }

    async fn reset(&self, projection: &Arc<dyn Projection<Tx = Tx>>) -> Result<()> {
        self.inner.reset(projection).await
    }

    async fn live(&self, name: &str) -> Result<Option<u32>> {
        self.inner.live(name).await
    }

    async fn make_live(&self, id: &ProjectionId) -> Result<u32> {
        self.faults.inner.stalled.pass().await;
        self.faults.turn_of(id).await;
        self.inner.make_live(id).await
    }

    async fn announced(&self, id: &ProjectionId) -> Result<Option<Cursor>> {
        self.inner.announced(id).await
    }

    async fn announce(&self, id: &ProjectionId, from: Cursor, to: Cursor) -> Result<bool> {
        self.faults.inner.stalled.pass().await;
        self.faults.turn_of(id).await;
        self.inner.announce(id, from, to).await
    }

    async fn dead_letters(
        &self,
        id: &ProjectionId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        self.inner.dead_letters(id, after, limit).await
    }

    async fn lease(&self, id: &ProjectionId, lease: Lease) -> Result<LeaseOutcome> {
        self.faults.inner.stalled.pass().await;
        self.inner.lease(id, lease).await
    }

    async fn release(&self, id: &ProjectionId, token: LeaseToken) -> Result<()> {
        self.faults.inner.stalled.pass().await;
        self.inner.release(id, token).await
    }
}

impl<Tx: ?Sized> Clone for FaultyProjections<Tx> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), faults: self.faults.clone() }
    }
}

impl<Tx: ?Sized + 'static> fmt::Debug for FaultyProjections<Tx> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyProjections").field("faults", &self.faults).finish_non_exhaustive()
    }
}
