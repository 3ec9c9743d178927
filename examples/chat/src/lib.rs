//! Crew Chat: chat rooms for the crew of an airport.
//!
//! A room is a stream. A page has one WebSocket, by the npm package: it follows the open
//! room, the list of rooms, the people in the rooms and the messages in other rooms. It
//! posts messages with ids of its own, and gets an acknowledgement for each. What the server decides is a command: [`Rooms`] opens rooms,
//! [`Attendance`] tracks who is present.
//!
//! The README has a tour.

mod api;
mod assets;
mod attendance;
mod chat;
mod event;
mod name;
mod options;
mod person_id;
mod rooms;
#[cfg(test)]
mod types;

pub use attendance::{Attendance, Here};
pub use chat::Chat;
pub use event::ChatEvent;
pub use name::{InvalidName, Name};
pub use options::Options;
pub use person_id::PersonId;
pub use rooms::{RoomId, Rooms};
