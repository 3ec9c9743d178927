use std::fmt;

use super::{Failure, Outcome};

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    /// What is wrong; `None` if nothing is.
    pub wrong: Option<String>,
    /// Why the check was skipped, if it was.
    pub skipped: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.wrong, &self.skipped) {
            (Some(wrong), _) => write!(f, "FAILED   {}\n         {wrong}", self.check),
            (None, Some(why)) => write!(f, "skipped  {} ({why})", self.check),
            (None, None) => write!(f, "ok       {}", self.check),
        }
    }
}

/// The results of all checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report<F = ()> {
    /// The findings, in the order of the checks.
    pub findings: Vec<Finding>,
    on_finding: F,
}

impl<F: FnMut(&Finding)> Report<F> {
    pub(super) fn new(on_finding: F) -> Self {
        Self { findings: Vec::new(), on_finding }
    }

    pub(super) fn add(&mut self, check: &'static str, outcome: Outcome) {
        let (wrong, skipped) = match outcome {
            Ok(()) => (None, None),
            Err(Failure::Wrong(wrong)) => (Some(wrong), None),
            Err(Failure::Skipped(why)) => (None, Some(why)),
        };
        let finding = Finding { check, wrong, skipped };
        (self.on_finding)(&finding);
        self.findings.push(finding);
    }

    pub(super) fn finish(self) -> Report {
        Report { findings: self.findings, on_finding: () }
    }
}

impl Report {
    /// Whether something was checked and nothing failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.count(|finding| finding.wrong.is_some()) == 0 && self.checked() > 0
    }

    fn checked(&self) -> usize {
        self.count(|finding| finding.skipped.is_none())
    }

    fn count(&self, is: impl Fn(&Finding) -> bool) -> usize {
        self.findings.iter().filter(|finding| is(finding)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.count(|finding| finding.wrong.is_some());
        let skipped = self.count(|finding| finding.skipped.is_some());
        write!(f, "{} checked, {failed} failed, {skipped} skipped", self.checked())
    }
}
