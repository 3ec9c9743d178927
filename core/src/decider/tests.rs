use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt;
use futures::future::join_all;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result};
use crate::event::NewEvent;
use crate::hub::Hub;
use crate::id::{StreamId, Tag};
use crate::memory;
use crate::memory::{LocalBus, MemoryStore};
use crate::store::{Append, Appended, EventStore, Expected, Page, Read, ReadLog, ReadStream};

mod snapshots;

const STREAM: &str = "flight-UA1545";

/// Flights that may be delayed. From an hour on they need another crew.
#[derive(Clone, Copy, Debug)]
struct Flights;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Flight {
    scheduled: bool,
    late: u32,
    changes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Command {
    Schedule,
    /// Delays by this many minutes.
    Delay(u32),
    /// Delays up to this many minutes in total.
    Hold(u32),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum FlightEvent {
    FlightScheduled,
    FlightDelayed { minutes: u32 },
    CrewChanged,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Refused {
    NotOnTheBoard,
    AlreadyOnTheBoard,
    TooLate,
}

const LATEST: u32 = 240;

impl Decider for Flights {
    type State = Flight;
    type Command = Command;
    type Event = FlightEvent;
    type Error = Refused;

    fn initial(&self) -> Flight {
        Flight::default()
    }

    fn decide(&self, flight: &Flight, command: &Command) -> Result<Vec<FlightEvent>, Refused> {
        let minutes = match *command {
            Command::Schedule if flight.scheduled => return Err(Refused::AlreadyOnTheBoard),
            Command::Schedule => return Ok(vec![FlightEvent::FlightScheduled]),
            Command::Delay(minutes) => minutes,
            Command::Hold(minutes) => minutes.saturating_sub(flight.late),
        };
        match minutes {
            _ if !flight.scheduled => Err(Refused::NotOnTheBoard),
            0 => Ok(vec![]),
            _ if flight.late + minutes > LATEST => Err(Refused::TooLate),
            _ if flight.late < 60 && flight.late + minutes >= 60 => {
                Ok(vec![FlightEvent::FlightDelayed { minutes }, FlightEvent::CrewChanged])
            }
            _ => Ok(vec![FlightEvent::FlightDelayed { minutes }]),
        }
    }

    fn evolve(&self, flight: Flight, event: &FlightEvent) -> Flight {
        match *event {
            FlightEvent::FlightScheduled => Flight { scheduled: true, ..flight },
            FlightEvent::FlightDelayed { minutes } => {
                Flight { late: flight.late + minutes, ..flight }
            }
            FlightEvent::CrewChanged => Flight { changes: flight.changes + 1, ..flight },
        }
    }

    fn tags(&self, flight: &Flight, _: &FlightEvent) -> Result<Vec<Tag>> {
        if flight.late > 0 { Ok(vec![Tag::new("late")?]) } else { Ok(vec![]) }
    }
}

fn delayed(minutes: u32) -> FlightEvent {
    FlightEvent::FlightDelayed { minutes }
}

/// Counts the events that are read, and fails appends as scripted.
#[derive(Clone, Debug, Default)]
struct FaultyStore {
    log: MemoryStore,
    read: Arc<AtomicUsize>,
    appends: Arc<AtomicUsize>,
    faults: Arc<Mutex<VecDeque<Fault>>>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Refuses(ErrorKind),
    /// Stores the append, but returns `OutcomeUnknown`.
    LosesResult,
}

#[async_trait]
impl EventStore for FaultyStore {
    async fn append(&self, append: Append) -> Result<Appended> {
        self.appends.fetch_add(1, Ordering::Relaxed);
        let fault = self.faults.lock().unwrap().pop_front();
        match fault {
            Some(Fault::Refuses(kind)) => {
                Err(Error::new(kind, "the append fails (injected by the test)"))
            }
            Some(Fault::LosesResult) => {
                self.log.append(append).await?;
                Err(Error::new(
                    ErrorKind::OutcomeUnknown,
                    "the result is lost (injected by the test)",
                ))
            }
            None => self.log.append(append).await,
        }
    }

    async fn read_log(&self, read: ReadLog) -> Result<Page> {
        self.log.read_log(read).await
    }

    async fn read_stream(&self, read: ReadStream) -> Result<Page> {
        let page = self.log.read_stream(read).await?;
        self.read.fetch_add(page.events.len(), Ordering::Relaxed);
        Ok(page)
    }

    async fn head(&self) -> Result<Cursor> {
        self.log.head().await
    }

    fn commits(&self) -> Option<crate::commit::Commits> {
        None
    }
}

impl FaultyStore {
    async fn hub(&self) -> Hub {
        Hub::builder(self.clone(), LocalBus::new()).start().await.unwrap()
    }

    fn events_read(&self) -> usize {
        self.read.swap(0, Ordering::Relaxed)
    }

    fn next(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }
}

/// A hub with a scheduled flight.
async fn scheduled() -> Hub {
    let hub = memory::hub().await.unwrap();
    hub.execute(&Flights, STREAM, Command::Schedule).await.unwrap();
    hub
}

async fn all(hub: &Hub) -> Vec<crate::Event> {
    hub.log_events(Read::log()).try_collect().await.unwrap()
}

fn snapshots(store: &MemorySnapshots) -> Snapshots {
    Snapshots::new(store.clone(), "Flight", 1).with_every(1)
}

#[tokio::test]
async fn events_of_a_command_have_tags_and_metadata() {
    let hub = scheduled().await;
    let first = all(&hub).await.remove(0);
    let context = CommandContext::new().caused_by(&first);
    let executor = Executor::new(&hub, Flights);
    let done = executor.execute_with(&context, STREAM, Command::Delay(60)).await.unwrap();
    assert_eq!(done.events, [delayed(60), FlightEvent::CrewChanged]);
    assert_eq!(done.state, Flight { scheduled: true, late: 60, changes: 1 });
    let written = done.written.unwrap();
    assert_eq!((written.first.get(), written.last.get(), done.duplicate), (2, 3, false));

    let events = all(&hub).await.split_off(1);
    assert_eq!(done.cursor, events[1].cursor());
    for (index, event) in (0..).zip(&events) {
        assert_eq!(event.id(), context.command_id().event_id(index));
        assert_eq!(event.tags(), [Tag::new("late").unwrap()]);
        let metadata: serde_json::Value = serde_json::from_slice(event.metadata()).unwrap();
        assert_eq!(metadata["command_id"], context.command_id().to_string());
        assert_eq!(metadata["correlation_id"], context.correlation_id().to_string());
        assert_eq!(metadata["causation_id"], first.id().to_string());
    }
}

#[tokio::test]
async fn a_refusal_writes_nothing() {
    let hub = memory::hub().await.unwrap();
    let refused = hub.execute(&Flights, STREAM, Command::Delay(5)).await.unwrap_err();
    assert_eq!(refused.as_refused(), Some(&Refused::NotOnTheBoard));
    assert!(!refused.is_retryable());
    assert!(all(&hub).await.is_empty());
}

#[tokio::test]
async fn nothing_to_do_is_an_outcome() {
    let hub = scheduled().await;
    let held = hub.execute(&Flights, STREAM, Command::Hold(30)).await.unwrap();
    let again = hub.execute(&Flights, STREAM, Command::Hold(20)).await.unwrap();
    assert_eq!((again.events.len(), again.written, again.duplicate), (0, None, false));
    assert_eq!((again.cursor, again.state), (held.cursor, held.state));
}

#[tokio::test(start_paused = true)]
async fn racing_commands_all_succeed_or_are_refused_in_order() {
    let hub = scheduled().await;
    let executor = Executor::new(&hub, Flights);
    let race = (0..30).map(|_| executor.execute(STREAM, Command::Delay(10)));
    let outcomes = join_all(race).await;
    let refused = |outcome: &&Result<_, ExecuteError<_>>| {
        outcome.as_ref().is_err_and(|error| error.as_refused() == Some(&Refused::TooLate))
    };
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 24);
    assert_eq!(outcomes.iter().filter(refused).count(), 6);
    let events = all(&hub).await;
    assert_eq!(events.len(), 1 + 24 + 1, "the crew is changed once");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_reads_only_the_new_events() {
    let store = FaultyStore::default();
    let hub = store.hub().await;
    hub.execute(&Flights, STREAM, Command::Schedule).await.unwrap();
    for _ in 0..20 {
        hub.execute(&Flights, STREAM, Command::Delay(1)).await.unwrap();
    }
    store.events_read();
    let executor = Executor::new(&hub, Flights);
    let (left, right) = tokio::join!(
        executor.execute(STREAM, Command::Delay(1)),
        executor.execute(STREAM, Command::Delay(1))
    );
    assert_eq!(left.unwrap().state.late + right.unwrap().state.late, 21 + 22);
    assert_eq!(store.events_read(), 21 + 21 + 1, "the loser reads only the winner's event");
}

#[tokio::test(start_paused = true)]
async fn a_race_that_is_never_won_is_a_conflict() {
    let store = FaultyStore::default();
    let hub = store.hub().await;
    store.next([Fault::Refuses(ErrorKind::Conflict); 3]);
    let executor = Executor::new(&hub, Flights).with_retries(3, Duration::from_secs(10));
    let lost = executor.execute(STREAM, Command::Schedule).await.unwrap_err();
    assert_eq!(lost.as_error().map(Error::kind), Some(ErrorKind::Conflict));
    assert!(lost.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn transient_errors_are_retried_and_others_returned() {
    let store = FaultyStore::default();
    let hub = store.hub().await;
    store
        .next([ErrorKind::Busy, ErrorKind::Overloaded, ErrorKind::Unavailable].map(Fault::Refuses));
    hub.execute(&Flights, STREAM, Command::Schedule).await.unwrap();
    for kind in [ErrorKind::StorageFull, ErrorKind::Backend, ErrorKind::Corrupt] {
        store.next([Fault::Refuses(kind)]);
        let error = hub.execute(&Flights, STREAM, Command::Delay(1)).await.unwrap_err();
        assert_eq!(error.as_error().map(Error::kind), Some(kind));
    }
    assert_eq!(all(&hub).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_append_whose_result_is_lost_is_stored_once() {
    let store = FaultyStore::default();
    let hub = store.hub().await;
    hub.execute(&Flights, STREAM, Command::Schedule).await.unwrap();
    store.next([Fault::LosesResult, Fault::Refuses(ErrorKind::Busy)]);
    let done = hub.execute(&Flights, STREAM, Command::Delay(60)).await.unwrap();
    assert_eq!(done.events, [delayed(60), FlightEvent::CrewChanged]);
    assert_eq!(done.state.late, 60);
    assert_eq!(all(&hub).await.len(), 3);
}

#[tokio::test]
async fn nothing_is_decided_on_an_event_that_cannot_be_decoded() {
    let hub = scheduled().await;
    let stranger = NewEvent::json("GateTaken", "{}").unwrap();
    hub.append_to(STREAM, Expected::Any, [stranger]).await.unwrap();
    let error = hub.execute(&Flights, STREAM, Command::Delay(5)).await.unwrap_err();
    assert!(
        matches!(&error, ExecuteError::Undecodable(error) if error.kind() == ErrorKind::Corrupt)
    );
    assert!(error.as_error().unwrap().to_string().contains("GateTaken"), "{error:?}");
}

/// Two executors that have to behave alike.
fn executors(hub: &Hub) -> [Executor<Flights>; 2] {
    let snapshots = snapshots(&MemorySnapshots::new());
    [Executor::new(hub, Flights), Executor::new(hub, Flights).with_snapshots(snapshots)]
}

#[tokio::test]
async fn a_repeated_command_always_has_its_first_outcome() {
    for which in 0..2 {
        let hub = memory::hub().await.unwrap();
        let executor = &executors(&hub)[which];
        let [schedule, delay, hold] = [(); 3].map(|()| CommandContext::of(CommandId::now()));
        executor.execute_with(&schedule, STREAM, Command::Schedule).await.unwrap();
        let late = executor.execute_with(&delay, STREAM, Command::Delay(70)).await.unwrap();
        executor.execute_with(&hold, STREAM, Command::Hold(80)).await.unwrap();
        executor.execute(STREAM, Command::Delay(LATEST - 80)).await.unwrap();

        // Executed again, these would be refused, cause one event less, and have nothing to do.
        let again = [
            (schedule, Command::Schedule, vec![FlightEvent::FlightScheduled]),
            (delay, Command::Delay(70), vec![delayed(70), FlightEvent::CrewChanged]),
            (hold, Command::Hold(80), vec![delayed(10)]),
        ];
        for (context, command, expected) in again {
            let outcome = executor.execute_with(&context, STREAM, command).await.unwrap();
            assert_eq!((&outcome.events, outcome.duplicate), (&expected, true), "{command:?}");
            assert_eq!(outcome.state.late, LATEST);
            if command == Command::Delay(70) {
                assert_eq!((outcome.cursor, outcome.written), (late.cursor, late.written.clone()));
            }
        }
        assert_eq!(all(&hub).await.len(), 5);
    }
}

#[tokio::test]
async fn a_command_without_events_is_decided_again() {
    for which in 0..2 {
        let hub = memory::hub().await.unwrap();
        let executor = &executors(&hub)[which];
        let context = CommandContext::of(CommandId::now());
        let delay = || executor.execute_with(&context, STREAM, Command::Delay(5));
        assert_eq!(delay().await.unwrap_err().as_refused(), Some(&Refused::NotOnTheBoard));
        executor.execute(STREAM, Command::Schedule).await.unwrap();
        executor.execute(STREAM, Command::Delay(LATEST)).await.unwrap();
        assert_eq!(delay().await.unwrap_err().as_refused(), Some(&Refused::TooLate));
        let nothing = executor.execute_with(&context, STREAM, Command::Hold(5)).await.unwrap();
        assert!(nothing.events.is_empty() && !nothing.duplicate);
    }
}

#[tokio::test]
async fn a_command_id_belongs_to_one_stream() {
    let hub = scheduled().await;
    let context = CommandContext::of(CommandId::now());
    let executor = Executor::new(&hub, Flights);
    executor.execute_with(&context, STREAM, Command::Delay(5)).await.unwrap();
    executor.execute("flight-AA1141", Command::Schedule).await.unwrap();
    let error =
        executor.execute_with(&context, "flight-AA1141", Command::Delay(7)).await.unwrap_err();
    assert_eq!(error.as_error().map(Error::kind), Some(ErrorKind::IdReused));
}

/// A command and the number of its id, of which there are few, so that commands
/// are repeated.
fn any_command() -> impl Strategy<Value = (usize, Command)> {
    let command = prop_oneof![
        1 => Just(Command::Schedule),
        3 => (0..80_u32).prop_map(Command::Delay),
        1 => (0..80_u32).prop_map(Command::Hold),
    ];
    (0..12_usize, command)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(future)
}

type Outcome = Result<(Vec<FlightEvent>, Flight, Option<crate::store::Written>, bool), Refused>;

fn outcome_of(outcome: Result<Executed<Flight, FlightEvent>, ExecuteError<Refused>>) -> Outcome {
    match outcome {
        Ok(done) => Ok((done.events, done.state, done.written, done.duplicate)),
        Err(ExecuteError::Refused(refusal)) => Err(refusal),
        Err(other) => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn a_command_takes_effect_once_however_its_repetitions_race(
        commands in prop::collection::vec(any_command(), 1..24),
        faults in prop::collection::vec(prop::option::of(prop_oneof![
            Just(Fault::LosesResult),
            Just(Fault::Refuses(ErrorKind::Busy)),
        ]), 0..24),
        with_snapshots: bool,
    ) {
        block_on(async {
            let store = FaultyStore::default();
            let hub = store.hub().await;
            hub.execute(&Flights, STREAM, Command::Schedule).await.unwrap();
            store.next(faults.into_iter().flatten());
            let executor = &executors(&hub)[usize::from(with_snapshots)];
            let ids = [(); 12].map(|()| CommandId::now());
            let race = commands.iter().map(async |(id, command)| {
                let outcome = executor.execute_with(&CommandContext::of(ids[*id]), STREAM, *command).await;
                (*id, outcome)
            });
            let mut outcomes: HashMap<usize, Vec<FlightEvent>> = HashMap::new();
            for (id, outcome) in join_all(race).await {
                // All executions with one id that return events return the same ones.
                if let Ok((events, ..)) = outcome_of(outcome) && !events.is_empty() {
                    let first = outcomes.entry(id).or_insert_with(|| events.clone());
                    prop_assert_eq!(&*first, &events);
                }
            }
            let log = all(&hub).await;
            let happened: usize = outcomes.values().map(Vec::len).sum();
            prop_assert_eq!(log.len(), 1 + happened, "an outcome is missing or stored twice");
            let first_ids = log.iter().filter(|event| {
                outcomes.keys().any(|id| event.id() == ids[*id].event_id(0))
            });
            prop_assert_eq!(first_ids.count(), outcomes.len());
            Ok(())
        })?;
    }
}
