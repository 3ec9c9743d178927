use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::error::Result;
use crate::id::EventId;

/// The permanent identity of a command: a UUID.
///
/// A command that is repeated with the same id takes effect once; see
/// [`Executor::execute_with`](crate::Executor::execute_with). A
/// [fingerprint](crate::decider::CommandContext::with_fingerprint) detects
/// another command with the same id. The ids of a command's events are
/// [derived](Self::event_id) from it and keep its first 48 bits, which are the
/// time in a UUID of version 7. Therefore use version 7, also in clients: other
/// versions work as well, but make the store slower.
///
/// # Examples
///
/// A command that is triggered by an event takes effect once if its id is
/// derived from the event's:
///
/// ```
/// use downlink::EventId;
/// use downlink::decider::CommandId;
///
/// let landed = EventId::now();
/// let clean = CommandId::from(landed).derive(b"clean the aircraft");
/// assert_eq!(clean, CommandId::from(landed).derive(b"clean the aircraft"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(EventId);

impl CommandId {
    /// Creates a new id, a UUID of version 7, from the current time.
    #[must_use]
    pub fn now() -> Self {
        Self(EventId::now())
    }

    /// Derives an id from this id and a name: the same two always yield the
    /// same id. It has the timestamp of this id.
    #[must_use]
    pub fn derive(self, name: &[u8]) -> Self {
        Self(self.0.derive(name))
    }

    /// The id of the command's event with this index, counted from 0.
    #[must_use]
    pub fn event_id(self, index: u32) -> EventId {
        self.0.derive(&index.to_be_bytes())
    }
}

/// Uses the id of an event as a command's id. The ids of the command's events
/// differ from it.
impl From<EventId> for CommandId {
    fn from(id: EventId) -> Self {
        Self(id)
    }
}

impl From<Uuid> for CommandId {
    fn from(id: Uuid) -> Self {
        Self(id.into())
    }
}

impl From<CommandId> for Uuid {
    fn from(id: CommandId) -> Self {
        id.0.into()
    }
}

impl FromStr for CommandId {
    type Err = crate::Error;

    /// Parses the hyphenated form of 36 characters. Upper case is accepted.
    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self)
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
