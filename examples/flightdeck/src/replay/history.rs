use std::collections::HashMap;

use downlink::decider::CommandId;
use downlink::{Event, EventId, Hub, Read, Result};
use futures::TryStreamExt;

use super::REPLAY;
use crate::day::OPENING;
use crate::flight::ClockTime;
use crate::flight::{FlightEvent, FlightId, LENIENT_SCHEMA};

/// How many of the newest events are searched for a flight's event.
const NEWEST: usize = 64;

/// The state of the replay before this start: its clock, and the executed commands.
#[derive(Debug)]
pub(super) struct History {
    clock: ClockTime,
    done: HashMap<EventId, ClockTime>,
}

impl History {
    /// Reads the whole log. A day has a few thousand events.
    pub(super) async fn read(hub: &Hub) -> Result<Self> {
        let empty = Self { clock: OPENING, done: HashMap::new() };
        hub.log_events(Read::log())
            .try_fold(empty, async |history, event| history.after(&event))
            .await
    }

    fn after(mut self, event: &Event) -> Result<Self> {
        if event.stream().as_str() == REPLAY {
            return Ok(self);
        }
        if let Some(event_of_flight) = LENIENT_SCHEMA.decode::<FlightEvent>(event)? {
            let at = event_of_flight.at();
            self.clock = self.clock.max(at);
            self.done.insert(event.id(), at);
        }
        Ok(self)
    }

    /// The minute of the latest event of a flight.
    pub(super) fn clock(&self) -> ClockTime {
        self.clock
    }

    /// When a command was executed, if it was.
    pub(super) fn done(&self, command: CommandId) -> Option<ClockTime> {
        self.done.get(&command.event_id(0)).copied()
    }
}

/// The id of the replay's first event, from which the ids of its commands are derived.
///
/// # Panics
///
/// Panics if the replay has no event.
pub(super) async fn run_id(hub: &Hub) -> Result<EventId> {
    let read = Read::stream(REPLAY.try_into()?).with_limit(1);
    let first = hub.read_stream(read).await?.events.pop();
    Ok(first.expect("the replay has an event").id())
}

/// The minute of the latest event of a flight, if it is among the newest events.
pub(super) async fn newest_minute(hub: &Hub) -> Result<ClockTime> {
    let newest = hub.read_log(Read::log().backward().with_limit(NEWEST)).await?.events;
    let mut of_flights = newest.iter().filter(|event| event.stream().as_str() != REPLAY);
    let read = |event: &Event| LENIENT_SCHEMA.decode::<FlightEvent>(event).transpose();
    let newest = of_flights.find_map(read).transpose()?;
    Ok(newest.map_or(OPENING, |event| event.at()))
}

/// The id of a flight's command with this number. It is the same in every run of the program
/// on the same log, so executed commands are recognized.
///
/// It is derived from `run`, the id of the replay's first event. So a new log has other
/// ids, and a page that follows the old log notices.
pub(super) fn id_of(run: EventId, flight: &FlightId, number: u16) -> CommandId {
    CommandId::from(run).derive(format!("{flight}/{number}").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::day::Day;

    #[test]
    fn the_ids_of_commands_are_unique() {
        let day = Day::recorded();
        let mut ids = HashSet::new();
        let mut commands = 0;
        for run in [EventId::now(), EventId::now()] {
            for plan in day.flights() {
                for (number, _) in (0..).zip(&plan.commands) {
                    ids.insert(id_of(run, &plan.flight, number).event_id(0));
                    commands += 1;
                }
            }
        }
        assert_eq!(ids.len(), commands);
    }
}
