#![doc = include_str!("../README.md")]

#[cfg(feature = "client")]
pub mod client;
mod connection;
mod exposure;
pub mod feed;
mod headers;
#[cfg(all(feature = "client", feature = "long-poll"))]
mod long_poll;
pub mod ops;
pub mod serve;
#[cfg(feature = "client")]
mod sse;
mod stall_timeout;
#[cfg(all(feature = "client", feature = "websocket"))]
mod websocket;
pub mod wire;

pub use connection::Connection;
pub use exposure::Exposure;
#[cfg(all(feature = "client", feature = "long-poll"))]
pub use long_poll::LongPoll;
#[cfg(feature = "client")]
pub use sse::Sse;
#[cfg(all(feature = "client", feature = "websocket"))]
pub use websocket::WebSocket;
