use downlink::commit::Group;
use downlink::{Append, Check};
use downlink_sqlite_schema::Pass;

use crate::queue::{Answer, Exit, Job, Scan};

/// Appends that are decided together, and who waits for them.
pub(crate) struct Batch {
    pub(crate) group: Group,
    /// One for each boundary of the group, in order.
    pub(crate) scans: Vec<Scan>,
    pub(crate) answers: Vec<Answer>,
}

impl Batch {
    pub(crate) fn of(jobs: Vec<Job>) -> Self {
        let (mut appends, mut scans, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for Job { append, scans: found, answer } in jobs {
            scans.extend(scans_of(&append, found));
            appends.push(append);
            answers.push(answer);
        }
        Self { group: Group::new(appends), scans, answers }
    }
}

/// One scan for each boundary, in their order.
fn scans_of(append: &Append, found: Vec<Scan>) -> impl Iterator<Item = Scan> {
    let boundaries =
        append.checks.iter().filter(|check| matches!(check, Check::NothingAfter(..))).count();
    found.into_iter().chain(std::iter::repeat(Scan::NotYet)).take(boundaries)
}

/// The batches of one transaction: the one it begins with, and what arrives
/// while it works on those before. So the time in which appenders make their
/// next append is not lost to the disk.
pub(crate) struct Batches<'a> {
    arriving: Option<&'a mut Exit>,
    taken: Vec<Batch>,
    /// How many of them the transaction has been given.
    given: usize,
}

impl<'a> Batches<'a> {
    /// These appends, and what comes while they are worked on.
    pub(crate) fn of(first: Vec<Job>, queue: &'a mut Exit) -> Self {
        Self { arriving: Some(queue), taken: vec![Batch::of(first)], given: 0 }
    }

    /// One append, and nothing that arrives.
    pub(crate) fn alone(append: Append) -> Self {
        let only =
            Batch { group: Group::new(vec![append]), scans: Vec::new(), answers: Vec::new() };
        Self { arriving: None, taken: vec![only], given: 0 }
    }

    /// The next batch for the transaction, until it should commit. Nobody
    /// joins it any more when somebody else waits for the turn.
    pub(crate) fn next(&mut self, turn: &Pass) -> Option<&Batch> {
        if self.given == self.taken.len() {
            let arriving = self.arriving.as_mut().filter(|_| !turn.is_wanted())?;
            self.taken.push(Batch::of(arriving.more()?));
        }
        self.given += 1;
        self.taken.last()
    }

    /// All that were taken from the queue, in order.
    pub(crate) fn into_taken(self) -> Vec<Batch> {
        self.taken
    }
}
