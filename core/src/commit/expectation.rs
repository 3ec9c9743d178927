/// For how many groups callers are not waited for after most of them did not come back.
const AFTER_A_VAIN_WAIT: u32 = 16;

/// How many appends the next transaction is likely to have.
///
/// Callers that were answered are likely to append again soon, and meanwhile others wait. A transaction that
/// begins with those alone has half of all callers, and the other half the next one: two groups that take turns,
/// for ever, at twice the cost. So a transaction waits for both, briefly, as long as that is not in vain. Callers
/// that never wait while others are answered, as one alone, are not waited for.
#[derive(Debug, Default)]
pub(super) struct Expectation {
    /// How many appends the last transaction had.
    last: usize,
    /// How many waited when those were answered.
    waiting: usize,
    /// Whether the transaction has waited as long as it may.
    is_late: bool,
    quiet_for: u32,
}

impl Expectation {
    /// How many appends are worth waiting for.
    pub(super) fn appends(&self) -> usize {
        if self.quiet_for > 0 { self.last } else { self.last + self.waiting }
    }

    /// Notes that a transaction has waited as long as it may.
    pub(super) fn has_waited_in_full(&mut self) {
        self.is_late = true;
    }

    /// Notes how many appends a transaction has got.
    pub(super) fn got(&mut self, appends: usize) {
        let has_waited = self.is_late && self.waiting > 0 && self.quiet_for == 0;
        self.quiet_for = self.quiet_for.saturating_sub(1);
        if has_waited && 2 * appends.saturating_sub(self.waiting) < self.last {
            self.quiet_for = AFTER_A_VAIN_WAIT;
        }
        (self.last, self.waiting, self.is_late) = (appends, 0, false);
    }

    /// Notes how many appends wait while those of the last transaction are answered.
    pub(super) fn answered(&mut self, waiting: usize) {
        self.waiting = waiting;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(expectation: &mut Expectation, appends: usize, waiting: usize) -> usize {
        if appends < expectation.appends() {
            expectation.has_waited_in_full();
        }
        expectation.got(appends);
        expectation.answered(waiting);
        expectation.appends()
    }

    #[test]
    fn who_was_answered_and_who_waits_are_expected_together() {
        let mut expectation = Expectation::default();
        assert_eq!(group(&mut expectation, 32, 32), 64);
        assert_eq!(group(&mut expectation, 64, 0), 64);
        assert_eq!(group(&mut expectation, 64, 0), 64);
    }

    #[test]
    fn a_lone_caller_is_expected_alone() {
        assert_eq!(group(&mut Expectation::default(), 1, 0), 1);
    }

    #[test]
    fn callers_that_do_not_come_back_are_not_waited_for_for_a_while() {
        let mut expectation = Expectation::default();
        assert_eq!(group(&mut expectation, 32, 32), 64);
        for _ in 0..AFTER_A_VAIN_WAIT {
            assert_eq!(group(&mut expectation, 32, 32), 32);
        }
        assert_eq!(group(&mut expectation, 32, 32), 64);
        assert_eq!(group(&mut expectation, 48, 16), 64, "half of them came back");
    }

    #[test]
    fn a_wait_that_ended_early_was_not_in_vain() {
        let mut expectation = Expectation::default();
        assert_eq!(group(&mut expectation, 32, 32), 64);
        expectation.got(32);
        expectation.answered(32);
        assert_eq!(expectation.appends(), 64);
    }
}
