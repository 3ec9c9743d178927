use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared as SharedFuture};
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use super::shared::Shared;
use super::stats::count;
use super::stretch::Stretch;
use super::turns::{Need, Turns};
use crate::{Cursor, Error, ErrorKind, Filter, Read, Result};

mod state;

use state::{Plan, State};

/// What subscriptions read from the store, shared by all of them: whoever wants
/// what another one is reading waits for the same read, and what was read is
/// kept, bounded in bytes, for those who come by next.
///
/// # Another history
///
/// Only what is at or below the tip that the tail had before the read began is
/// kept. If the log is replaced by one that has other events there, the tail
/// notices, and everything is forgotten with the same step that tells every
/// subscription. And a stretch serves only cursors that it has an event for, so
/// whoever got one of another history is refused at the next.
///
/// # Neighbours
///
/// After a restart subscriptions come back at as many places as there are
/// subscriptions, and most of them within a few pages. What is to be read is
/// therefore decided when the turn to read has come: perhaps it is here by then,
/// or about to be; and if not, the page begins where the first of those waits
/// whom it serves.
#[derive(Debug)]
pub(super) struct Pages {
    turns: Turns,
    max_bytes: usize,
    state: Mutex<State>,
}

/// A read that several may wait for. It is a task, since who waits for it may
/// be busy with something else for long; it ends when nobody waits any more.
pub(super) type Reading = SharedFuture<BoxFuture<'static, Result<Arc<Stretch>>>>;

/// What is to be read, and what the read has to know when it ends.
struct Order {
    shared: Arc<Shared>,
    filter: Arc<Filter>,
    from: Cursor,
    need: Need,
    number: u64,
    forgotten: u64,
}

impl Pages {
    pub(super) fn new(turns: usize, max_bytes: usize) -> Self {
        Self { turns: Turns::new(turns), max_bytes, state: Mutex::default() }
    }

    /// What is kept of this filter from the cursor on.
    pub(super) fn kept(&self, filter: &Filter, cursor: Cursor) -> Option<Arc<Stretch>> {
        self.state().kept(filter, cursor)
    }

    /// The read of this filter from the cursor on: the one that is under way, or
    /// a new one.
    pub(super) fn reading(
        shared: &Arc<Shared>,
        filter: &Filter,
        from: Cursor,
        need: Need,
    ) -> Reading {
        let mut state = shared.pages.state();
        if let Some(reading) = state.under_way(filter, from) {
            count(&shared.counters.shared_pages);
            return reading;
        }
        let filter = state.name_of(filter);
        let (number, forgotten) = state.next_read();
        let shared = Arc::clone(shared);
        let order = Order { shared, filter: Arc::clone(&filter), from, need, number, forgotten };
        // Spawned when it is first waited for: not under the lock, which its end takes.
        let reading = async {
            let task = AbortOnDropHandle::new(tokio::spawn(order.read()));
            task.await.unwrap_or_else(|error| Err(died(error)))
        };
        let reading = reading.boxed().shared();
        state.add(filter, from, number, &reading);
        reading
    }

    /// Forgets everything: the log is another one.
    pub(super) fn forget(&self) {
        self.state().forget();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    async fn read(self) -> Result<Arc<Stretch>> {
        let Shared { tuning, pages, counters, .. } = &*self.shared;
        // Once: what others read may end before it gets here, since pages are bounded in bytes too.
        let mut reach = tuning.page_events;
        loop {
            let turn = pages.turns.next(self.need).await;
            let plan = pages.state().plan(&self, reach);
            let shared = match plan {
                Plan::Take(stretch) => Some(stretch),
                Plan::Wait(reading) => {
                    drop(turn);
                    reading.await.ok().filter(|stretch| stretch.holds(self.from))
                }
                Plan::Read(from) if from == self.from => return self.page(from).await,
                Plan::Read(from) => {
                    let page = self.page(from).await.ok();
                    if let Some(stretch) = page.filter(|stretch| stretch.holds(self.from)) {
                        return Ok(stretch);
                    }
                    None
                }
            };
            if let Some(stretch) = shared {
                count(&counters.shared_pages);
                return Ok(stretch);
            }
            pages.state().queued_again(&self);
            reach = 0;
        }
    }

    async fn page(&self, from: Cursor) -> Result<Arc<Stretch>> {
        let Shared { store, tuning, counters, .. } = &*self.shared;
        let tip = self.shared.tip();
        let read = Read::log()
            .resume(from)
            .filter(Filter::clone(&self.filter))
            .limit(tuning.page_events)
            .max_bytes(tuning.page_bytes);
        let page = store.read(read).await?;
        count(&counters.page_reads);
        let stretch = Arc::new(Stretch::new(from, page));
        if stretch.to.position() <= tip.position() {
            self.keep(Arc::clone(&stretch));
        } else if let Some(part) = stretch.up_to(tip) {
            self.keep(Arc::new(part));
        }
        Ok(stretch)
    }

    fn keep(&self, stretch: Arc<Stretch>) {
        let Pages { max_bytes, .. } = self.shared.pages;
        self.shared.pages.state().keep(self, stretch, max_bytes);
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        self.shared.pages.state().ended(&self.filter, self.from, self.number);
    }
}

fn died(error: JoinError) -> Error {
    Error::with_source(ErrorKind::Backend, "a read of the log ended without an answer", error)
}

#[cfg(test)]
mod tests;
