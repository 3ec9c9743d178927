use tokio::sync::oneshot;

use super::hidden_rows::HiddenRows;
use super::queue_limit::QueuePermit;
use super::scan::{self, Scan};
use super::{Group, LogHead, OpenTransaction, Plan};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Timestamp;
use crate::store::{Append, Appended, Check};

/// An append that waits for the writer or is being committed.
pub(super) struct PendingAppend {
    pub(super) append: Append,
    /// The result of scanning each of its boundaries before it was queued.
    pub(super) scans: Vec<Scan>,
    pub(super) answer: Answer,
}

/// Sends the outcome of an append to its caller.
pub(super) struct Answer {
    permit: QueuePermit,
    reply: oneshot::Sender<Result<Appended>>,
    /// Whether an earlier commit of this append had an unknown outcome.
    may_be_stored: bool,
}

impl PendingAppend {
    pub(super) fn new(
        append: Append,
        scans: Vec<Scan>,
        permit: QueuePermit,
    ) -> (Self, oneshot::Receiver<Result<Appended>>) {
        let (reply, answered) = oneshot::channel();
        let answer = Answer { permit, reply, may_be_stored: false };
        (Self { append, scans, answer }, answered)
    }
}

impl Answer {
    /// Sends the outcome of a committed transaction.
    fn send_committed(self, outcome: Result<Appended>) {
        let Self { may_be_stored, .. } = self;
        // Events that an earlier commit of this same call has stored are not a repetition.
        self.send(outcome.map(|appended| Appended {
            duplicate: appended.duplicate && !may_be_stored,
            ..appended
        }));
    }

    /// Sends the error of a failed transaction.
    pub(super) fn send_failed(self, error: &Error) {
        let error = if self.may_be_stored { unknown(error) } else { error.clone() };
        self.send(Err(error));
    }

    fn send(self, outcome: Result<Appended>) {
        let Self { permit, reply, .. } = self;
        // The permit is returned before the caller can make its next call.
        drop(permit);
        // The caller may have stopped waiting.
        let _ = reply.send(outcome);
    }
}

fn unknown(error: &Error) -> Error {
    let message = "it is unknown whether the append was stored: repeat it with the same event ids";
    Error::with_source(ErrorKind::OutcomeUnknown, message, error.clone())
}

/// Appends that are decided together, with their callers.
pub(super) struct Batch {
    pub(super) group: Group,
    /// One scan for each boundary of the group, in order.
    pub(super) scans: Vec<Scan>,
    pub(super) answers: Vec<Answer>,
}

impl Batch {
    pub(super) fn of(pending: Vec<PendingAppend>) -> Self {
        let (mut appends, mut scans, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for PendingAppend { append, scans: found, answer } in pending {
            scans.extend(scans_of(&append, found));
            appends.push(append);
            answers.push(answer);
        }
        Self { group: Group::new(appends), scans, answers }
    }

    pub(super) fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether an earlier commit of any of these appends had an unknown
    /// outcome.
    pub(super) fn was_uncertain(&self) -> bool {
        self.answers.iter().any(|answer| answer.may_be_stored)
    }

    pub(super) fn answer(self, plan: Plan) {
        for (answer, outcome) in self.answers.into_iter().zip(plan.outcomes) {
            answer.send_committed(outcome);
        }
    }

    pub(super) fn fail(self, error: &Error) {
        for answer in self.answers {
            answer.send_failed(error);
        }
    }

    /// Takes the appends back for another transaction.
    pub(super) fn into_pending(self) -> Vec<PendingAppend> {
        let appends = self.group.into_appends().into_iter();
        appends
            .zip(self.answers)
            .map(|(append, answer)| PendingAppend { append, scans: Vec::new(), answer })
            .collect()
    }

    /// Takes the appends back after a commit with an unknown outcome. Those
    /// whose outcome is unknown for the second time get the error.
    pub(super) fn into_unresolved(self, plan: &Plan, error: &Error) -> Vec<PendingAppend> {
        let mut left = Vec::with_capacity(self.len());
        for (mut pending, outcome) in self.into_pending().into_iter().zip(&plan.outcomes) {
            let needs_the_commit = outcome.as_ref().is_ok_and(|appended| !appended.duplicate);
            if needs_the_commit && pending.answer.may_be_stored {
                pending.answer.send_failed(error);
                continue;
            }
            pending.answer.may_be_stored |= needs_the_commit;
            left.push(pending);
        }
        left
    }
}

/// One scan for each boundary, in order.
fn scans_of(append: &Append, found: Vec<Scan>) -> impl Iterator<Item = Scan> {
    let boundaries =
        append.checks.iter().filter(|check| matches!(check, Check::NothingAfter(..))).count();
    found.into_iter().chain(std::iter::repeat(Scan::NotYet)).take(boundaries)
}

/// Decides a group inside the open transaction and inserts the rows of the
/// appends that succeed, so that the next group finds them. A boundary without
/// a scan was not scanned before. `hidden` are the rows of the transaction that
/// the driver does not show yet.
pub(super) async fn decide_and_insert<T: OpenTransaction>(
    tx: &mut T,
    group: &Group,
    scans: &[Scan],
    head: LogHead,
    hidden: HiddenRows<'_>,
) -> Result<Plan> {
    let needs = group.needs();
    let mut facts = tx.facts(&needs).await?;
    hidden.add_to(&mut facts);
    let scans = scans.iter().copied().chain(std::iter::repeat(Scan::NotYet));
    for (boundary, scan) in needs.boundaries.iter().zip(scans) {
        let fact = match hidden.fact(boundary) {
            Some(fact) => fact,
            None => hidden.complete(scan::answer(tx, boundary, scan).await?, boundary),
        };
        facts.boundaries.push(fact);
    }
    let plan = group.decide(&facts, head, Timestamp::now());
    if !plan.rows.is_empty() {
        tx.insert(&plan).await?;
    }
    Ok(plan)
}
