use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::execution::Execution;
use super::retry_policy::RetryPolicy;
use super::snapshots::TypedSnapshots;
use super::{CommandContext, Decider, ExecuteError, Executed, Snapshots};
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::id::StreamId;

/// Executes commands: loads the stream, decides, and appends the events. If
/// another writer was faster, it reads the new events and decides again.
///
/// The events are appended through the hub, so subscriptions receive them at
/// once.
///
/// # Clones and handles
///
/// Clones share the hub and the decider.
///
/// # Examples
///
/// ```
/// # use downlink::{Decider, Executor};
/// # use downlink::decider::{CommandContext, CommandId, MemorySnapshots, Snapshots};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug)]
/// # struct Delays;
/// # #[derive(Debug, Serialize, Deserialize)]
/// # enum Event { FlightDelayed { minutes: u32 } }
/// # impl Decider for Delays {
/// #     type State = u32;
/// #     type Command = u32;
/// #     type Event = Event;
/// #     type Error = std::convert::Infallible;
/// #     fn initial(&self) -> u32 { 0 }
/// #     fn decide(&self, _: &u32, minutes: &u32) -> Result<Vec<Event>, Self::Error> {
/// #         Ok(vec![Event::FlightDelayed { minutes: *minutes }])
/// #     }
/// #     fn evolve(&self, sum: u32, event: &Event) -> u32 {
/// #         let Event::FlightDelayed { minutes } = event;
/// #         sum + minutes
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), downlink::decider::ExecuteError<std::convert::Infallible>> {
/// let hub = downlink::memory::hub().await?;
/// let executor = Executor::new(&hub, Delays)
///     .with_snapshots(Snapshots::new(MemorySnapshots::new(), "Delays", 1));
///
/// // A client repeats its request, because the response was lost.
/// let id = CommandId::now();
/// let first = executor.execute_with(&CommandContext::of(id), "flight-UA1545", 20).await?;
/// let again = executor.execute_with(&CommandContext::of(id), "flight-UA1545", 20).await?;
/// assert_eq!((again.state, again.cursor, again.duplicate), (20, first.cursor, true));
/// # Ok(()) }
/// ```
pub struct Executor<D: Decider> {
    hub: Hub,
    decider: Arc<D>,
    retries: RetryPolicy,
    snapshots: Option<TypedSnapshots<D::State>>,
}

impl<D: Decider> Executor<D> {
    /// Creates an executor of this decider's commands that appends through this
    /// hub.
    #[must_use]
    pub fn new(hub: &Hub, decider: D) -> Self {
        let retries = RetryPolicy { attempts: 20, deadline: Duration::from_secs(10) };
        Self { hub: hub.clone(), decider: Arc::new(decider), retries, snapshots: None }
    }

    /// Sets the most attempts, including the first (20 by default), and after
    /// how long no further attempt begins (10 seconds by default, at most one
    /// day).
    ///
    /// A conflict is decided again. Busy, overloaded, unavailable and an
    /// unknown outcome are attempted again. The pauses between attempts grow up
    /// to half a second and are randomized.
    #[must_use]
    pub fn with_retries(mut self, attempts: u32, deadline: Duration) -> Self {
        self.retries = RetryPolicy { attempts, deadline };
        self
    }

    /// Sets snapshots, from which streams are then loaded. By default there are
    /// none, and streams are loaded from their first event.
    #[must_use]
    pub fn with_snapshots(mut self, snapshots: Snapshots) -> Self
    where
        D::State: Serialize + DeserializeOwned,
    {
        self.snapshots = Some(TypedSnapshots::new(snapshots));
        self
    }

    /// Executes a command that cannot be repeated, since its id is generated
    /// here; otherwise as [`execute_with`](Self::execute_with).
    ///
    /// # Errors
    ///
    /// As [`execute_with`](Self::execute_with).
    ///
    /// # Cancel safety
    ///
    /// As [`execute_with`](Self::execute_with).
    pub async fn execute<S>(
        &self,
        stream: S,
        command: D::Command,
    ) -> Result<Executed<D::State, D::Event>, ExecuteError<D::Error>>
    where
        S: TryInto<StreamId>,
        Error: From<S::Error>,
    {
        self.execute_with(&CommandContext::new(), stream, command).await
    }

    /// Executes a command.
    ///
    /// # Repeated commands
    ///
    /// A command whose events are in the stream is not executed again: its
    /// outcome is always that of the first time, with `duplicate` set, even if
    /// it would be decided differently or refused now. The returned state is
    /// then the current one. Such a command is recognized by the ids of its
    /// events, which are derived from the command's id. Another command with
    /// the same id gets the same outcome, too, unless the context has a
    /// [fingerprint](super::CommandContext::with_fingerprint): then it fails
    /// with [`IdReused`](crate::ErrorKind::IdReused).
    ///
    /// Only commands with stored events are recognized. A command that was
    /// refused, or that had nothing to do, left no trace: it is decided again
    /// when it is repeated, and may succeed then. A command's id belongs to one
    /// stream: used for another stream, it fails with
    /// [`IdReused`](crate::ErrorKind::IdReused), unless the command causes no
    /// events there.
    ///
    /// With [snapshots](Self::with_snapshots), the ids of the events before the
    /// snapshot are not read. A command that is refused, or has nothing to do,
    /// then costs one append that writes nothing, to find out whether the store
    /// knows the id.
    ///
    /// # Errors
    ///
    /// - [`Refused`](ExecuteError::Refused) if the decider refuses the command;
    /// - [`Store`](ExecuteError::Store) with the store's error of the last
    ///   attempt, or if the stream's name, an event or a tag is invalid;
    /// - [`Undecodable`](ExecuteError::Undecodable) if the stream has an event
    ///   that the decider's schema cannot decode.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, all events of the command are stored or none.
    /// If they are stored, subscriptions receive them. Repeat the command with
    /// the same id to find out.
    pub async fn execute_with<S>(
        &self,
        context: &CommandContext,
        stream: S,
        command: D::Command,
    ) -> Result<Executed<D::State, D::Event>, ExecuteError<D::Error>>
    where
        S: TryInto<StreamId>,
        Error: From<S::Error>,
    {
        let stream = stream.try_into().map_err(Error::from)?;
        Execution::new(self, context, stream).run(&command).await
    }

    /// The hub through which it appends.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The decider.
    #[must_use]
    pub fn decider(&self) -> &D {
        &self.decider
    }

    pub(super) fn retries(&self) -> RetryPolicy {
        self.retries
    }

    pub(super) fn snapshots(&self) -> Option<&TypedSnapshots<D::State>> {
        self.snapshots.as_ref()
    }
}

impl Hub {
    /// Executes a command: loads the stream, decides, and appends. See
    /// [`Executor`] for repeatable commands, snapshots and other options.
    ///
    /// # Errors
    ///
    /// As [`Executor::execute_with`].
    ///
    /// # Cancel safety
    ///
    /// As [`Executor::execute_with`].
    pub async fn execute<D, S>(
        &self,
        decider: &D,
        stream: S,
        command: D::Command,
    ) -> Result<Executed<D::State, D::Event>, ExecuteError<D::Error>>
    where
        D: Decider,
        S: TryInto<StreamId>,
        Error: From<S::Error>,
    {
        Executor::new(self, decider).execute(stream, command).await
    }
}

impl<D: Decider> Clone for Executor<D> {
    fn clone(&self) -> Self {
        Self {
            hub: self.hub.clone(),
            decider: Arc::clone(&self.decider),
            retries: self.retries,
            snapshots: self.snapshots.clone(),
        }
    }
}

impl<D: Decider> fmt::Debug for Executor<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("hub", &self.hub)
            .field("retries", &self.retries)
            .field("has_snapshots", &self.snapshots.is_some())
            .finish_non_exhaustive()
    }
}
