//! Crew Chat: the rooms of an airport's crew, as a program that shows what a
//! socket of the feed is good for.
//!
//! A room is a stream, and what happens in it are its events. The page has one
//! WebSocket for everything: it follows the room that is open, the list of
//! rooms, who is where, and what is said elsewhere, and it appends messages
//! through the same socket, each of which has its acknowledgement. What has to
//! be decided by the server is a command: [`Rooms`] opens rooms, [`Attendance`]
//! knows who is there.
//!
//! The README says what to try.

mod api;
mod assets;
mod attendance;
mod chat;
mod event;
mod name;
mod options;
mod rooms;

pub use attendance::{Attendance, Here, PersonId};
pub use chat::Chat;
pub use event::ChatEvent;
pub use name::{BadName, Name};
pub use options::Options;
pub use rooms::{RoomId, Rooms};
