use std::fmt;

use downlink::{Cursor, ErrorKind, Expected, Hub, Result, StreamId};
use serde::{Deserialize, Serialize};

use crate::event::ChatEvent;
use crate::name::Name;

/// The rooms that exist from the start.
const INITIAL_ROOMS: [&str; 4] = ["Tower", "Gate C71", "Ramp", "Lounge"];

/// Opens rooms. A room is a stream, and exists if it has an event.
#[derive(Clone, Debug)]
pub struct Rooms {
    hub: Hub,
}

impl Rooms {
    /// The rooms in this hub's log. Opens the initial rooms if they do not exist.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn start(hub: &Hub) -> Result<Self> {
        let rooms = Self { hub: hub.clone() };
        for name in INITIAL_ROOMS {
            rooms.open(Name::try_from(name.to_owned())?).await?;
        }
        Ok(rooms)
    }

    /// Opens a room. Returns `None` if there is one with this name, or a similar one that
    /// has the same [`RoomId`].
    ///
    /// # Errors
    ///
    /// Those of the store; [`Invalid`](ErrorKind::Invalid) for a name without a
    /// letter or a digit.
    pub async fn open(&self, name: Name) -> Result<Option<(RoomId, Cursor)>> {
        let room = RoomId::of(&name)?;
        let opened = [ChatEvent::RoomOpened { name }];
        match self.hub.append_to(room.stream(), Expected::NoStream, opened).await {
            Ok(appended) => Ok(Some((room, appended.cursor))),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The stream of a room, such as `room-gate-c71`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
#[serde(try_from = "String", into = "String")]
pub struct RoomId(StreamId);

impl RoomId {
    const PREFIX: &str = "room-";

    fn of(name: &Name) -> Result<Self> {
        let lower = name.as_str().to_lowercase();
        let words = lower.split(|letter: char| !letter.is_alphanumeric());
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        Self::try_from(format!("{}{}", Self::PREFIX, words.join("-")))
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.0.clone()
    }
}

impl TryFrom<String> for RoomId {
    type Error = downlink::Error;

    fn try_from(text: String) -> Result<Self> {
        if text.strip_prefix(Self::PREFIX).is_none_or(str::is_empty) {
            let message = "the name of a room must contain a letter or a digit";
            return Err(downlink::Error::new(ErrorKind::Invalid, message));
        }
        StreamId::new(text).map(Self)
    }
}

impl From<RoomId> for String {
    fn from(room: RoomId) -> Self {
        room.0.to_string()
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> Result<String> {
        RoomId::of(&Name::try_from(name.to_owned()).unwrap()).map(String::from)
    }

    #[test]
    fn similar_names_are_one_room() {
        assert_eq!(id("Gate C71").unwrap(), "room-gate-c71");
        assert_eq!(id("  gate…C71! ").unwrap(), "room-gate-c71");
        assert_eq!(id("Café").unwrap(), "room-café");
        assert_eq!(id("!!!").unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[tokio::test]
    async fn a_room_is_opened_once() {
        let hub = downlink::memory::hub().await.unwrap();
        let rooms = Rooms::start(&hub).await.unwrap();
        let name = |text: &str| Name::try_from(text.to_owned()).unwrap();
        assert!(rooms.open(name("Hangar 7")).await.unwrap().is_some());
        assert!(rooms.open(name("hangar-7")).await.unwrap().is_none());
        assert!(rooms.open(name("Tower")).await.unwrap().is_none());
    }
}
