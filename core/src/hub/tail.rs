use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, error, warn};

use super::hub_stats::count;
use super::shared::Shared;
use crate::backoff::Backoff;
use crate::bus::{Bus, Hint, Listener};
use crate::commit::{CommitNotice, Commits};
use crate::error::Result;
use crate::store::Read;
use crate::supervise::{logged, unwound};

/// The most hints that are taken together. Without a limit, an endless burst of
/// hints would keep the tail from reading.
const HINTS_AT_ONCE: usize = 1_024;

/// The most commits that are announced together: far fewer than the ring holds.
const NOTICES_AT_ONCE: usize = 64;

/// Follows the log once for all subscriptions. Only this task writes to the
/// ring.
///
/// Commits of this process are reported by the store's writer and added to the
/// ring if they follow the tip exactly. For everything else the tail reads the
/// log: if a notice does not fit, if the bus hints at a position above the tip,
/// and at every poll, which also verifies the tip.
///
/// A wake-up is consumed before the read, so that a later commit causes another
/// wake-up: catching up and live delivery are the same loop.
pub(super) async fn run(shared: Arc<Shared>, bus: Arc<dyn Bus>, commits: Option<Commits>) {
    let backoff = Backoff::up_to(shared.tuning.poll_interval);
    let mut tail = Tail {
        shared: Arc::clone(&shared),
        bus,
        commits,
        listener: BusListener::Closed,
        retry: None,
        backoff,
    };
    let stop = shared.stop.clone();
    while let Err(panic) = unwound(stop.run_until_cancelled(tail.follow())).await {
        shared.counters.failed_read();
        logged(|| error!(error = %panic, "the store panicked while the tail read it; retrying"));
        tail.listener = BusListener::Closed;
        tail.back_off();
        stop.run_until_cancelled(sleep(tail.pause())).await;
    }
    // Wakes waiting subscriptions, so that they end.
    shared.fan_out.stop();
    tail.drain_commits().await;
    shared.hints_complete.cancel();
}

struct Tail {
    shared: Arc<Shared>,
    bus: Arc<dyn Bus>,
    /// The commits that the store's writer reports; `None` if it does not
    /// report them or is closed.
    commits: Option<Commits>,
    listener: BusListener,
    /// The pause before the next attempt, after a failure.
    retry: Option<Duration>,
    backoff: Backoff,
}

/// The connection to the bus, for hints from other processes. Local delivery
/// never waits for it.
enum BusListener {
    /// Opened with the next poll, so that a bus that ends immediately is not
    /// called in a tight loop.
    Closed,
    Opening(BoxFuture<'static, Result<Listener>>),
    Open(Listener),
}

impl Tail {
    async fn follow(&mut self) {
        loop {
            self.listen();
            // Whatever an attempt that panicked has left.
            self.shared.announce();
            match self.catch_up().await {
                Ok(()) => self.read_succeeded(),
                Err(error) if error.is_other_history() => self.follow_new_log().await,
                Err(error) => {
                    self.shared.counters.failed_read();
                    logged(|| warn!(%error, "the tail could not read the log; retrying"));
                    self.back_off();
                }
            }
            self.wait().await;
        }
    }

    fn listen(&mut self) {
        if matches!(self.listener, BusListener::Closed) {
            let (bus, deadline) = (Arc::clone(&self.bus), self.shared.tuning.publish_deadline);
            let listening = async move {
                tokio::time::timeout(deadline, bus.listen()).await.unwrap_or_else(|_| {
                    Err(crate::Error::new(
                        crate::ErrorKind::Unavailable,
                        format!("the bus did not start listening within {deadline:?}"),
                    ))
                })
            };
            // A panic of the bus ends only this listener, not the tail.
            let listening = unwound(listening).map(Result::flatten);
            self.listener = BusListener::Opening(listening.boxed());
        }
        // Most buses start listening immediately: then this happens before the read.
        if let BusListener::Opening(listening) = &mut self.listener
            && let Some(outcome) = listening.now_or_never()
        {
            self.listening_started(outcome);
        }
    }

    fn listening_started(&mut self, outcome: Result<Listener>) {
        self.listener = match outcome {
            Ok(hints) => BusListener::Open(hints),
            Err(error) => {
                count(&self.shared.counters.failed_listens);
                logged(
                    || warn!(%error, "could not listen to the bus; the tail polls the log instead"),
                );
                BusListener::Closed
            }
        };
    }

    async fn catch_up(&mut self) -> Result<()> {
        loop {
            count(&self.shared.counters.tail_reads);
            let read = Read::log().with_after(self.shared.tip()).live();
            let page = self.shared.store.read_log(read).await?;
            if !page.events.is_empty() {
                self.shared.extend(page.events);
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    /// After the log was replaced: notifies every subscription, and follows the
    /// new log from its end.
    async fn follow_new_log(&mut self) {
        match self.shared.store.head().await {
            Ok(head) => {
                count(&self.shared.counters.changed_histories);
                logged(|| error!(tip = %self.shared.tip(), %head, "the log was replaced"));
                self.shared.start_again(head);
                self.read_succeeded();
            }
            Err(error) => {
                self.shared.counters.failed_read();
                logged(
                    || warn!(%error, "the log was replaced, and the new one could not be read; retrying"),
                );
                self.back_off();
            }
        }
    }

    fn read_succeeded(&mut self) {
        self.retry = None;
        self.backoff.reset();
        self.shared.counters.tail_fails.store(false, Ordering::Relaxed);
    }

    fn back_off(&mut self) {
        self.retry = Some(self.backoff.pause());
    }

    fn pause(&self) -> Duration {
        self.retry.unwrap_or(self.shared.tuning.poll_interval)
    }

    /// Takes the commits that the store reports, until the log has to be read.
    async fn wait(&mut self) {
        let pause = self.pause();
        // Runs even if commits arrive all the time: the poll verifies the tip.
        let mut poll = pin!(sleep_until(Instant::now() + pause));
        loop {
            let notice = next_notice(&mut self.commits);
            tokio::select! {
                notice = notice => {
                    if !self.take_notices(notice) {
                        return;
                    }
                }
                event = self.listener.next() => {
                    if self.on_bus_event(event) {
                        return;
                    }
                }
                () = self.shared.wake_tail.notified() => return,
                () = &mut poll => return,
            }
        }
    }

    /// Adds commits to the ring. Returns `false` if the log has to be read for
    /// some of them.
    fn take_notices(&mut self, first: Option<CommitNotice>) -> bool {
        let Some(mut notice) = first else {
            debug!("the store was closed");
            self.commits = None;
            return false;
        };
        let mut fits = true;
        for taken in 1.. {
            fits &= self.take_notice(notice);
            let next = self.commits.as_mut().and_then(Commits::try_next);
            if next.is_none() || taken % NOTICES_AT_ONCE == 0 {
                self.shared.announce();
            }
            let Some(next) = next else { break };
            notice = next;
        }
        fits
    }

    fn take_notice(&self, notice: CommitNotice) -> bool {
        match notice {
            CommitNotice::Committed(commit) => {
                if let Some(last) = commit.events.last() {
                    self.shared.pending_hint.stored(last.position());
                }
                self.shared.add_commit(&commit)
            }
            CommitNotice::Hint => {
                self.shared.pending_hint.anything();
                false
            }
        }
    }

    /// Handles an event of the bus. Returns whether the log has to be read.
    fn on_bus_event(&mut self, event: BusEvent) -> bool {
        match event {
            BusEvent::Started(outcome) => {
                self.listening_started(outcome);
                // Hints that were published before this were missed.
                matches!(self.listener, BusListener::Open(_))
            }
            BusEvent::Hint(hint) => {
                self.shared.hints.send_replace(());
                // The store may already have reported what the hint is about.
                if let Some(notice) = self.commits.as_mut().and_then(Commits::try_next)
                    && !self.take_notices(Some(notice))
                {
                    return true;
                }
                debug!(?hint, "woken by the bus");
                hint.claimed_position().is_none_or(|at| at > self.shared.tip().position())
            }
            BusEvent::Ended => {
                count(&self.shared.counters.failed_listens);
                logged(|| warn!("the bus ended; the tail polls the log and listens again"));
                self.listener = BusListener::Closed;
                false
            }
        }
    }

    /// After the stop: adds the hints for what the appends in progress still
    /// store.
    async fn drain_commits(&mut self) {
        self.shared.appends.close();
        let appends = self.shared.appends.clone();
        let mut answered = pin!(appends.wait());
        loop {
            tokio::select! {
                biased;
                notice = next_notice(&mut self.commits) => match notice {
                    Some(notice) => drop(self.take_notice(notice)),
                    None => self.commits = None,
                },
                () = &mut answered => break,
            }
        }
        // Notices that arrived just before the last append ended.
        while let Some(notice) = self.commits.as_mut().and_then(Commits::try_next) {
            self.take_notice(notice);
        }
    }
}

async fn next_notice(commits: &mut Option<Commits>) -> Option<CommitNotice> {
    match commits {
        Some(commits) => commits.next().await,
        None => std::future::pending().await,
    }
}

/// An event of the connection to the bus.
enum BusEvent {
    Started(Result<Listener>),
    Hint(Hint),
    Ended,
}

impl BusListener {
    /// Waits for the next event. Hints that are waiting are merged into one.
    async fn next(&mut self) -> BusEvent {
        match self {
            Self::Closed => std::future::pending().await,
            Self::Opening(listening) => BusEvent::Started(listening.await),
            Self::Open(hints) => {
                let event = unwound(async { Some(newest(hints.next().await?, hints)) }).await;
                event.ok().flatten().map_or(BusEvent::Ended, BusEvent::Hint)
            }
        }
    }
}

fn newest(mut newest: Hint, hints: &mut Listener) -> Hint {
    for _ in 0..HINTS_AT_ONCE {
        match hints.next().now_or_never() {
            Some(Some(hint)) => newest = later(newest, hint),
            Some(None) | None => break,
        }
    }
    newest
}

/// Merges two hints: the result causes a read if either of them would.
fn later(one: Hint, other: Hint) -> Hint {
    match (one.claimed_position(), other.claimed_position()) {
        (Some(one), Some(other)) => Hint::at(one.max(other)),
        _ => Hint::anything(),
    }
}
