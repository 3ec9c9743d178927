use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::execution::Execution;
use super::retry_policy::RetryPolicy;
use super::snapshots::Keeper;
use super::{CommandContext, Decider, ExecuteError, Executed, Snapshots};
use crate::error::{Error, Result};
use crate::hub::Hub;
use crate::id::StreamId;

/// Carries commands out: loads the stream, decides, and appends what was
/// decided if nobody else was faster. If somebody was, it reads what they
/// appended and decides again.
///
/// Whatever it appends, the hub tells everybody who follows the log.
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
/// // A client repeats its request, because the answer was lost.
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
    snapshots: Option<Keeper<D::State>>,
}

impl<D: Decider> Executor<D> {
    /// An executor of this decider's commands, which appends through this hub.
    #[must_use]
    pub fn new(hub: &Hub, decider: D) -> Self {
        let retries = RetryPolicy { attempts: 20, deadline: Duration::from_secs(10) };
        Self { hub: hub.clone(), decider: Arc::new(decider), retries, snapshots: None }
    }

    /// How often a command is tried, counting the first time, and for how long
    /// after its beginning another attempt may begin: 20 times and 10 seconds
    /// by default, a day at most.
    ///
    /// Attempts are repeated after a conflict, which is decided anew, and when
    /// the store is busy, overloaded or unavailable or does not know what
    /// became of an append. The pauses between them grow to half a second and
    /// are spread at random.
    #[must_use]
    pub fn with_retries(mut self, attempts: u32, deadline: Duration) -> Self {
        self.retries = RetryPolicy { attempts, deadline };
        self
    }

    /// Begins to load long streams at a snapshot: at their first event by
    /// default.
    #[must_use]
    pub fn with_snapshots(mut self, snapshots: Snapshots) -> Self
    where
        D::State: Serialize + DeserializeOwned,
    {
        self.snapshots = Some(Keeper::new(snapshots));
        self
    }

    /// Carries a command out that nobody can give again; otherwise as
    /// [`execute_with`](Self::execute_with).
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

    /// Carries a command out.
    ///
    /// # Commands that come again
    ///
    /// A command whose events are in the stream does not happen again: its
    /// outcome is that of the first time, with `duplicate` set, for ever, also
    /// if it would be decided differently or refused now. It is known by the
    /// ids of its events, which are derived from the command's. The state is
    /// then the present one. Another command with that id is answered so, too,
    /// unless the context has a
    /// [fingerprint](super::CommandContext::with_fingerprint): then it is
    /// [`IdReused`](crate::ErrorKind::IdReused).
    ///
    /// Only what was written is known again. A command that was refused, or
    /// that had nothing to do, left no trace: it is decided anew when it comes
    /// again, and may succeed then. And the id of a command belongs to one
    /// stream: given for another, it is [`IdReused`](crate::ErrorKind::IdReused),
    /// unless nothing is decided there.
    ///
    /// With [snapshots](Self::with_snapshots), the ids of the events before the
    /// snapshot are not read. A command that is refused, or has nothing to do,
    /// then costs one append that writes nothing, by which the store tells
    /// whether the id is known.
    ///
    /// # Errors
    ///
    /// - [`Refused`](ExecuteError::Refused) by the decider;
    /// - [`Store`](ExecuteError::Store) with what the store answered to the last
    ///   attempt, or if the stream, an event or a tag cannot be made from what
    ///   was given;
    /// - [`Undecodable`](ExecuteError::Undecodable) if the stream has an event
    ///   that the decider's schema cannot read.
    ///
    /// # Cancel safety
    ///
    /// A dropped future leaves all events of the command stored or none, and if
    /// they are stored, subscribers are told. Giving the command again with the
    /// same id tells which.
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

    /// The hub that it appends through.
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

    pub(super) fn snapshots(&self) -> Option<&Keeper<D::State>> {
        self.snapshots.as_ref()
    }
}

impl Hub {
    /// Carries a command out: loads the stream, decides, and appends; see
    /// [`Executor`], which also has commands that can come again, snapshots and
    /// other options.
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
