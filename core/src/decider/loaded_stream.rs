use crate::cursor::Cursor;
use crate::error::Result;
use crate::event::Event;
use crate::id::{EventId, Version};
use crate::store::Expected;

use super::{Decider, ExecuteError};

/// A stream as far as an execution has loaded it.
pub(super) struct LoadedStream<S> {
    pub(super) state: S,
    /// The last event.
    pub(super) last: Option<(Version, EventId)>,
    /// The version of the command's first event, if the command was executed
    /// before.
    pub(super) repeats: Option<Version>,
    /// The version of the snapshot that was loaded: the ids of the events up to
    /// it were not read.
    pub(super) snapshot: Option<Version>,
    /// The version of the stored snapshot that counts for when the next one is
    /// due: the loaded one, or one of another schema version. Releases that run
    /// side by side would otherwise replace each other's with every command.
    pub(super) saved: Option<Version>,
    /// The end of the log when the stream was last read.
    pub(super) head: Cursor,
}

impl<S> LoadedStream<S> {
    pub(super) fn new(state: S) -> Self {
        Self { state, last: None, repeats: None, snapshot: None, saved: None, head: Cursor::START }
    }

    pub(super) fn version(&self) -> Option<Version> {
        self.last.map(|(version, _)| version)
    }

    pub(super) fn expected(&self) -> Expected {
        Expected::at(self.version())
    }

    /// The number of events up to `last` after the stored snapshot, or from the
    /// beginning.
    pub(super) fn events_since_snapshot(&self, last: Version) -> u64 {
        let saved = self.saved.map_or(0, Version::get);
        // One of another schema version was not verified, and may be of another history.
        last.get().checked_sub(saved).unwrap_or(last.get())
    }

    /// Adds the next event of the stream.
    pub(super) fn with<D: Decider<State = S>>(
        self,
        decider: &D,
        event: &Event,
        first: EventId,
    ) -> Result<Self, ExecuteError<D::Error>> {
        let decoded = decider.schema().decode(event).map_err(ExecuteError::Undecodable)?;
        let state = match decoded {
            Some(decoded) => decider.evolve(self.state, &decoded),
            None => self.state,
        };
        let repeats = self.repeats.or((event.id() == first).then_some(event.version()));
        Ok(Self { state, repeats, last: Some((event.version(), event.id())), ..self })
    }
}
