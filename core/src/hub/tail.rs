use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, error, warn};

use super::shared::Shared;
use super::stats::count;
use crate::backoff::Backoff;
use crate::bus::{Bus, Hint, Listener};
use crate::commit::{CommitNotice, Commits};
use crate::error::Result;
use crate::store::Read;
use crate::supervise::{logged, unwound};

/// Hints that are taken together. More than that, and a bus that never stops
/// would keep the tail from reading.
const HINTS_AT_ONCE: usize = 1_024;

/// Follows the log once for all subscribers, and alone writes to the ring.
///
/// What this process commits comes from the store's writer and goes into the
/// ring if it follows the tip exactly. For everything else the tail reads the
/// log: when a notice does not fit, when the bus hints at something above the
/// tip, and by its poll, which also verifies the tip.
///
/// Whatever wakes it is taken before it reads, so that what is committed later
/// wakes it again: catch-up and live are the same loop.
pub(super) async fn run(shared: Arc<Shared>, bus: Arc<dyn Bus>, commits: Option<Commits>) {
    let backoff = Backoff::up_to(shared.tuning.poll_interval);
    let mut tail =
        Tail { shared: Arc::clone(&shared), bus, commits, ear: Ear::Closed, retry: None, backoff };
    let stop = shared.stop.clone();
    while let Err(panic) = unwound(stop.run_until_cancelled(tail.follow())).await {
        shared.counters.failed_read();
        logged(|| error!(error = %panic, "a store panicked under the tail; it goes on"));
        tail.ear = Ear::Closed;
        tail.back_off();
        stop.run_until_cancelled(sleep(tail.pause())).await;
    }
    // Wakes the subscriptions that wait, for their end.
    shared.progress.send_modify(|progress| progress.stopped = true);
    tail.settle().await;
    shared.settled.cancel();
}

struct Tail {
    shared: Arc<Shared>,
    bus: Arc<dyn Bus>,
    /// What the store's writer tells, unless it does not tell or is closed.
    commits: Option<Commits>,
    ear: Ear,
    /// The pause before the next try, after a failure.
    retry: Option<Duration>,
    backoff: Backoff,
}

/// How the tail hears of other processes. Local delivery never waits for it.
enum Ear {
    /// Opened with the next poll, so that a bus that ends at once is not asked
    /// without a pause.
    Closed,
    Opening(BoxFuture<'static, Result<Listener>>),
    Open(Listener),
}

impl Tail {
    async fn follow(&mut self) {
        loop {
            self.listen();
            match self.catch_up().await {
                Ok(()) => self.has_read(),
                Err(error) if error.is_other_history() => self.begin_again().await,
                Err(error) => {
                    self.shared.counters.failed_read();
                    logged(|| warn!(%error, "the tail could not read the log; it tries again"));
                    self.back_off();
                }
            }
            self.wait().await;
        }
    }

    fn listen(&mut self) {
        if matches!(self.ear, Ear::Closed) {
            let (bus, deadline) = (Arc::clone(&self.bus), self.shared.tuning.publish_deadline);
            let listening = async move {
                tokio::time::timeout(deadline, bus.listen()).await.unwrap_or_else(|_| {
                    Err(crate::Error::new(
                        crate::ErrorKind::Unavailable,
                        format!("the bus did not answer within {deadline:?}"),
                    ))
                })
            };
            // A panic of the bus costs what it can be heard with, and not the log.
            let listening = unwound(listening).map(Result::flatten);
            self.ear = Ear::Opening(listening.boxed());
        }
        // Most buses can be listened to at once: then it is before the read.
        if let Ear::Opening(listening) = &mut self.ear
            && let Some(listened) = listening.now_or_never()
        {
            self.listened(listened);
        }
    }

    fn listened(&mut self, outcome: Result<Listener>) {
        self.ear = match outcome {
            Ok(hints) => Ear::Open(hints),
            Err(error) => {
                count(&self.shared.counters.failed_listens);
                logged(|| warn!(%error, "the bus cannot be listened to; the tail looks by itself"));
                Ear::Closed
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

    /// The log is another one: tells every subscription, and follows the new
    /// one from its end.
    async fn begin_again(&mut self) {
        match self.shared.store.head().await {
            Ok(head) => {
                count(&self.shared.counters.changed_histories);
                logged(
                    || error!(tip = %self.shared.tip(), %head, "the log was replaced by another one"),
                );
                self.shared.begin_again(head);
                self.has_read();
            }
            Err(error) => {
                self.shared.counters.failed_read();
                logged(|| warn!(%error, "the log was replaced and the new one cannot be read"));
                self.back_off();
            }
        }
    }

    fn has_read(&mut self) {
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

    /// Takes what the store tells, until the log has to be read.
    async fn wait(&mut self) {
        let pause = self.pause();
        // Also beside a log that never rests: the poll verifies the tip.
        let mut poll = pin!(sleep_until(Instant::now() + pause));
        loop {
            let notice = next_notice(&mut self.commits);
            tokio::select! {
                notice = notice => {
                    if !self.take_notices(notice) {
                        return;
                    }
                }
                heard = self.ear.hear() => {
                    if self.heard(heard) {
                        return;
                    }
                }
                () = self.shared.nudge.notified() => return,
                () = &mut poll => return,
            }
        }
    }

    /// Puts what was committed into the ring. `false` if the log has to be read
    /// for some of it.
    fn take_notices(&mut self, first: Option<CommitNotice>) -> bool {
        let Some(mut notice) = first else {
            debug!("the store was closed");
            self.commits = None;
            return false;
        };
        let mut fits = true;
        loop {
            fits &= self.take_notice(notice);
            let Some(next) = self.commits.as_mut().and_then(Commits::try_next) else {
                return fits;
            };
            notice = next;
        }
    }

    fn take_notice(&self, notice: CommitNotice) -> bool {
        match notice {
            CommitNotice::Committed(commit) => {
                if let Some(last) = commit.events.last() {
                    self.shared.announcement.stored(last.position());
                }
                self.shared.follow(&commit)
            }
            CommitNotice::Hint => {
                self.shared.announcement.anything();
                false
            }
        }
    }

    /// Whether the log has to be read for this.
    fn heard(&mut self, heard: Heard) -> bool {
        match heard {
            Heard::Listening(listened) => {
                self.listened(listened);
                // What was committed meanwhile was not heard of.
                matches!(self.ear, Ear::Open(_))
            }
            Heard::Hint(hint) => {
                // The store may have told already what the hint is about.
                while let Some(notice) = self.commits.as_mut().and_then(Commits::try_next) {
                    if !self.take_notice(notice) {
                        return true;
                    }
                }
                debug!(?hint, "woken by the bus");
                hint.claimed_position().is_none_or(|at| at > self.shared.tip().position())
            }
            Heard::End => {
                count(&self.shared.counters.failed_listens);
                logged(|| warn!("the bus ended; the tail looks by itself and listens again"));
                self.ear = Ear::Closed;
                false
            }
        }
    }

    /// After the stop: announces what appends under way still store.
    async fn settle(&mut self) {
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
        // What was told between the two looks.
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

/// What the tail hears from the bus.
enum Heard {
    Listening(Result<Listener>),
    Hint(Hint),
    End,
}

impl Ear {
    /// Takes every hint that waits, at least one.
    async fn hear(&mut self) -> Heard {
        match self {
            Self::Closed => std::future::pending().await,
            Self::Opening(listening) => Heard::Listening(listening.await),
            Self::Open(hints) => {
                let heard = unwound(async { Some(newest(hints.next().await?, hints)) }).await;
                heard.ok().flatten().map_or(Heard::End, Heard::Hint)
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

/// The one for which the log is read rather.
fn later(one: Hint, other: Hint) -> Hint {
    match (one.claimed_position(), other.claimed_position()) {
        (Some(one), Some(other)) => Hint::at(one.max(other)),
        _ => Hint::anything(),
    }
}
