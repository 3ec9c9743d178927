use std::sync::LazyLock;

use downlink::{Event, Filter, FilterItem, Result, Schema};
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::person_id::PersonId;

/// The events of a room. The variants' names are the event types.
// ANCHOR: events
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum ChatEvent {
    /// The room was opened; the first event of every room.
    RoomOpened {
        /// The room's name.
        name: Name,
    },
    /// A person joined the room.
    PersonJoined {
        /// The person.
        person: PersonId,
        /// The person's name.
        name: Name,
    },
    /// A person left the room, or their heartbeats timed out.
    PersonLeft {
        /// The person.
        person: PersonId,
        /// The person's name.
        name: Name,
    },
    /// A person posted a message. Pages append it themselves, so readers must treat it
    /// as untrusted input.
    MessagePosted {
        /// The person.
        person: PersonId,
        /// The person's name.
        name: Name,
        /// The message.
        text: String,
    },
}
// ANCHOR_END: events

/// Every page can append to the log, so unknown and invalid events are skipped.
static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::new().ignoring_unknown().ignoring_unreadable());

impl ChatEvent {
    /// Decodes an event, if it is one of these.
    pub(crate) fn decode(event: &Event) -> Result<Option<Self>> {
        SCHEMA.decode(event)
    }

    /// A filter for events of these types.
    pub(crate) fn filter<const N: usize>(types: [&str; N]) -> Result<Filter> {
        Ok(FilterItem::new().with_types(types)?.into())
    }
}
