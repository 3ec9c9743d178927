//! The implementations of [`Transport`](downlink::Transport). All of them serve
//! the feed's router with [`serve`](crate::serve), and differ in their
//! [`Client`](crate::client::Client).

#[cfg(feature = "long-poll")]
mod long_poll;
mod sse;
#[cfg(feature = "websocket")]
mod websocket;

#[cfg(feature = "long-poll")]
pub use long_poll::LongPoll;
pub use sse::Sse;
#[cfg(feature = "websocket")]
pub use websocket::WebSocket;
