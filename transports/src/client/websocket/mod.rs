//! Reads frames from a WebSocket, for one subscription or for several.

mod buffer;
mod connection;
mod driver;
mod frames;
mod live_socket;
mod socket;
mod socket_subscription;
mod subscriber;
mod upgrade;

pub(super) use frames::{Frames, open};
pub(super) use live_socket::LiveSocket;
pub use socket::Socket;
pub use socket_subscription::SocketSubscription;
