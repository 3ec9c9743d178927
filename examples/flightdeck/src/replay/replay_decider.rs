use std::sync::LazyLock;

use downlink::{Decider, Result, Schema, Tag};

use super::{DayIsOver, ReplayCommand, ReplayEvent, ReplayState};

/// The tags of all airports and airlines of the day. Events of the replay have all of them,
/// so that a page that follows one airport receives them.
pub(super) const ALL_TAGS: [&str; 17] = [
    "airport:EWR",
    "airport:JFK",
    "airport:LGA",
    "airline:9E",
    "airline:AA",
    "airline:AS",
    "airline:B6",
    "airline:DL",
    "airline:EV",
    "airline:F9",
    "airline:FL",
    "airline:HA",
    "airline:MQ",
    "airline:UA",
    "airline:US",
    "airline:VX",
    "airline:WN",
];

/// The schema of replay events. It skips invalid events, so that one of them cannot keep
/// the replay from starting.
pub(super) static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::new().ignoring_unknown().ignoring_unreadable());

/// The decider of the replay. Its rules are in [`ReplayState`].
#[derive(Clone, Copy, Debug)]
pub struct ReplayDecider;

impl Decider for ReplayDecider {
    type State = ReplayState;
    type Command = ReplayCommand;
    type Event = ReplayEvent;
    type Error = DayIsOver;

    fn initial(&self) -> ReplayState {
        ReplayState::default()
    }

    fn decide(
        &self,
        replay: &ReplayState,
        command: &ReplayCommand,
    ) -> Result<Vec<ReplayEvent>, DayIsOver> {
        replay.decide(*command)
    }

    fn evolve(&self, replay: ReplayState, event: &ReplayEvent) -> ReplayState {
        replay.after(event)
    }

    fn tags(&self, _: &ReplayState, _: &ReplayEvent) -> Result<Vec<Tag>> {
        ALL_TAGS.into_iter().map(Tag::new).collect()
    }

    fn schema(&self) -> &Schema {
        &SCHEMA
    }
}
