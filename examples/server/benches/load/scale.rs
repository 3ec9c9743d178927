/// The sizes of the measurements of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) rounds: usize,
    /// The connections of most rows.
    pub(crate) connections: usize,
    pub(crate) burst_events: usize,
    /// The events of one append in a burst.
    pub(crate) burst_batch: usize,
    /// The events under light load in one round.
    pub(crate) light_events: usize,
    pub(crate) idle: usize,
    /// How long they are idle: longer than the interval of heartbeats, or not at all.
    pub(crate) idle_seconds: u64,
    /// The appends that one client waits for in one round.
    pub(crate) append_millis: u64,
    /// The length of a measurement with a steady rate.
    pub(crate) rate_seconds: usize,
    /// The subscribers with a filter of their own.
    pub(crate) subscribers: usize,
    pub(crate) replayed_events: usize,
    pub(crate) resuming_clients: usize,
    /// How far they are behind.
    pub(crate) resumed_events: usize,
}

impl Scale {
    pub(crate) const FULL: Self = Self {
        rounds: 7,
        connections: 1_000,
        burst_events: 2_000,
        burst_batch: 50,
        light_events: 100,
        idle: 1_000,
        idle_seconds: 16,
        append_millis: 1_000,
        rate_seconds: 5,
        subscribers: 10_000,
        replayed_events: 1_000_000,
        resuming_clients: 5_000,
        resumed_events: 10_000,
    };

    pub(crate) const QUICK: Self = Self {
        rounds: 3,
        burst_events: 1_000,
        light_events: 40,
        idle_seconds: 1,
        append_millis: 300,
        rate_seconds: 2,
        replayed_events: 100_000,
        resuming_clients: 500,
        ..Self::FULL
    };

    pub(crate) const TINY: Self = Self {
        rounds: 1,
        connections: 10,
        burst_events: 100,
        light_events: 5,
        idle: 10,
        idle_seconds: 0,
        append_millis: 50,
        rate_seconds: 1,
        subscribers: 100,
        replayed_events: 1_000,
        resuming_clients: 10,
        resumed_events: 1_000,
        ..Self::FULL
    };
}
