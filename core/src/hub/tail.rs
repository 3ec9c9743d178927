use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use tokio::time::sleep;
use tracing::{debug, error, warn};

use super::shared::Shared;
use super::stats::count;
use crate::{Bus, Hint, Listener, Read, Result};

/// After a failure the tail tries again this soon, and then less and less.
const FIRST_RETRY: Duration = Duration::from_millis(10);

/// Hints that are taken together. More than that, and a bus that never stops
/// would keep the tail from reading.
const HINTS_AT_ONCE: usize = 1_024;

/// Reads the log once for all subscribers.
///
/// Listens before it reads, and takes every hint that waits before it reads, so
/// that whatever is committed later finds it listening: catch-up and live are
/// the same loop.
pub(super) async fn run(shared: Arc<Shared>, bus: Arc<dyn Bus>) {
    let mut tail = Tail { shared: Arc::clone(&shared), bus, listener: None, retry: None };
    shared.stop.run_until_cancelled(tail.follow()).await;
    // Wakes the subscriptions that wait, for their end.
    shared.progress.send_modify(|progress| progress.stopped = true);
}

struct Tail {
    shared: Arc<Shared>,
    bus: Arc<dyn Bus>,
    listener: Option<Listener>,
    /// The pause before the next try, after a failure.
    retry: Option<Duration>,
}

impl Tail {
    async fn follow(&mut self) {
        loop {
            self.listen().await;
            match self.catch_up().await {
                Ok(()) => self.retry = None,
                Err(error) if error.is_other_history() => self.begin_again().await,
                Err(error) => {
                    count(&self.shared.counters.failed_reads);
                    warn!(%error, "the tail could not read the log; it tries again");
                    self.back_off();
                }
            }
            self.wait().await;
        }
    }

    async fn listen(&mut self) {
        if self.listener.is_some() {
            return;
        }
        let listening =
            tokio::time::timeout(self.shared.tuning.publish_deadline, self.bus.listen());
        match listening.await {
            Ok(Ok(listener)) => self.listener = Some(listener),
            Ok(Err(error)) => self.not_listening(&error),
            Err(elapsed) => self.not_listening(&elapsed),
        }
    }

    fn not_listening(&self, error: &dyn std::error::Error) {
        count(&self.shared.counters.failed_listens);
        warn!(%error, "the bus cannot be listened to; the tail looks by itself");
    }

    async fn catch_up(&mut self) -> Result<()> {
        loop {
            let page = self.shared.store.read(Read::log().resume(self.shared.tip())).await?;
            if !page.events.is_empty() {
                self.shared.extend(page.events);
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    /// The log is another one: tells every subscription, and follows the new
    /// one from its end.
    async fn begin_again(&mut self) {
        match self.shared.store.head().await {
            Ok(head) => {
                count(&self.shared.counters.changed_histories);
                error!(tip = %self.shared.tip(), %head, "the log was replaced by another one");
                self.shared.begin_again(head);
                self.retry = None;
            }
            Err(error) => {
                warn!(%error, "the log was replaced and the new one cannot be read");
                self.back_off();
            }
        }
    }

    fn back_off(&mut self) {
        let next = self.retry.map_or(FIRST_RETRY, |pause| pause * 2);
        self.retry = Some(next.min(self.shared.tuning.fallback));
    }

    async fn wait(&mut self) {
        let pause = self.retry.unwrap_or(self.shared.tuning.fallback);
        let hint = next_hint(&mut self.listener, &self.shared.counters.failed_listens);
        tokio::select! {
            () = self.shared.nudge.notified() => {}
            hint = hint => debug!(?hint, "woken by the bus"),
            () = sleep(pause) => {}
        }
    }
}

/// Takes every hint that waits, at least one. Without a listener, or when it
/// ends, never returns: the fallback comes next, and listens anew, so that a
/// bus that ends at once is not asked without a pause.
async fn next_hint(listener: &mut Option<Listener>, ended: &AtomicU64) -> Hint {
    if let Some(hints) = listener
        && let Some(mut newest) = hints.next().await
    {
        for _ in 0..HINTS_AT_ONCE {
            match hints.next().now_or_never() {
                Some(Some(hint)) => newest = hint,
                Some(None) | None => break,
            }
        }
        return newest;
    }
    if listener.take().is_some() {
        count(ended);
        warn!("the bus ended; the tail looks by itself and listens again");
    }
    std::future::pending().await
}
