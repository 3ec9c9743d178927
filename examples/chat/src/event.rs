use downlink::{Filter, FilterItem, Result};
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

impl ChatEvent {
    /// Events of these types.
    pub(crate) fn filter<const N: usize>(types: [&str; N]) -> Result<Filter> {
        let item = types.into_iter().try_fold(FilterItem::new(), FilterItem::with_type)?;
        Ok(item.into())
    }
}
