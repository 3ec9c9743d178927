use std::sync::LazyLock;

use downlink::{Decider, Result, Schema, Tag};

use super::{DayIsOver, ReplayCommand, ReplayEvent, ReplayState};

/// The airports and airlines of the day: everything that happens to the replay
/// concerns all of them, so a page that follows one still hears of it.
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

/// How the events of the replay are read. One that cannot be read costs a wish for
/// the clock, and a replay that would not start any more costs the day.
pub(super) static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::new().ignoring_unknown().ignoring_unreadable());

/// The rules of the replay, as Downlink's executor wants them; the replay
/// itself decides.
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
