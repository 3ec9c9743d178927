use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::key::{Key, KeyId, State};
use super::{LiveError, Principal};
use crate::limits::{MAX_LIVE_KEYS, MAX_LIVE_KEYS_PER_PRINCIPAL};

/// All evaluations, and who watches which of them.
#[derive(Debug, Default)]
pub(super) struct Keys {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    keys: HashMap<Arc<KeyId>, Arc<Key>>,
    watched: HashMap<Principal, HashMap<Arc<KeyId>, usize>>,
}

/// A key, for one of its subscribers.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) key: Arc<Key>,
    pub(super) states: watch::Receiver<State>,
    pub(super) seat: Seat,
    /// The id of a new key, whose task has to be started.
    pub(super) new: Option<Arc<KeyId>>,
}

impl Keys {
    fn locked(&self) -> MutexGuard<'_, Inner> {
        // A poisoned lock is harmless: nothing panics between two changes that belong together.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a subscriber to a key, which is created if there is none.
    pub(super) fn join(
        self: &Arc<Self>,
        id: KeyId,
        principal: Option<Principal>,
    ) -> Result<Joined, LiveError> {
        let mut inner = self.locked();
        let inner = &mut *inner;
        let id = inner.keys.get_key_value(&id).map_or_else(|| Arc::new(id), |(id, _)| id.clone());
        if let Some(principal) = &principal {
            inner.check_principal(principal, &id)?;
        }
        let mut new = None;
        let key = if let Some(key) = inner.keys.get(&id) {
            Arc::clone(key)
        } else {
            inner.make_room()?;
            let key = Arc::new(Key::default());
            inner.keys.insert(Arc::clone(&id), Arc::clone(&key));
            new = Some(Arc::clone(&id));
            key
        };
        // Under the lock, so that the key is not removed before.
        let states = key.state.subscribe();
        if let Some(principal) = &principal {
            *inner.watched.entry(principal.clone()).or_default().entry(id.clone()).or_default() +=
                1;
        }
        let seat = Seat { keys: Arc::clone(self), principal, id };
        Ok(Joined { key, states, seat, new })
    }

    /// Removes a key if it has no subscriber. Returns whether it did.
    pub(super) fn remove_unused(&self, id: &KeyId, key: &Key) -> bool {
        let mut inner = self.locked();
        let is_unused = key.state.receiver_count() == 0;
        if is_unused {
            inner.remove(id, key);
        }
        is_unused
    }

    pub(super) fn remove(&self, id: &KeyId, key: &Key) {
        self.locked().remove(id, key);
    }

    pub(super) fn len(&self) -> usize {
        self.locked().keys.len()
    }

    fn leave(&self, principal: &Principal, id: &Arc<KeyId>) {
        let mut inner = self.locked();
        let Some(watched) = inner.watched.get_mut(principal) else { return };
        if let Entry::Occupied(mut count) = watched.entry(Arc::clone(id)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        if watched.is_empty() {
            inner.watched.remove(principal);
        }
    }
}

impl Inner {
    fn check_principal(&self, principal: &Principal, id: &KeyId) -> Result<(), LiveError> {
        let limit = MAX_LIVE_KEYS_PER_PRINCIPAL;
        let watched = self.watched.get(principal);
        if watched.is_none_or(|watched| watched.len() < limit || watched.contains_key(id)) {
            return Ok(());
        }
        let detail = format!("you watch {limit} live queries: end one of them first");
        Err(LiveError::Limit { detail, limit })
    }

    /// Removes a key without subscribers if there are as many as there may be.
    fn make_room(&mut self) -> Result<(), LiveError> {
        let limit = MAX_LIVE_KEYS;
        if self.keys.len() < limit {
            return Ok(());
        }
        let unused = self.keys.iter().find(|(_, key)| key.state.receiver_count() == 0);
        let Some((id, key)) = unused.map(|(id, key)| (Arc::clone(id), Arc::clone(key))) else {
            let detail = format!(
                "the server evaluates {limit} live queries, which is all it may: repeat the \
                 request later"
            );
            return Err(LiveError::Limit { detail, limit });
        };
        key.evicted.cancel();
        self.remove(&id, &key);
        Ok(())
    }

    /// Removes this key, and not a later one with the same id.
    fn remove(&mut self, id: &KeyId, key: &Key) {
        if self.keys.get(id).is_some_and(|current| std::ptr::eq(Arc::as_ptr(current), key)) {
            self.keys.remove(id);
        }
    }
}

/// Counts a subscriber for its principal.
pub(super) struct Seat {
    keys: Arc<Keys>,
    principal: Option<Principal>,
    id: Arc<KeyId>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(principal) = &self.principal {
            self.keys.leave(principal, &self.id);
        }
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("id", &self.id).finish_non_exhaustive()
    }
}
