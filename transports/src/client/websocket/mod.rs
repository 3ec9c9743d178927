//! Frames out of a socket, and a socket for many subscriptions.

mod buffer;
mod channel;
mod driver;
mod frames;
mod link;
mod socket;
mod subscriber;
mod upgrade;

pub use channel::Channel;
pub(super) use frames::{Frames, open};
pub use socket::Socket;
