use std::sync::Arc;

use downlink::commit::{Group, Plan};
use downlink::{Append, Appended, Check, Error, ErrorKind, Result, Timestamp};
use downlink_sqlite_schema::Remembered;
use tokio::sync::oneshot;

use crate::connection::{Current, Place, Role, Slot};
use crate::names::Names;
use crate::queue::{Answer, Exit, Job, Scan};
use crate::transaction::{self, Failure, Memory};

/// The writer remembers the ends of this many streams, and at times of twice as
/// many.
const REMEMBERED_STREAMS: usize = 65_536;

/// How far the clock may be behind the log before somebody is told: a minute.
const CLOCK_TOLERANCE_MICROS: u64 = 60_000_000;

/// The one thread that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    slot: Slot,
    memory: Memory,
    clock_was_behind: bool,
}

impl Writer {
    pub(crate) fn new(place: Arc<Place>) -> Self {
        Self {
            slot: Slot::new(place, Role::Writer),
            memory: Memory {
                remembered: Remembered::new(REMEMBERED_STREAMS),
                names: Names::default(),
            },
            clock_was_behind: false,
        }
    }

    /// Opens the file, tells whether that went well, and serves the queue until
    /// it is closed and empty.
    pub(crate) fn serve(mut self, mut queue: Exit, opened: oneshot::Sender<Result<()>>) {
        let result = self.slot.create();
        let is_open = result.is_ok();
        // Whoever has stopped waiting for the store has dropped the queue, too.
        let _ = opened.send(result);
        while is_open && let Some(jobs) = queue.group() {
            self.commit(jobs);
        }
    }

    fn commit(&mut self, jobs: Vec<Job>) {
        let (mut appends, mut scans, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for Job { append, scans: found, answer } in jobs {
            scans.extend(scans_of(&append, found));
            appends.push(append);
            answers.push(answer);
        }
        let group = Group::new(appends);
        match self.attempt(&group, &scans) {
            Ok(plan) => answer_all(answers, plan.outcomes),
            Err(Failure::Begin(error)) => {
                let outcomes = answers.iter().map(|_| Err(error.clone())).collect();
                answer_all(answers, outcomes);
            }
            Err(Failure::Work(error)) if answers.len() == 1 => {
                answer_all(answers, vec![Err(error)]);
            }
            Err(Failure::Work(error)) => {
                tracing::warn!(%error, appends = answers.len(), "a group failed: trying each append alone");
                let stored = vec![false; answers.len()];
                self.each_alone(&group, answers, stored);
            }
            Err(Failure::Commit(error, plan)) => {
                tracing::warn!(%error, appends = answers.len(), "a commit failed: finding out what was stored");
                self.each_alone(&group, answers, plan.outcomes.iter().map(would_store).collect());
            }
        }
    }

    /// Runs a group in a transaction of its own.
    fn attempt(&mut self, group: &Group, scans: &[Scan]) -> Result<Plan, Failure> {
        let Current { connection, is_new } = self.slot.current().map_err(Failure::Begin)?;
        if is_new {
            self.memory.remembered.forget();
            self.memory.names = Names::default();
        }
        let result = transaction::run(connection, &mut self.memory, group, scans);
        match &result {
            Ok(plan) => self.watch_clock(plan),
            Err(Failure::Begin(error)) if error.kind() == ErrorKind::Busy => {}
            // A new connection is the one state that is known.
            Err(_) => self.slot.close(),
        }
        result
    }

    /// Runs each append of a group again, alone, so that only the guilty one
    /// fails. Of those that may be stored already their ids tell.
    fn each_alone(&mut self, group: &Group, answers: Vec<Answer>, may_be_stored: Vec<bool>) {
        for ((append, answer), may_be_stored) in
            group.appends().iter().zip(answers).zip(may_be_stored)
        {
            answer.send(self.alone(append, may_be_stored));
        }
    }

    fn alone(&mut self, append: &Append, may_be_stored: bool) -> Result<Appended> {
        let group = Group::new(vec![append.clone()]);
        match self.attempt(&group, &[]) {
            Ok(plan) => {
                let outcome = plan.outcomes.into_iter().next().expect("one outcome for one append");
                // What the commit that failed has stored is no repetition.
                outcome.map(|appended| Appended {
                    duplicate: appended.duplicate && !may_be_stored,
                    ..appended
                })
            }
            Err(Failure::Begin(error) | Failure::Work(error)) if !may_be_stored => Err(error),
            Err(Failure::Commit(_, plan)) if !may_be_stored => {
                self.alone(append, would_store(&plan.outcomes[0]))
            }
            Err(Failure::Begin(error) | Failure::Work(error) | Failure::Commit(error, _)) => {
                Err(Error::with_source(
                    ErrorKind::OutcomeUnknown,
                    "whether the append was stored could not be found out: repeat it with the same event ids",
                    error,
                ))
            }
        }
    }

    fn watch_clock(&mut self, plan: &Plan) {
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

/// One scan for each boundary, in their order.
fn scans_of(append: &Append, found: Vec<Scan>) -> impl Iterator<Item = Scan> {
    let boundaries =
        append.checks.iter().filter(|check| matches!(check, Check::NothingAfter(..))).count();
    found.into_iter().chain(std::iter::repeat(Scan::NotYet)).take(boundaries)
}

/// Whether this outcome needed the commit.
fn would_store(outcome: &Result<Appended>) -> bool {
    outcome.as_ref().is_ok_and(|appended| !appended.duplicate)
}

fn answer_all(answers: Vec<Answer>, outcomes: Vec<Result<Appended>>) {
    for (answer, outcome) in answers.into_iter().zip(outcomes) {
        answer.send(outcome);
    }
}
