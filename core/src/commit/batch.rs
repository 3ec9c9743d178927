use tokio::sync::oneshot;

use super::room::Ticket;
use super::scan::{self, Scan};
use super::unseen::Unseen;
use super::{Driver, Group, LogHead, Plan};
use crate::error::{Error, ErrorKind, Result};
use crate::event::Timestamp;
use crate::store::{Append, Appended, Check};

/// An append on its way through the writer.
pub(super) struct Pending {
    pub(super) append: Append,
    /// What readers have found of each of its boundaries.
    pub(super) scans: Vec<Scan>,
    pub(super) answer: Answer,
}

/// Where the outcome of an append goes.
pub(super) struct Answer {
    ticket: Ticket,
    reply: oneshot::Sender<Result<Appended>>,
    /// Whether a commit of it ended without a certain outcome.
    may_be_stored: bool,
}

impl Pending {
    pub(super) fn new(
        append: Append,
        scans: Vec<Scan>,
        ticket: Ticket,
    ) -> (Self, oneshot::Receiver<Result<Appended>>) {
        let (reply, answered) = oneshot::channel();
        let answer = Answer { ticket, reply, may_be_stored: false };
        (Self { append, scans, answer }, answered)
    }
}

impl Answer {
    /// Tells the outcome of a transaction that was committed.
    fn decided(self, outcome: Result<Appended>) {
        let Self { may_be_stored, .. } = self;
        // What an earlier commit of this very call has stored is no repetition.
        self.send(outcome.map(|appended| Appended {
            duplicate: appended.duplicate && !may_be_stored,
            ..appended
        }));
    }

    /// Tells that its transaction failed.
    pub(super) fn failed(self, error: &Error) {
        let error = if self.may_be_stored { unknown(error) } else { error.clone() };
        self.send(Err(error));
    }

    fn send(self, outcome: Result<Appended>) {
        let Self { ticket, reply, .. } = self;
        // The place in the queue is free before its owner can ask for the next.
        drop(ticket);
        // The caller may have stopped waiting.
        let _ = reply.send(outcome);
    }
}

fn unknown(error: &Error) -> Error {
    let message =
        "whether the append was stored could not be found out: repeat it with the same event ids";
    Error::with_source(ErrorKind::OutcomeUnknown, message, error.clone())
}

/// Appends that are decided together, and who waits for them.
pub(super) struct Batch {
    pub(super) group: Group,
    /// One for each boundary of the group, in order.
    pub(super) scans: Vec<Scan>,
    pub(super) answers: Vec<Answer>,
}

impl Batch {
    pub(super) fn of(pending: Vec<Pending>) -> Self {
        let (mut appends, mut scans, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for Pending { append, scans: found, answer } in pending {
            scans.extend(scans_of(&append, found));
            appends.push(append);
            answers.push(answer);
        }
        Self { group: Group::new(appends), scans, answers }
    }

    pub(super) fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether a commit of one of them ended without a certain outcome before.
    pub(super) fn was_uncertain(&self) -> bool {
        self.answers.iter().any(|answer| answer.may_be_stored)
    }

    pub(super) fn answer(self, plan: Plan) {
        for (answer, outcome) in self.answers.into_iter().zip(plan.outcomes) {
            answer.decided(outcome);
        }
    }

    pub(super) fn fail(self, error: &Error) {
        for answer in self.answers {
            answer.failed(error);
        }
    }

    /// The appends again, for another transaction.
    pub(super) fn into_pending(self) -> Vec<Pending> {
        let appends = self.group.into_appends().into_iter();
        appends
            .zip(self.answers)
            .map(|(append, answer)| Pending { append, scans: Vec::new(), answer })
            .collect()
    }

    /// The appends again, after a commit without a certain outcome. Those that
    /// could not be settled a second time are answered.
    pub(super) fn unsettled(self, plan: &Plan, error: &Error) -> Vec<Pending> {
        let mut left = Vec::with_capacity(self.len());
        for (mut pending, outcome) in self.into_pending().into_iter().zip(&plan.outcomes) {
            let needs_the_commit = outcome.as_ref().is_ok_and(|appended| !appended.duplicate);
            if needs_the_commit && pending.answer.may_be_stored {
                pending.answer.failed(error);
                continue;
            }
            pending.answer.may_be_stored |= needs_the_commit;
            left.push(pending);
        }
        left
    }
}

/// One scan for each boundary, in their order.
fn scans_of(append: &Append, found: Vec<Scan>) -> impl Iterator<Item = Scan> {
    let boundaries =
        append.checks.iter().filter(|check| matches!(check, Check::NothingAfter(..))).count();
    found.into_iter().chain(std::iter::repeat(Scan::NotYet)).take(boundaries)
}

/// Decides a group inside the open transaction and inserts what won, so that the
/// next one finds it like everything else. A boundary without a scan was not
/// looked at yet. `unseen` is what the driver does not show of the transaction.
pub(super) async fn decide_and_insert<D: Driver>(
    driver: &mut D,
    group: &Group,
    scans: &[Scan],
    head: LogHead,
    unseen: Unseen<'_>,
) -> Result<Plan> {
    let needs = group.needs();
    let mut facts = driver.facts(&needs).await?;
    unseen.add_to(&mut facts);
    let scans = scans.iter().copied().chain(std::iter::repeat(Scan::NotYet));
    for (boundary, scan) in needs.boundaries.iter().zip(scans) {
        let fact = match unseen.answer(boundary) {
            Some(fact) => fact,
            None => unseen.after(scan::answer(driver, boundary, scan).await?, boundary),
        };
        facts.boundaries.push(fact);
    }
    let plan = group.decide(&facts, head, Timestamp::now());
    if !plan.rows.is_empty() {
        driver.insert(&plan).await?;
    }
    Ok(plan)
}
