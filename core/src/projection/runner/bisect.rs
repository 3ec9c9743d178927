/// Finds the event that makes a batch fail: halves the batch until one event is
/// left. Parts that succeed on the way are applied.
#[derive(Debug, Default)]
pub(super) struct Bisect {
    /// This many of the remaining events, from the first, are known to fail
    /// together; 0 if nothing has failed.
    suspects: usize,
}

impl Bisect {
    /// How many of the `left` remaining events to try next.
    pub(super) fn next(&self, left: usize) -> usize {
        match self.suspects {
            0 => left,
            suspects => suspects.div_ceil(2),
        }
    }

    pub(super) fn applied(&mut self, tried: usize) {
        self.suspects = self.suspects.saturating_sub(tried);
    }

    /// Returns whether the failing event is known now: it is the first one.
    pub(super) fn failed(&mut self, tried: usize) -> bool {
        let was_alone = tried == 1;
        self.suspects = if was_alone { 0 } else { tried };
        was_alone
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_every_failing_event_in_few_tries(failing in prop::collection::vec(any::<bool>(), 1..300)) {
            let (mut bisect, mut place, mut found, mut tries) = (Bisect::default(), 0, vec![], 0);
            while place < failing.len() {
                let tried = bisect.next(failing.len() - place);
                prop_assert!(tried >= 1 && place + tried <= failing.len());
                tries += 1;
                if !failing[place..place + tried].contains(&true) {
                    bisect.applied(tried);
                    place += tried;
                } else if bisect.failed(tried) {
                    found.push(place);
                    place += 1;
                }
            }
            let wanted: Vec<_> = (0..failing.len()).filter(|index| failing[*index]).collect();
            prop_assert!(tries <= 1 + 12 * wanted.len());
            prop_assert_eq!(found, wanted);
        }
    }
}
