use std::time::Duration;

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    only: Option<String>,
    /// How often each row is measured.
    pub(crate) rounds: usize,
    /// How long each measurement of a rate takes.
    pub(crate) round: Duration,
    /// How many events are delivered to measure a delay.
    pub(crate) deliveries: usize,
    /// How many events are replayed.
    pub(crate) replayed: usize,
    /// How long a snapshot is held.
    pub(crate) snapshot: Duration,
}

impl Arguments {
    pub(crate) fn read() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let value = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name);
            at.and_then(|at| arguments.get(at + 1)).cloned()
        };
        let number = |name: &str, default: u64| {
            value(name).map_or(default, |number| number.parse().expect("a number"))
        };
        let is_test = arguments.iter().any(|argument| argument == "--test");
        let or = |default: u64, in_test: u64| if is_test { in_test } else { default };
        let count = |number: u64| usize::try_from(number).expect("a few");
        Self {
            only: value("--only"),
            rounds: count(number("--rounds", or(5, 1))),
            round: Duration::from_secs(number("--seconds", 3)) / if is_test { 60 } else { 1 },
            deliveries: count(number("--deliveries", or(2_000, 10))),
            replayed: count(number("--replayed", or(300_000, 2_000))),
            snapshot: Duration::from_mins(number("--snapshot-minutes", 1))
                / if is_test { 600 } else { 1 },
        }
    }

    /// Whether a part is measured: `append`, `deliver`, `replay` or `snapshot`.
    pub(crate) fn measures(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == part)
    }
}
