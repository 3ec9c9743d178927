use std::time::Duration;

/// No pause before a reconnect is shorter, whatever a server asks for.
const SHORTEST: Duration = Duration::from_millis(100);

/// How long to wait before a reconnect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pauses {
    pub(super) from: Duration,
    pub(super) to: Duration,
    pub(super) longest: Duration,
}

/// What the server said about the next connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    /// A pause of this client's own.
    This(Duration),
    /// A pause that all clients were told.
    AtLeast(Duration),
}

impl Pauses {
    pub(super) fn next(&self, told: Told) -> Duration {
        let pause = match told {
            Told::Nothing => between(self.from, self.to),
            Told::This(pause) => pause,
            Told::AtLeast(pause) => between(pause, pause.saturating_mul(3) / 2),
        };
        let floor = SHORTEST.min(self.from).max(Duration::from_millis(1));
        pause.clamp(floor, self.longest.max(floor))
    }
}

fn between(from: Duration, to: Duration) -> Duration {
    if from < to { rand::random_range(from..=to) } else { from }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSES: Pauses = Pauses {
        from: Duration::from_secs(1),
        to: Duration::from_secs(10),
        longest: Duration::from_mins(1),
    };

    #[test]
    fn untold_pauses_are_spread_over_the_whole_range() {
        let drawn: Vec<_> = (0..1_000).map(|_| PAUSES.next(Told::Nothing)).collect();
        assert!(drawn.iter().all(|pause| (PAUSES.from..=PAUSES.to).contains(pause)));
        assert!(drawn.iter().any(|pause| *pause < Duration::from_secs(3)));
        assert!(drawn.iter().any(|pause| *pause > Duration::from_secs(8)));
    }

    #[test]
    fn no_answer_makes_it_loop_hot_or_sleep_for_ever() {
        for told in [Told::This(Duration::ZERO), Told::AtLeast(Duration::ZERO)] {
            assert_eq!(PAUSES.next(told), SHORTEST);
        }
        for told in [Told::This(Duration::MAX), Told::AtLeast(Duration::MAX)] {
            assert_eq!(PAUSES.next(told), PAUSES.longest);
        }
        let zero = Pauses { from: Duration::ZERO, to: Duration::ZERO, longest: Duration::ZERO };
        assert!(zero.next(Told::Nothing) > Duration::ZERO);
    }

    #[test]
    fn what_all_were_told_is_spread() {
        let drawn: Vec<_> =
            (0..100).map(|_| PAUSES.next(Told::AtLeast(Duration::from_secs(10)))).collect();
        assert!(drawn.iter().all(|pause| (10..=15).contains(&pause.as_secs())));
        assert!(drawn.iter().any(|pause| *pause != drawn[0]));
        let this = Duration::from_millis(1_234);
        assert_eq!(PAUSES.next(Told::This(this)), this);
    }
}
