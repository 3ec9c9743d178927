use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use downlink::budget::ByteBudget;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::liveness::{LivenessLimits, Verdict};
use super::stats::{Counters, count};
use super::watched::{Judgement, Watched};

/// The longest time between two sweeps.
const LONGEST_INTERVAL: Duration = Duration::from_secs(5);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// While the byte budget refuses, a peer is stuck after this part of the time. Half of
/// five minutes is more than a reader of 1 KiB/s needs for the 122 KiB that Linux lets
/// become free, in a receive buffer that was set to 64 KiB, before it acknowledges more.
const UNDER_PRESSURE: u32 = 2;

/// How long the task of a connection that was closed may take to give its bytes
/// back, before another connection is closed.
const RELEASE_TIME: Duration = Duration::from_millis(50);

/// How many connections are asked about before other tasks get their turn.
const BATCH: usize = 128;

/// Closes connections whose peer is dead, stuck or silent. There is one for all
/// connections of a server, so that a connection needs no timer.
#[derive(Debug)]
pub(super) struct Sweeper {
    watched: Mutex<Vec<Weak<Watched>>>,
    limits: LivenessLimits,
    budget: ByteBudget,
    counters: Arc<Counters>,
}

/// A connection that could be closed to free memory.
struct Candidate {
    stuck_for: Duration,
    watched: Arc<Watched>,
}

impl Sweeper {
    pub(super) fn new(limits: LivenessLimits, budget: ByteBudget, counters: Arc<Counters>) -> Self {
        Self { watched: Mutex::default(), limits, budget, counters }
    }

    /// Watches a connection until it is dropped.
    pub(super) fn watch(&self, connection: &Arc<Watched>) {
        let mut watched = self.watched();
        if watched.len() == watched.capacity() {
            watched.retain(|connection| connection.strong_count() > 0);
            // At least doubled, so that this is done rarely.
            let len = watched.len();
            watched.reserve(len + 1);
        }
        watched.push(Arc::downgrade(connection));
    }

    /// Ends every connection at once.
    pub(super) fn abort_all(&self) {
        for watched in self.all().iter().filter_map(Weak::upgrade) {
            watched.pronounce(Verdict::Aborted);
        }
    }

    /// Sweeps without end.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn run(&self) {
        let mut ticks = interval(self.interval());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => drop(self.sweep().await),
                () = self.budget.refused() => self.relieve().await,
            }
        }
    }

    /// Often enough for every limit to be exceeded by a quarter at most.
    fn interval(&self) -> Duration {
        let LivenessLimits { dead, stuck, head, keep_alive } = self.limits;
        let shortest = dead.min(stuck / UNDER_PRESSURE).min(head).min(keep_alive);
        (shortest / 4).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
    }

    /// Closes stuck connections, those first that are stuck for longest, until the
    /// budget has bytes again.
    async fn relieve(&self) {
        while let Some(Candidate { watched, stuck_for }) = self.sweep().await {
            if self.budget.used() <= self.budget.limit() / 8 * 7 {
                break;
            }
            tracing::debug!(
                ?stuck_for,
                "too many bytes are held: a connection that is stuck is closed"
            );
            let used = self.budget.used();
            if watched.pronounce(Verdict::Stuck) {
                count(&self.counters.stalled_writes);
            }
            drop(watched);
            sleep(RELEASE_TIME).await;
            if self.budget.used() >= used {
                // It is others who hold the bytes.
                break;
            }
        }
        // The budget may refuse very often.
        sleep(self.interval() / 10).await;
    }

    /// Judges every connection, and returns the one that is stuck for longest.
    async fn sweep(&self) -> Option<Candidate> {
        let all = self.all();
        let mut longest: Option<Candidate> = None;
        for batch in all.chunks(BATCH) {
            let now = Instant::now();
            for watched in batch.iter().filter_map(Weak::upgrade) {
                let Some(stuck_for) = self.judge(&watched, now) else { continue };
                let is_longest = longest.as_ref().is_none_or(|other| other.stuck_for < stuck_for);
                if stuck_for >= self.limits.stuck / UNDER_PRESSURE && is_longest {
                    longest = Some(Candidate { stuck_for, watched });
                }
            }
            tokio::task::yield_now().await;
        }
        longest
    }

    /// Returns how long the peer is stuck, unless the connection ends anyway.
    fn judge(&self, watched: &Watched, now: Instant) -> Option<Duration> {
        let Judgement { verdict, stuck_for } = watched.judge(&self.limits, now)?;
        match verdict {
            None => return Some(stuck_for),
            Some(Verdict::Dead) => count(&self.counters.dead_peers),
            Some(Verdict::Stuck) => count(&self.counters.stalled_writes),
            Some(Verdict::HeadTimeout | Verdict::Idle | Verdict::Gone | Verdict::Aborted) => {}
        }
        None
    }

    fn all(&self) -> Vec<Weak<Watched>> {
        let mut watched = self.watched();
        watched.retain(|connection| connection.strong_count() > 0);
        watched.clone()
    }

    fn watched(&self) -> MutexGuard<'_, Vec<Weak<Watched>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
