use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use downlink::{Cursor, Error, ErrorKind, EventId, Expected, Hub, Read, Result};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use crate::{ChatEvent, Name, RoomId};

/// How long somebody is there without having said so again: browsers let a page
/// that nobody looks at say so once a minute.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often those are looked for who have gone without a word.
const ROUND: Duration = Duration::from_secs(5);

/// Who is in which room.
///
/// Pages say every now and then that they are there. Only what changes is in the
/// log: somebody came in, somebody left. So a page knows who is there by the
/// events alone, and a server that starts anew knows it from the log.
///
/// Cheap to clone; clones share the same rooms.
#[derive(Clone, Debug)]
pub struct Attendance {
    hub: Hub,
    people: Arc<Mutex<People>>,
}

#[derive(Debug)]
struct People {
    here: HashMap<PersonId, Presence>,
    /// All of it is what the log says up to here.
    cursor: Cursor,
}

#[derive(Clone, Debug)]
struct Presence {
    name: Name,
    room: RoomId,
    heard: Instant,
}

/// Somebody says where he is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Here {
    /// Who.
    pub person: PersonId,
    /// By which name.
    pub name: Name,
    /// In which room.
    pub room: RoomId,
}

/// Somebody, as long as he has the page open: a UUID that the page makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonId(EventId);

impl Attendance {
    /// Whoever was there according to the log has a while to say that he still
    /// is.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn start(hub: &Hub) -> Result<Self> {
        let (mut here, now) = (HashMap::new(), Instant::now());
        let cursor = hub.head().await?;
        let filter = ChatEvent::filter(["PersonJoined", "PersonLeft"])?;
        let mut events = hub.events(Read::log().filter(filter));
        while let Some(event) = events.try_next().await? {
            if event.position() > cursor.position() {
                break;
            }
            let room = RoomId::try_from(event.stream().to_string());
            match (ChatEvent::read(&event)?, room) {
                (Some(ChatEvent::PersonJoined { person, name }), Ok(room)) => {
                    here.insert(person, Presence { name, room, heard: now });
                }
                (Some(ChatEvent::PersonLeft { person, .. }), Ok(_)) => {
                    here.remove(&person);
                }
                (_, Err(error)) => {
                    let stream = event.stream();
                    tracing::warn!(%stream, %error, "a member who is in no room is passed over");
                }
                _ => {}
            }
        }
        drop(events);
        Ok(Self { hub: hub.clone(), people: Arc::new(Mutex::new(People { here, cursor })) })
    }

    /// Who is there, and the cursor after which events go on from that.
    pub async fn list(&self) -> (Vec<Here>, Cursor) {
        let people = self.people.lock().await;
        let here = people.here.iter().map(|(&person, presence)| Here {
            person,
            name: presence.name.clone(),
            room: presence.room.clone(),
        });
        (here.collect(), people.cursor)
    }

    /// Somebody is there. Says so to everybody if that is news, and gives the
    /// cursor of it.
    ///
    /// # Errors
    ///
    /// Those of the store; [`Conflict`](ErrorKind::Conflict) if there is no such
    /// room.
    pub async fn here(&self, Here { person, name, room }: Here) -> Result<Cursor> {
        let mut people = self.people.lock().await;
        if let Some(presence) = people.here.get_mut(&person)
            && presence.room == room
            && presence.name == name
        {
            presence.heard = Instant::now();
            return Ok(people.cursor);
        }
        self.leave(&mut people, person).await?;
        let joined = [ChatEvent::PersonJoined { person, name: name.clone() }];
        people.cursor = self.hub.append(room.stream(), Expected::Exists, joined).await?.cursor;
        people.here.insert(person, Presence { name, room, heard: Instant::now() });
        Ok(people.cursor)
    }

    /// Somebody has left.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn gone(&self, person: PersonId) -> Result<Cursor> {
        let mut people = self.people.lock().await;
        self.leave(&mut people, person).await?;
        Ok(people.cursor)
    }

    async fn leave(&self, people: &mut People, person: PersonId) -> Result<()> {
        let Some(Presence { name, room, .. }) = people.here.get(&person).cloned() else {
            return Ok(());
        };
        let left = [ChatEvent::PersonLeft { person, name }];
        people.cursor = self.hub.append(room.stream(), Expected::Any, left).await?.cursor;
        people.here.remove(&person);
        Ok(())
    }

    /// Sees to it that those leave who are gone without a word, until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        let mut rounds = interval(ROUND);
        while stop.run_until_cancelled(rounds.tick()).await.is_some() {
            if let Err(error) = self.look_round().await {
                tracing::warn!(%error, "nobody knows who has left; it is tried again");
            }
        }
    }

    async fn look_round(&self) -> Result<()> {
        let mut people = self.people.lock().await;
        let silent = people.here.iter().filter(|(_, presence)| presence.heard.elapsed() > PATIENCE);
        let silent: Vec<_> = silent.map(|(&person, _)| person).collect();
        for person in silent {
            self.leave(&mut people, person).await?;
        }
        Ok(())
    }
}

impl TryFrom<String> for PersonId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse().map(Self).map_err(|_| Error::new(ErrorKind::Invalid, "a person is a UUID"))
    }
}

impl From<PersonId> for String {
    fn from(person: PersonId) -> Self {
        person.to_string()
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rooms;

    fn here(person: u8, name: &str, room: &str) -> Here {
        Here {
            person: PersonId(EventId::from_bytes([person; 16])),
            name: name.to_owned().try_into().unwrap(),
            room: room.to_owned().try_into().unwrap(),
        }
    }

    /// What the log says of comings and goings.
    async fn told(hub: &Hub) -> Vec<String> {
        let filter = ChatEvent::filter(["PersonJoined", "PersonLeft"]).unwrap();
        let events: Vec<_> = hub.events(Read::log().filter(filter)).try_collect().await.unwrap();
        let line = |event: &downlink::Event| match event.decode::<ChatEvent>().unwrap() {
            ChatEvent::PersonJoined { name, .. } => format!("{name} into {}", event.stream()),
            ChatEvent::PersonLeft { name, .. } => format!("{name} out of {}", event.stream()),
            other => panic!("{other:?}"),
        };
        events.iter().map(line).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_changes_is_in_the_log() {
        let hub = downlink::memory::hub().await.unwrap();
        Rooms::start(&hub).await.unwrap();
        let attendance = Attendance::start(&hub).await.unwrap();
        let ada = here(1, "Ada", "room-tower");
        let first = attendance.here(ada.clone()).await.unwrap();
        assert_eq!(attendance.here(ada.clone()).await.unwrap(), first);
        let moved = here(1, "Ada", "room-ramp");
        attendance.here(moved).await.unwrap();
        attendance.gone(ada.person).await.unwrap();
        attendance.gone(ada.person).await.unwrap();
        let expected = [
            "Ada into room-tower",
            "Ada out of room-tower",
            "Ada into room-ramp",
            "Ada out of room-ramp",
        ];
        assert_eq!(told(&hub).await, expected);
        let nowhere = attendance.here(here(1, "Ada", "room-nowhere")).await.unwrap_err();
        assert_eq!(nowhere.kind(), ErrorKind::Conflict);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_for_long_has_left() {
        let hub = downlink::memory::hub().await.unwrap();
        Rooms::start(&hub).await.unwrap();
        let attendance = Attendance::start(&hub).await.unwrap();
        attendance.here(here(1, "Ada", "room-tower")).await.unwrap();
        attendance.here(here(2, "Bob", "room-tower")).await.unwrap();
        tokio::time::advance(PATIENCE).await;
        attendance.here(here(2, "Bob", "room-tower")).await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        attendance.look_round().await.unwrap();
        let (people, cursor) = attendance.list().await;
        assert_eq!(people, [here(2, "Bob", "room-tower")]);
        assert_eq!(cursor, hub.head().await.unwrap());
        // A server that starts anew knows it from the log, and looks again later.
        let again = Attendance::start(&hub).await.unwrap();
        assert_eq!(again.list().await.0, people);
        tokio::time::advance(PATIENCE + ROUND).await;
        again.look_round().await.unwrap();
        assert_eq!(again.list().await.0, []);
    }
}
