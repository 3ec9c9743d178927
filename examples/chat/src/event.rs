use std::sync::LazyLock;

use downlink::{Event, Filter, FilterItem, Result, Schema};
use serde::{Deserialize, Serialize};

use crate::{Name, PersonId};

/// What happens in a room. The names are the types in the log.
// ANCHOR: events
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChatEvent {
    /// The room was opened; first of every room.
    RoomOpened {
        /// What it is called.
        name: Name,
    },
    /// Somebody came in.
    PersonJoined {
        /// Who.
        person: PersonId,
        /// By which name.
        name: Name,
    },
    /// Somebody left, or was not heard of for a while.
    PersonLeft {
        /// Who.
        person: PersonId,
        /// By which name.
        name: Name,
    },
    /// Somebody said something. The page appends it by itself, so whoever reads
    /// it has to take it for what it is: a text that a stranger wrote.
    MessagePosted {
        /// Who.
        person: PersonId,
        /// By which name.
        name: Name,
        /// What.
        text: String,
    },
}
// ANCHOR_END: events

/// The log is open to every page: what is not of this program costs nothing else.
static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::new().ignoring_unknown().ignoring_unreadable());

impl ChatEvent {
    /// An event of the log, if it is one of these.
    pub(crate) fn read(event: &Event) -> Result<Option<Self>> {
        SCHEMA.decode(event)
    }

    /// Events of these types.
    pub(crate) fn filter<const N: usize>(types: [&str; N]) -> Result<Filter> {
        Ok(FilterItem::new().with_types(types)?.into())
    }
}
