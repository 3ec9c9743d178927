//! Messages of a WebSocket: commands of clients, and the answers to them.

mod command;
mod label;
#[cfg(feature = "client")]
mod message;
mod reply;

pub use command::{Addressee, Command, Refused};
pub use label::Label;
#[cfg(feature = "client")]
pub use message::{Message, Receipt};
pub use reply::Reply;
pub(crate) use reply::{events_len, events_parts};
