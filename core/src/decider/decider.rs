use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Schema;
use crate::error::Result;
use crate::id::Tag;

static AS_WRITTEN: Schema = Schema::new();

/// The rules of one kind of stream, as pure functions: which events a command
/// causes, and which state the events result in.
///
/// This is the *decider* of Jérémie Chassaing ("Functional Event Sourcing
/// Decider", 2021): an initial state, a decision from state and command to
/// events, and an evolution from state and event to state. It contains no
/// clock, no log and no lock: [`Executor`](crate::Executor) connects it with
/// the log, and [`testing`](crate::testing) tests it without one.
///
/// Everything that a decision needs is in the state or in the command: if
/// another writer was faster, the command is decided again, and input from
/// elsewhere might have changed by then.
///
/// # Examples
///
/// ```
/// use downlink::Decider;
/// use serde::{Deserialize, Serialize};
///
/// struct Flights;
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// enum Flight {
///     Unknown,
///     Waiting,
///     Departed,
/// }
///
/// enum Command {
///     Schedule,
///     Depart,
/// }
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// enum FlightEvent {
///     FlightScheduled,
///     FlightDeparted,
/// }
///
/// #[derive(Debug, PartialEq)]
/// struct NotOnTheBoard;
///
/// impl Decider for Flights {
///     type State = Flight;
///     type Command = Command;
///     type Event = FlightEvent;
///     type Error = NotOnTheBoard;
///
///     fn initial(&self) -> Flight {
///         Flight::Unknown
///     }
///
///     fn decide(&self, flight: &Flight, command: &Command) -> Result<Vec<FlightEvent>, NotOnTheBoard> {
///         match (flight, command) {
///             (Flight::Unknown, Command::Schedule) => Ok(vec![FlightEvent::FlightScheduled]),
///             (Flight::Waiting, Command::Depart) => Ok(vec![FlightEvent::FlightDeparted]),
///             (Flight::Unknown, Command::Depart) => Err(NotOnTheBoard),
///             _ => Ok(vec![]),
///         }
///     }
///
///     fn evolve(&self, _: Flight, event: &FlightEvent) -> Flight {
///         match event {
///             FlightEvent::FlightScheduled => Flight::Waiting,
///             FlightEvent::FlightDeparted => Flight::Departed,
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), downlink::decider::ExecuteError<NotOnTheBoard>> {
/// let hub = downlink::memory::hub().await?;
/// hub.execute(&Flights, "flight-UA1545", Command::Schedule).await?;
/// let departed = hub.execute(&Flights, "flight-UA1545", Command::Depart).await?;
/// assert_eq!(departed.events, [FlightEvent::FlightDeparted]);
/// assert_eq!(departed.state, Flight::Departed);
/// # Ok(()) }
/// ```
pub trait Decider: Send + Sync {
    /// The state of a stream that decisions need.
    type State: Clone + Send + Sync;

    /// The commands.
    type Command: Send + Sync;

    /// The events: a serde enum that is tagged externally, as in
    /// [`NewEvent::from_variant`](crate::NewEvent::from_variant).
    type Event: Serialize + DeserializeOwned + Send + Sync;

    /// The reasons for refusing a command. If it is `Debug` and `Display`,
    /// [`ExecuteError`](crate::decider::ExecuteError) is a [`std::error::Error`],
    /// and `?` converts it to a boxed one.
    type Error: Send;

    /// The state of a stream without events.
    fn initial(&self) -> Self::State;

    /// Decides which events the command causes; none if there is nothing to do.
    ///
    /// # Errors
    ///
    /// The reason, if the command is refused.
    fn decide(
        &self,
        state: &Self::State,
        command: &Self::Command,
    ) -> Result<Vec<Self::Event>, Self::Error>;

    /// Returns the state after this event. The event has happened, so it cannot
    /// be refused.
    #[must_use]
    fn evolve(&self, state: Self::State, event: &Self::Event) -> Self::State;

    /// Returns the tags of an event; `state` is the state after it. No tags by
    /// default.
    ///
    /// # Errors
    ///
    /// Those of [`Tag::new`]; the command then fails with this error.
    fn tags(&self, state: &Self::State, event: &Self::Event) -> Result<Vec<Tag>> {
        let _ = (state, event);
        Ok(Vec::new())
    }

    /// The schema by which older forms of the events are decoded. By default
    /// there are no older forms, and unknown event types are errors.
    fn schema(&self) -> &Schema {
        &AS_WRITTEN
    }
}

impl<D: Decider + ?Sized> Decider for &D {
    type State = D::State;
    type Command = D::Command;
    type Event = D::Event;
    type Error = D::Error;

    fn initial(&self) -> D::State {
        (**self).initial()
    }

    fn decide(&self, state: &D::State, command: &D::Command) -> Result<Vec<D::Event>, D::Error> {
        (**self).decide(state, command)
    }

    fn evolve(&self, state: D::State, event: &D::Event) -> D::State {
        (**self).evolve(state, event)
    }

    fn tags(&self, state: &D::State, event: &D::Event) -> Result<Vec<Tag>> {
        (**self).tags(state, event)
    }

    fn schema(&self) -> &Schema {
        (**self).schema()
    }
}
