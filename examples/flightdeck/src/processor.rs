use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use downlink::{Cursor, Error, ErrorKind, EventId, Expected, Hub, NewEvent, Result};

use crate::Decider;

/// How often a command is decided anew because somebody else was faster.
const RACES: usize = 10;
/// How often an append is repeated because the log was busy or did not answer.
const REPEATS: u32 = 6;
/// The pause before the first repetition; each later one is twice as long.
const PAUSE: Duration = Duration::from_millis(10);

/// Carries commands out: loads the stream, decides, and appends what was
/// decided, if the stream is still as it was loaded.
///
/// Whatever it appends, the hub tells everybody who follows the log. That is
/// all there is to notifying.
#[derive(Clone, Debug)]
pub struct Processor {
    hub: Hub,
}

/// A command that was carried out.
#[derive(Clone, Debug)]
pub struct Done<E> {
    /// What happened; nothing if there was nothing to do.
    pub events: Vec<E>,
    /// Whoever has followed the log up to here has seen it.
    pub cursor: Cursor,
}

/// A command that was not carried out.
#[derive(Clone, Debug)]
pub enum NotDone<R> {
    /// It is not allowed, or not now.
    Refused(R),
    /// The log did not take it.
    Log(Error),
}

impl Processor {
    /// A processor that writes through this hub.
    #[must_use]
    pub fn new(hub: Hub) -> Self {
        Self { hub }
    }

    /// Carries a command out.
    ///
    /// `id` names the command for ever: given again with the same id and the
    /// same outcome, it happens once.
    ///
    /// # Errors
    ///
    /// [`Refused`](NotDone::Refused) by the decider, or [`Log`](NotDone::Log)
    /// with what the log answered.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves all events of the command stored or none.
    // ANCHOR: execute
    pub async fn execute<D: Decider>(
        &self,
        stream: &str,
        command: D::Command,
        id: EventId,
    ) -> Result<Done<D::Event>, NotDone<D::Refused>> {
        let mut races = 0;
        loop {
            match self.attempt::<D>(stream, command.clone(), id).await {
                Err(NotDone::Log(error))
                    if error.kind() == ErrorKind::Conflict && races < RACES =>
                {
                    races += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn attempt<D: Decider>(
        &self,
        stream: &str,
        command: D::Command,
        id: EventId,
    ) -> Result<Done<D::Event>, NotDone<D::Refused>> {
        let (state, expected) = self
            .hub
            .load(stream, D::default(), |state, event| Ok(state.evolve(&event.decode()?)))
            .await?;
        let events = state.decide(command).map_err(NotDone::Refused)?;
        if events.is_empty() {
            return Ok(Done { events, cursor: self.hub.head().await? });
        }
        let state = events.iter().fold(state, D::evolve);
        let cursor = self.append(stream, expected, offered(&events, &state, id)?).await?;
        Ok(Done { events, cursor })
    }
    // ANCHOR_END: execute

    /// Appends, again and again while that may help: the ids make sure that it
    /// is stored once.
    async fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<NewEvent>,
    ) -> Result<Cursor> {
        let mut pause = PAUSE;
        for _ in 0..REPEATS {
            match self.hub.append(stream, expected, events.clone()).await {
                Err(error) if is_worth_repeating(&error) => tokio::time::sleep(pause).await,
                outcome => return outcome.map(|appended| appended.cursor),
            }
            pause *= 2;
        }
        self.hub.append(stream, expected, events).await.map(|appended| appended.cursor)
    }
}

fn is_worth_repeating(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Busy | ErrorKind::Overloaded | ErrorKind::OutcomeUnknown)
}

fn offered<D: Decider>(events: &[D::Event], state: &D, id: EventId) -> Result<Vec<NewEvent>> {
    let tags = state.tags();
    let ids = (0_u8..).map(|nth| nth_of(id, nth));
    let offer = |(event, id)| {
        let event = NewEvent::json(event)?.with_id(id);
        tags.iter().try_fold(event, |event, tag| event.with_tag(tag.as_str()))
    };
    events.iter().zip(ids).map(offer).collect()
}

/// The id of a command's `nth` event: the command's own for the first.
fn nth_of(command: EventId, nth: u8) -> EventId {
    let mut bytes = *command.as_bytes();
    bytes[15] ^= nth;
    EventId::from_bytes(bytes)
}

impl<R> From<Error> for NotDone<R> {
    fn from(error: Error) -> Self {
        Self::Log(error)
    }
}

impl<R: fmt::Display> fmt::Display for NotDone<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::Log(error) => error.fmt(f),
        }
    }
}

impl<R: fmt::Debug + fmt::Display> StdError for NotDone<R> {}

#[cfg(test)]
mod tests {
    use downlink::{LocalBus, MemoryStore, Read, StreamId};

    use super::*;
    use crate::day::Day;
    use crate::flight::{Action, Flight, FlightCommand, Party, Refused};

    async fn hub() -> Hub {
        Hub::builder(MemoryStore::new(), LocalBus::new()).start().await.unwrap()
    }

    fn first_commands(count: usize) -> (String, Vec<FlightCommand>) {
        let plan = Day::recorded().flights()[0].clone();
        (plan.flight.stream(), plan.commands[..count].to_vec())
    }

    async fn carry_out(processor: &Processor, stream: &str, commands: Vec<FlightCommand>) {
        for command in commands {
            processor.execute::<Flight>(stream, command, EventId::now()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_command_becomes_a_tagged_event() {
        let hub = hub().await;
        let (stream, commands) = first_commands(2);
        carry_out(&Processor::new(hub.clone()), &stream, commands).await;

        let page = hub.read(Read::log()).await.unwrap();
        let types: Vec<_> = page.events.iter().map(|event| event.event_type().as_str()).collect();
        assert_eq!(types, ["FlightScheduled", "BoardingStarted"]);
        for event in page.events {
            let tags: Vec<_> = event.tags().iter().map(downlink::Tag::as_str).collect();
            assert_eq!(tags, ["airport:EWR", "airline:UA", "dest:IAH"]);
        }
    }

    #[tokio::test]
    async fn a_command_given_twice_happens_once() {
        let hub = hub().await;
        let processor = Processor::new(hub.clone());
        let (stream, commands) = first_commands(1);
        let id = EventId::now();
        let command = commands[0].clone();
        processor.execute::<Flight>(&stream, command.clone(), id).await.unwrap();
        let again = processor.execute::<Flight>(&stream, command, id).await.unwrap_err();
        assert!(matches!(again, NotDone::Refused(Refused::AlreadyOnTheBoard)), "{again}");
        assert_eq!(hub.read(Read::log()).await.unwrap().events.len(), 1);
    }

    #[tokio::test]
    async fn all_delays_of_a_race_are_kept() {
        let hub = hub().await;
        let processor = Processor::new(hub.clone());
        let (stream, commands) = first_commands(1);
        let at = commands[0].at;
        carry_out(&processor, &stream, commands).await;

        let delay = Action::Delay { minutes: 5, reason: None, by: Party::Visitor };
        let command = FlightCommand { at, action: delay };
        let race = (0..RACES)
            .map(|_| processor.execute::<Flight>(&stream, command.clone(), EventId::now()));
        let outcomes = futures::future::join_all(race).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        let read = Read::stream(StreamId::new(&stream).unwrap());
        assert_eq!(hub.read(read).await.unwrap().events.len(), 1 + RACES);
    }

    #[tokio::test]
    async fn a_refusal_writes_nothing() {
        let hub = hub().await;
        let (stream, _) = first_commands(0);
        let command = FlightCommand { at: crate::day::OPENING, action: Action::Depart };
        let refused = Processor::new(hub.clone())
            .execute::<Flight>(&stream, command, EventId::now())
            .await
            .unwrap_err();
        assert!(matches!(refused, NotDone::Refused(Refused::NotOnTheBoard)), "{refused}");
        assert!(hub.read(Read::log()).await.unwrap().events.is_empty());
    }
}
