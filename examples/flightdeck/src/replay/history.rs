use std::collections::HashMap;

use downlink::{Event, EventId, Hub, Read, Result};
use futures::TryStreamExt;

use super::REPLAY;
use crate::ClockTime;
use crate::day::OPENING;
use crate::flight::{FlightEvent, FlightId};

/// What the log says of the replay before this start: where it was, and which
/// of its commands were carried out.
#[derive(Debug)]
pub(super) struct History {
    run: Option<EventId>,
    clock: ClockTime,
    done: HashMap<EventId, ClockTime>,
}

impl History {
    /// Reads the whole log once. A day has a few thousand events.
    pub(super) async fn read(hub: &Hub) -> Result<Self> {
        let empty = Self { run: None, clock: OPENING, done: HashMap::new() };
        hub.events(Read::log()).try_fold(empty, async |history, event| history.after(&event)).await
    }

    fn after(mut self, event: &Event) -> Result<Self> {
        if event.stream().as_str() == REPLAY {
            self.run.get_or_insert(event.id());
        } else {
            let at = event.decode::<FlightEvent>()?.at();
            self.clock = self.clock.max(at);
            self.done.insert(event.id(), at);
        }
        Ok(self)
    }

    /// The name of this log's replay, from which its commands have their ids;
    /// `None` if no replay began yet.
    pub(super) fn run(&self) -> Option<EventId> {
        self.run
    }

    /// The latest minute at which something happened to a flight.
    pub(super) fn clock(&self) -> ClockTime {
        self.clock
    }

    /// When a command was carried out, if it was.
    pub(super) fn done(&self, command: EventId) -> Option<ClockTime> {
        self.done.get(&command).copied()
    }
}

/// The id of a flight's command of this number, the same in every run of the
/// program over one log: what was carried out once is recognised by it.
///
/// A UUID version 7 with the time of `run`, the first event of the replay. So
/// the ids of a log that begins anew are other ones, and a page that still
/// follows the old log notices.
pub(super) fn id_of(run: EventId, flight: &FlightId, number: u16) -> EventId {
    let mut bytes = *run.as_bytes();
    let name = run.as_bytes().iter().chain(flight.as_str().as_bytes()).copied();
    let hash = fnv(name.chain(number.to_be_bytes())).to_be_bytes();
    bytes[8..].copy_from_slice(&hash);
    // The two bits that say which kind of UUID this is.
    bytes[8] = bytes[8] & 0x3f | 0x80;
    EventId::from_bytes(bytes)
}

/// FNV-1a in 64 bits.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::day::Day;

    #[test]
    fn every_command_of_every_run_has_an_id_of_its_own() {
        let day = Day::recorded();
        let mut ids = HashSet::new();
        let mut commands = 0;
        for run in [EventId::now(), EventId::now()] {
            for plan in day.flights() {
                for (number, _) in (0..).zip(&plan.commands) {
                    ids.insert(id_of(run, &plan.flight, number));
                    commands += 1;
                }
            }
        }
        assert_eq!(ids.len(), commands);
    }

    #[test]
    fn ids_are_the_same_in_every_run_of_the_program() {
        let run = EventId::now();
        let flight: FlightId = "UA1545".parse().unwrap();
        let id = id_of(run, &flight, 2);
        assert_eq!(id, id_of(run, &flight, 2));
        assert!(id.to_string().chars().nth(14) == Some('7'), "{id} is no version 7");
        assert!(
            "89ab".contains(id.to_string().chars().nth(19).unwrap()),
            "{id} is another variant"
        );
    }
}
