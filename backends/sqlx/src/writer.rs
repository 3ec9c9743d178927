use std::iter::repeat;
use std::sync::Arc;
use std::time::Instant;

use downlink::commit::Plan;
use downlink::{Append, Appended, Error, ErrorKind, Result, Timestamp};
use downlink_sqlite_schema::{Pass, Remembered, Turnstile};
use sqlx::SqliteConnection;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::batch::{Batch, Batches};
use crate::connection::{Current, Place, Role, Slot};
use crate::names::Names;
use crate::own_transaction::{self, Ended, Work};
use crate::queue::{Exit, Next};
use crate::reader::closed;
use crate::transaction::{self, Failure, Memory};

/// The writer remembers the ends of this many streams, and at times of twice as
/// many.
const REMEMBERED_STREAMS: usize = 65_536;

/// How far the clock may be behind the log before somebody is told: a minute.
const CLOCK_TOLERANCE_MICROS: u64 = 60_000_000;

/// The one task that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    place: Arc<Place>,
    turnstile: Arc<Turnstile>,
    slot: Slot,
    memory: Memory,
    clock_was_behind: bool,
}

impl Writer {
    /// Opens the file, tells whether that went well, and serves the queue until
    /// it is closed and empty.
    pub(crate) async fn serve(
        place: Arc<Place>,
        mut queue: Exit,
        opened: oneshot::Sender<Result<()>>,
    ) {
        let (writer, result) = match Self::open(place).await {
            Ok(writer) => (Some(writer), Ok(())),
            Err(error) => (None, Err(error)),
        };
        // Whoever has stopped waiting for the store has dropped the queue, too.
        let _ = opened.send(result);
        let Some(mut writer) = writer else { return };
        while let Some(next) = queue.next().await {
            match next {
                Next::Appends(first) => writer.commit(Batches::of(first, &mut queue)).await,
                Next::Errand(errand) => errand(&mut writer).await,
            }
        }
        writer.slot.close().await;
    }

    async fn open(place: Arc<Place>) -> Result<Self> {
        let mut slot = Slot::new(Arc::clone(&place), Role::Writer);
        slot.create().await?;
        Ok(Self {
            turnstile: Arc::new(Turnstile::beside(place.path())?),
            place,
            slot,
            memory: Memory {
                remembered: Remembered::new(REMEMBERED_STREAMS),
                names: Names::default(),
            },
            clock_was_behind: false,
        })
    }

    async fn commit(&mut self, mut batches: Batches<'_>) {
        let outcome = self.attempt(&mut batches).await;
        let taken = batches.into_taken();
        let appends: usize = taken.iter().map(|batch| batch.answers.len()).sum();
        match outcome {
            Ok(plans) => answer_all(taken, plans),
            Err(Failure::Begin(error)) => fail_all(taken, &error),
            Err(Failure::Work(error)) if appends == 1 => fail_all(taken, &error),
            Err(Failure::Work(error)) => {
                tracing::warn!(%error, appends, "a group failed: trying each append alone");
                self.each_alone(taken, &[]).await;
            }
            Err(Failure::Commit(error, plans)) => {
                tracing::warn!(%error, appends, "a commit failed: finding out what was stored");
                self.each_alone(taken, &plans).await;
            }
        }
    }

    /// Runs batches in a transaction of their own.
    async fn attempt(&mut self, batches: &mut Batches<'_>) -> Result<Vec<Plan>, Failure> {
        let turn = self.turn().await.map_err(Failure::Begin)?;
        let connection = current(&mut self.slot, &mut self.memory).await.map_err(Failure::Begin)?;
        let result = transaction::run(connection, &mut self.memory, batches, &turn).await;
        match &result {
            Ok(plans) => self.watch_clock(plans),
            Err(Failure::Begin(error)) if error.kind() == ErrorKind::Busy => {}
            // A new connection is the one state that is known.
            Err(_) => self.slot.close().await,
        }
        result
    }

    /// Runs something else than appends in a transaction of its own, after
    /// those who came before, in other processes, too.
    pub(crate) async fn transact<T>(&mut self, work: Work<T>) -> Result<T> {
        let _turn = self.turn().await?;
        let connection = current(&mut self.slot, &mut self.memory).await?;
        let Ended { result, is_usable } =
            own_transaction::run(connection, self.place.guard(), work).await;
        if !is_usable {
            self.slot.close().await;
        }
        result
    }

    /// Waits until those who came before, in other processes, have written.
    async fn turn(&self) -> Result<Pass> {
        if let Some(turn) = self.turnstile.try_enter()? {
            return Ok(turn);
        }
        let patience = self.place.options().busy_deadline();
        let turnstile = Arc::clone(&self.turnstile);
        let waiting = spawn_blocking(move || turnstile.enter(Instant::now() + patience));
        waiting.await.map_err(|_| closed())??.ok_or_else(|| {
            let message = format!(
                "another process has been writing to {} for {patience:?}: see whether it hangs, or repeat later",
                self.place.path().display()
            );
            Error::new(ErrorKind::Busy, message)
        })
    }

    /// Runs each append again, alone, so that only the guilty one fails. Of
    /// those that may be stored already, by these plans, their ids tell.
    async fn each_alone(&mut self, taken: Vec<Batch>, plans: &[Plan]) {
        let mut may_be_stored =
            plans.iter().flat_map(|plan| &plan.outcomes).map(would_store).chain(repeat(false));
        for Batch { group, answers, .. } in taken {
            for (append, answer) in group.appends().iter().zip(answers) {
                let may_be_stored = may_be_stored.next().unwrap_or(false);
                answer.send(self.alone(append, may_be_stored).await);
            }
        }
    }

    async fn alone(&mut self, append: &Append, mut may_be_stored: bool) -> Result<Appended> {
        loop {
            match self.attempt(&mut Batches::alone(append.clone())).await {
                Ok(plans) => {
                    let mut outcomes = plans.into_iter().flat_map(|plan| plan.outcomes);
                    let outcome = outcomes.next().expect("one outcome for one append");
                    // What the commit that failed has stored is no repetition.
                    return outcome.map(|appended| Appended {
                        duplicate: appended.duplicate && !may_be_stored,
                        ..appended
                    });
                }
                Err(Failure::Begin(error) | Failure::Work(error)) if !may_be_stored => {
                    return Err(error);
                }
                Err(Failure::Commit(_, plans)) if !may_be_stored => {
                    may_be_stored = would_store(&plans[0].outcomes[0]);
                }
                Err(Failure::Begin(error) | Failure::Work(error) | Failure::Commit(error, _)) => {
                    return Err(unknown(error));
                }
            }
        }
    }

    fn watch_clock(&mut self, plans: &[Plan]) {
        let Some(plan) = plans.last() else { return };
        let now = Timestamp::now().as_micros();
        let behind = plan.head.recorded_at.as_micros().saturating_sub(now);
        let is_behind = behind > CLOCK_TOLERANCE_MICROS;
        if is_behind && !self.clock_was_behind {
            tracing::warn!(
                seconds = behind / 1_000_000,
                "the clock is behind the last event of the log"
            );
        }
        self.clock_was_behind = is_behind;
    }
}

/// The connection; nothing is remembered from another one.
async fn current<'a>(slot: &'a mut Slot, memory: &mut Memory) -> Result<&'a mut SqliteConnection> {
    let Current { connection, is_new } = slot.current().await?;
    if is_new {
        memory.remembered.forget();
        memory.names = Names::default();
    }
    Ok(connection)
}

fn unknown(error: Error) -> Error {
    let message =
        "whether the append was stored could not be found out: repeat it with the same event ids";
    Error::with_source(ErrorKind::OutcomeUnknown, message, error)
}

/// Whether this outcome needed the commit.
fn would_store(outcome: &Result<Appended>) -> bool {
    outcome.as_ref().is_ok_and(|appended| !appended.duplicate)
}

fn answer_all(taken: Vec<Batch>, plans: Vec<Plan>) {
    for (batch, plan) in taken.into_iter().zip(plans) {
        for (answer, outcome) in batch.answers.into_iter().zip(plan.outcomes) {
            answer.send(outcome);
        }
    }
}

fn fail_all(taken: Vec<Batch>, error: &Error) {
    for answer in taken.into_iter().flat_map(|batch| batch.answers) {
        answer.send(Err(error.clone()));
    }
}
