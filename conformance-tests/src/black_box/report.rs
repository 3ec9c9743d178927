use std::fmt;

use super::{Outcome, Trouble};

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check, named as a fact.
    pub check: &'static str,
    /// `None` if the server keeps it.
    pub wrong: Option<String>,
    /// Why it was left out, if it was.
    pub left_out: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.wrong, &self.left_out) {
            (Some(wrong), _) => write!(f, "FAILED   {}\n         {wrong}", self.check),
            (None, Some(why)) => write!(f, "left out {} ({why})", self.check),
            (None, None) => write!(f, "ok       {}", self.check),
        }
    }
}

/// What all checks found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report<F = ()> {
    /// In the order in which they were made.
    pub findings: Vec<Finding>,
    told: F,
}

impl<F: FnMut(&Finding)> Report<F> {
    pub(super) fn new(told: F) -> Self {
        Self { findings: Vec::new(), told }
    }

    pub(super) fn add(&mut self, check: &'static str, outcome: Outcome) {
        let (wrong, left_out) = match outcome {
            Ok(()) => (None, None),
            Err(Trouble::Wrong(wrong)) => (Some(wrong), None),
            Err(Trouble::Absent(why)) => (None, Some(why)),
        };
        let finding = Finding { check, wrong, left_out };
        (self.told)(&finding);
        self.findings.push(finding);
    }

    pub(super) fn finish(self) -> Report {
        Report { findings: self.findings, told: () }
    }
}

impl Report {
    /// Whether nothing was wrong, and something was checked.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.count(|finding| finding.wrong.is_some()) == 0 && self.checked() > 0
    }

    fn checked(&self) -> usize {
        self.count(|finding| finding.left_out.is_none())
    }

    fn count(&self, is: impl Fn(&Finding) -> bool) -> usize {
        self.findings.iter().filter(|finding| is(finding)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.count(|finding| finding.wrong.is_some());
        let left_out = self.count(|finding| finding.left_out.is_some());
        write!(f, "{} checked, {failed} failed, {left_out} left out", self.checked())
    }
}
