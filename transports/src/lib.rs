#![doc = include_str!("../README.md")]
#![doc = include_str!("bank_account.md")]

mod access;
pub mod assets;
#[cfg(feature = "auth")]
pub mod auth;
#[cfg(feature = "client")]
pub mod client;
pub mod command;
mod connection;
pub mod feed;
mod headers;
pub mod health;
pub mod serve;
mod stall_timeout;
mod stall_timer;
mod takeover;
#[cfg(feature = "client")]
mod transport;
pub mod wire;

pub use access::Access;
pub use connection::Connection;
#[cfg(all(feature = "client", feature = "long-poll"))]
pub use transport::LongPoll;
#[cfg(feature = "client")]
pub use transport::Sse;
#[cfg(all(feature = "client", feature = "websocket"))]
pub use transport::WebSocket;
