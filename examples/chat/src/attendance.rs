use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use downlink::{Cursor, Expected, Hub, Read, Result};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use crate::event::ChatEvent;
use crate::name::Name;
use crate::person_id::PersonId;
use crate::rooms::RoomId;

/// After this long without a heartbeat a person has left. Browsers allow a page in the
/// background one timer a minute.
const TIMEOUT: Duration = Duration::from_secs(90);

/// The interval between checks for timeouts.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Tracks who is in which room.
///
/// Pages send heartbeats. Only changes are in the log: a person joined, a person
/// left. So a page can tell from the events alone who is present, and a server that
/// restarts can tell it from the log.
///
/// Cheap to clone; clones share their state.
#[derive(Clone, Debug)]
pub struct Attendance {
    hub: Hub,
    people: Arc<Mutex<People>>,
}

#[derive(Debug)]
struct People {
    here: HashMap<PersonId, Presence>,
    /// The cursor of the last event that is in `here`.
    cursor: Cursor,
}

#[derive(Clone, Debug)]
struct Presence {
    name: Name,
    room: RoomId,
    last_seen: Instant,
}

/// A heartbeat: a person is in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Here {
    /// The person.
    pub person: PersonId,
    /// The person's name.
    pub name: Name,
    /// The room.
    pub room: RoomId,
}

impl Attendance {
    /// Reads from the log who is present. Each of them has until the timeout to send a
    /// heartbeat.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn start(hub: &Hub) -> Result<Self> {
        let (mut here, now) = (HashMap::new(), Instant::now());
        let cursor = hub.head().await?;
        let filter = ChatEvent::filter(["PersonJoined", "PersonLeft"])?;
        let mut events = hub.log_events(Read::log().with_filter(filter));
        while let Some(event) = events.try_next().await? {
            if event.position() > cursor.position() {
                break;
            }
            let room = RoomId::try_from(event.stream().to_string());
            match (ChatEvent::decode(&event)?, room) {
                (Some(ChatEvent::PersonJoined { person, name }), Ok(room)) => {
                    here.insert(person, Presence { name, room, last_seen: now });
                }
                (Some(ChatEvent::PersonLeft { person, .. }), Ok(_)) => {
                    here.remove(&person);
                }
                (_, Err(error)) => {
                    let stream = event.stream();
                    tracing::warn!(%stream, %error, "skipping an event about a person in a stream that is not a room");
                }
                _ => {}
            }
        }
        drop(events);
        Ok(Self { hub: hub.clone(), people: Arc::new(Mutex::new(People { here, cursor })) })
    }

    /// Returns who is present, and the cursor from which to follow the events.
    pub async fn list(&self) -> (Vec<Here>, Cursor) {
        let people = self.people.lock().await;
        let here = people.here.iter().map(|(&person, presence)| Here {
            person,
            name: presence.name.clone(),
            room: presence.room.clone(),
        });
        (here.collect(), people.cursor)
    }

    /// Handles a heartbeat. Appends events if it changes who is where, and returns the
    /// cursor.
    ///
    /// # Errors
    ///
    /// Those of the store; [`Conflict`](downlink::ErrorKind::Conflict) if there is no such
    /// room.
    pub async fn here(&self, Here { person, name, room }: Here) -> Result<Cursor> {
        let mut people = self.people.lock().await;
        if let Some(presence) = people.here.get_mut(&person)
            && presence.room == room
            && presence.name == name
        {
            presence.last_seen = Instant::now();
            return Ok(people.cursor);
        }
        self.leave(&mut people, person).await?;
        let joined = [ChatEvent::PersonJoined { person, name: name.clone() }];
        people.cursor = self.hub.append_to(room.stream(), Expected::Exists, joined).await?.cursor;
        people.here.insert(person, Presence { name, room, last_seen: Instant::now() });
        Ok(people.cursor)
    }

    /// Handles that a person has left.
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
        people.cursor = self.hub.append_to(room.stream(), Expected::Any, left).await?.cursor;
        people.here.remove(&person);
        Ok(())
    }

    /// Removes people whose heartbeats have timed out, until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        let mut checks = interval(CHECK_INTERVAL);
        while stop.run_until_cancelled(checks.tick()).await.is_some() {
            if let Err(error) = self.remove_silent().await {
                tracing::warn!(%error, "cannot record who has left; retrying");
            }
        }
    }

    async fn remove_silent(&self) -> Result<()> {
        let mut people = self.people.lock().await;
        let silent =
            people.here.iter().filter(|(_, presence)| presence.last_seen.elapsed() > TIMEOUT);
        let silent: Vec<_> = silent.map(|(&person, _)| person).collect();
        for person in silent {
            self.leave(&mut people, person).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use downlink::ErrorKind;

    use super::*;
    use crate::rooms::Rooms;

    fn here(person: u8, name: &str, room: &str) -> Here {
        Here {
            person: PersonId::from_bytes([person; 16]),
            name: name.to_owned().try_into().unwrap(),
            room: room.to_owned().try_into().unwrap(),
        }
    }

    /// The joins and leaves in the log.
    async fn log_of(hub: &Hub) -> Vec<String> {
        let filter = ChatEvent::filter(["PersonJoined", "PersonLeft"]).unwrap();
        let events: Vec<_> =
            hub.log_events(Read::log().with_filter(filter)).try_collect().await.unwrap();
        let line = |event: &downlink::Event| match event.decode_raw::<ChatEvent>().unwrap() {
            ChatEvent::PersonJoined { name, .. } => format!("{name} into {}", event.stream()),
            ChatEvent::PersonLeft { name, .. } => format!("{name} out of {}", event.stream()),
            other => panic!("{other:?}"),
        };
        events.iter().map(line).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn only_changes_are_in_the_log() {
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
        assert_eq!(log_of(&hub).await, expected);
        let nowhere = attendance.here(here(1, "Ada", "room-nowhere")).await.unwrap_err();
        assert_eq!(nowhere.kind(), ErrorKind::Conflict);
    }

    #[tokio::test(start_paused = true)]
    async fn a_person_without_heartbeats_has_left() {
        let hub = downlink::memory::hub().await.unwrap();
        Rooms::start(&hub).await.unwrap();
        let attendance = Attendance::start(&hub).await.unwrap();
        attendance.here(here(1, "Ada", "room-tower")).await.unwrap();
        attendance.here(here(2, "Bob", "room-tower")).await.unwrap();
        tokio::time::advance(TIMEOUT).await;
        attendance.here(here(2, "Bob", "room-tower")).await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        attendance.remove_silent().await.unwrap();
        let (people, cursor) = attendance.list().await;
        assert_eq!(people, [here(2, "Bob", "room-tower")]);
        assert_eq!(cursor, hub.head().await.unwrap());
        // A server that restarts reads it from the log, and checks again later.
        let restarted = Attendance::start(&hub).await.unwrap();
        assert_eq!(restarted.list().await.0, people);
        tokio::time::advance(TIMEOUT + CHECK_INTERVAL).await;
        restarted.remove_silent().await.unwrap();
        assert_eq!(restarted.list().await.0, []);
    }
}
