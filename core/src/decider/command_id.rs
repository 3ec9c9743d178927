use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::error::Result;
use crate::id::EventId;

/// The identity of a command, for ever: a UUID.
///
/// A command that is given again with its id happens once; see
/// [`Executor::execute_with`](crate::Executor::execute_with). Whether the command that
/// comes is that command is told by a
/// [fingerprint](crate::decider::CommandContext::with_fingerprint). The ids of its events
/// are [derived](Self::event_id) from it and keep its first 48 bits, which are
/// the time in a version 7. Make ids version 7 for that reason, also in
/// clients: others work as well, and cost the store more.
///
/// # Examples
///
/// What follows from an event follows from it once, if the command has its id
/// from the event's:
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
    /// A new id (UUID version 7) of the present moment.
    #[must_use]
    pub fn now() -> Self {
        Self(EventId::now())
    }

    /// The id of the command of this name under this one: the same for both,
    /// for ever, and of the same moment.
    #[must_use]
    pub fn derive(self, name: &[u8]) -> Self {
        Self(self.0.derive(name))
    }

    /// The id of the event that this command makes happen, the `index`th of
    /// them counted from 0.
    #[must_use]
    pub fn event_id(self, index: u32) -> EventId {
        self.0.derive(&index.to_be_bytes())
    }
}

/// The command that an event's id names. Its events have other ids than that.
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

    /// Reads the hyphenated form, 36 characters; upper case is accepted.
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
