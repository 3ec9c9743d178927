use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use downlink::{Cursor, Hub, Position};
use tokio_util::sync::CancellationToken;

use downlink::live::Principal;

/// Of how many principals it is known that their rights change. Beyond, every principal
/// waits for the newest change.
const MAX_PENDING: usize = 4_096;

/// The open streams by principal, and the changes of rights that the projection has not
/// passed yet.
pub(super) struct Registry {
    state: Mutex<State>,
    is_followed: AtomicBool,
    /// Whether there is a projection that has to pass a change.
    waits: bool,
}

#[derive(Default)]
struct State {
    open: HashMap<Principal, Arc<Open>>,
    changes: u64,
    pending: HashMap<Principal, Cursor>,
    /// What has to be passed for any principal.
    floor: Option<Cursor>,
    /// Every change up to here was read.
    followed: Option<Cursor>,
}

/// What the streams of one principal share, until its rights change.
struct Open {
    /// The position of the change.
    changed_at: OnceLock<Position>,
    /// Cancelled by a change and when the hub is shut down.
    ends: CancellationToken,
}

impl Open {
    fn end(&self, at: Position) {
        // A state that is ended is no longer in the registry, so this is the first change.
        let _ = self.changed_at.set(at);
        self.ends.cancel();
    }
}

impl Registry {
    pub(super) fn new(waits: bool) -> Self {
        Self { state: Mutex::default(), is_followed: AtomicBool::new(false), waits }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_followed(&self) -> bool {
        self.is_followed.load(Ordering::SeqCst)
    }

    /// Changes are followed from this cursor on.
    pub(super) fn begin(&self, head: Cursor) {
        let mut state = self.state();
        state.end_all(head.position());
        // They may be of another history, and the head covers them.
        state.pending.clear();
        state.floor = self.waits.then_some(head);
        state.followed = Some(head);
        drop(state);
        self.is_followed.store(true, Ordering::SeqCst);
    }

    /// Changes are no longer followed.
    pub(super) fn end(&self) {
        self.is_followed.store(false, Ordering::SeqCst);
        self.state().end_all(Position::MAX);
    }

    pub(super) fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Every change up to here was read.
    pub(super) fn followed(&self) -> Option<Cursor> {
        self.state().followed
    }

    pub(super) fn has_followed(&self, cursor: Cursor) {
        self.state().followed = Some(cursor);
    }

    pub(super) fn changed(&self, principal: Principal, cursor: Cursor) {
        let mut state = self.state();
        state.changes += 1;
        if let Some(open) = state.open.remove(&principal) {
            open.end(cursor.position());
        }
        if self.waits {
            state.wait_for(principal, cursor);
        }
    }

    pub(super) fn all_changed(&self, cursor: Cursor) {
        let mut state = self.state();
        state.end_all(cursor.position());
        if self.waits {
            state.floor = state.floor.max(Some(cursor));
        }
    }

    /// What has to be passed before the rights of this principal can be read.
    pub(super) fn must_pass(&self, principal: &Principal) -> Option<Cursor> {
        let state = self.state();
        state.pending.get(principal).copied().max(state.floor)
    }

    /// The projection has passed everything up to here.
    pub(super) fn passed(&self, position: Position) {
        let mut state = self.state();
        state.pending.retain(|_, cursor| cursor.position() > position);
        state.floor = state.floor.filter(|floor| floor.position() > position);
    }

    pub(super) fn register(self: &Arc<Self>, principal: &Principal, hub: &Hub) -> Registration {
        let mut state = self.state();
        let open = match state.open.entry(principal.clone()) {
            Entry::Occupied(entry) => Arc::clone(entry.get()),
            Entry::Vacant(entry) => {
                let open = Open { changed_at: OnceLock::new(), ends: hub.shutdown_token() };
                Arc::clone(entry.insert(Arc::new(open)))
            }
        };
        Registration { registry: Arc::clone(self), principal: principal.clone(), open }
    }
}

impl State {
    fn end_all(&mut self, at: Position) {
        self.changes += 1;
        self.open.drain().for_each(|(_, open)| open.end(at));
    }

    fn wait_for(&mut self, principal: Principal, cursor: Cursor) {
        self.pending.insert(principal, cursor);
        if self.pending.len() > MAX_PENDING {
            let newest = self.pending.drain().map(|(_, cursor)| cursor).max();
            self.floor = self.floor.max(newest);
        }
    }
}

/// A stream that ends when the rights of its principal change.
pub(in crate::feed) struct Registration {
    registry: Arc<Registry>,
    principal: Principal,
    open: Arc<Open>,
}

impl Registration {
    pub(super) fn principal(&self) -> &Principal {
        &self.principal
    }

    pub(super) fn has_changed(&self) -> bool {
        self.changed_at().is_some()
    }

    /// The position of the event that changed the rights.
    pub(super) fn changed_at(&self) -> Option<Position> {
        self.open.changed_at.get().copied()
    }

    /// Cancelled by a change and when the hub is shut down.
    pub(super) fn ends(&self) -> &CancellationToken {
        &self.open.ends
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut state = self.registry.state();
        // Clones are made under the lock: this one, and that of the registry.
        if let Entry::Occupied(entry) = state.open.entry(self.principal.clone())
            && Arc::ptr_eq(entry.get(), &self.open)
            && Arc::strong_count(&self.open) == 2
        {
            entry.remove();
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registration").field(&self.principal).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(position: u64) -> Cursor {
        format!("{position:016x}-00000001").parse().unwrap()
    }

    #[tokio::test]
    async fn a_change_ends_the_streams_of_its_principal_only() {
        let hub = downlink::memory::hub().await.unwrap();
        let registry = Arc::new(Registry::new(false));
        let (ann, bob) = (Principal::new("ann"), Principal::new("bob"));
        let streams = [&ann, &ann, &bob].map(|who| registry.register(who, &hub));
        registry.changed(ann.clone(), cursor(1));
        assert_eq!(streams.each_ref().map(Registration::has_changed), [true, true, false]);
        // A stream that is opened later is not concerned, and outlives the ended ones.
        let later = registry.register(&ann, &hub);
        drop(streams);
        assert!(!later.has_changed());
        assert_eq!(registry.state().open.len(), 1);
        registry.changed(ann, cursor(2));
        assert!(later.has_changed() && later.ends().is_cancelled());
        drop(later);
        assert!(registry.state().open.is_empty());
    }

    #[tokio::test]
    async fn a_shutdown_of_the_hub_is_not_a_change() {
        let hub = downlink::memory::hub().await.unwrap();
        let registry = Arc::new(Registry::new(false));
        let stream = registry.register(&Principal::new("ann"), &hub);
        hub.shutdown().await;
        assert!(stream.ends().is_cancelled() && !stream.has_changed());
    }

    #[test]
    fn what_is_pending_is_bounded_and_forgotten_when_it_was_passed() {
        let registry = Registry::new(true);
        let of = |number: usize| Principal::new(number);
        for number in 0..MAX_PENDING {
            registry.changed(of(number), cursor(number as u64 + 1));
        }
        assert_eq!(registry.must_pass(&of(0)), Some(cursor(1)));
        assert_eq!(registry.must_pass(&Principal::new("another")), None);
        registry.changed(Principal::new("one more"), cursor(9_999));
        assert!(registry.state().pending.is_empty());
        assert_eq!(registry.must_pass(&Principal::new("another")), Some(cursor(9_999)));
        registry.changed(of(0), cursor(10_000));
        registry.passed(cursor(9_999).position());
        assert_eq!(registry.must_pass(&of(0)), Some(cursor(10_000)));
        assert_eq!(registry.must_pass(&of(1)), None);
    }
}
