//! One page read from the store on behalf of every subscription that wants it.

use std::sync::Arc;

use futures::FutureExt;

use super::begun::attached;
use super::cached_page::CachedPage;
use super::hub_stats::count;
use super::page_cache::{NextRead, PageRequest, Reading};
use super::read_limiter::{Priority, ReadPermit};
use super::shared::Shared;
use crate::cursor::Cursor;
use crate::error::Result;
use crate::filter::Filter;
use crate::store::Read;

/// A read that several subscriptions may wait for.
struct PageRead {
    shared: Arc<Shared>,
    request: PageRequest,
    priority: Priority,
}

/// Reads the page of `filter` that begins after `from`: joins the read that is in
/// progress, or starts a new one.
///
/// The read runs in a task of its own, because a subscription that waits for it
/// may be busy with something else for a long time. The task ends when no
/// subscription waits for it any more.
pub(super) fn read_page(
    shared: &Arc<Shared>,
    filter: &Filter,
    from: Cursor,
    priority: Priority,
) -> Reading {
    let mut cache = shared.pages.lock();
    if let Some(reading) = cache.in_progress(filter, from, priority) {
        count(&shared.counters.shared_pages);
        return reading;
    }
    let request = cache.next_request(filter, from);
    let read = PageRead { shared: Arc::clone(shared), request: request.clone(), priority };
    // Begun when it is first polled: not under the lock, which its drop takes.
    let reading = async {
        let turn = read.shared.reads.try_acquire(read.priority);
        let is_its_turn = turn.is_some();
        attached(read.run(turn), is_its_turn).await
    };
    let reading = reading.boxed().shared();
    cache.add(&request, priority, &reading);
    reading
}

impl PageRead {
    /// Waits for a permit and then decides what to read: the page may have been
    /// cached meanwhile, another read may be about to return it, or a request
    /// shortly before this one may be served by the same page.
    async fn run(self, mut turn: Option<ReadPermit>) -> Result<Arc<CachedPage>> {
        let Shared { tuning, pages, counters, reads, .. } = &*self.shared;
        let from = self.request.from;
        // Tried only once: another read's page may end before `from`, since pages are bounded in
        // bytes too.
        let mut reach = tuning.page_events;
        loop {
            let permit = match turn.take() {
                Some(turn) => turn,
                None => reads.acquire(self.priority).await,
            };
            let next = pages.lock().next_read(&self.request, reach);
            let shared = match next {
                NextRead::Use(page) => Some(page),
                NextRead::Wait(reading) => {
                    drop(permit);
                    reading.await.ok().filter(|page| page.holds(from))
                }
                NextRead::Read(start) if start == from => return self.read(permit, start).await,
                NextRead::Read(start) => {
                    let page = self.read(permit, start).await.ok();
                    if let Some(page) = page.filter(|page| page.holds(from)) {
                        return Ok(page);
                    }
                    None
                }
            };
            if let Some(page) = shared {
                count(&counters.shared_pages);
                return Ok(page);
            }
            pages.lock().requeued(&self.request);
            reach = 0;
        }
    }

    async fn read(&self, turn: ReadPermit, from: Cursor) -> Result<Arc<CachedPage>> {
        let Shared { tuning, pages, counters, .. } = &*self.shared;
        let tip = self.shared.tip();
        let read = Read::log()
            .with_after(from)
            .with_filter(Filter::clone(&self.request.filter))
            .with_limit(tuning.page_events)
            .with_max_bytes(tuning.page_bytes);
        let page = self.shared.read_log_in(turn, read).await?;
        count(&counters.page_reads);
        let page = Arc::new(CachedPage::new(from, page));
        if page.to.position() <= tip.position() {
            pages.keep(&self.request, Arc::clone(&page));
        } else if let Some(part) = page.up_to(tip) {
            pages.keep(&self.request, Arc::new(part));
        }
        Ok(page)
    }
}

impl Drop for PageRead {
    fn drop(&mut self) {
        self.shared.pages.lock().ended(&self.request);
    }
}

#[cfg(test)]
mod tests;
